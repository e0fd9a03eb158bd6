//! One job from its turn to its end on disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use firebox_api::{Detail, JobRequest, OutputEvent, Parts};
use firebox_job::{Outcome, TraceId, Verdict};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{Instrument, error, error_span, info};

use super::moment::now_us;
use super::stop::{Stop, Why};
use super::store::{Claimed, End};
use super::{Jobs, as_json, bounded, runner, store};
use crate::admission::Place;
use crate::answer::{Refusing, in_one_line};
use crate::caller::Caller;
use crate::output::Output;
use crate::running::{Ended, Thread, with_queue};
use crate::service::{Prepared, Service};
use crate::state::{Database, StateError};

/// How old what a job wrote may become before those who look on hear of it.
const MOMENT: Duration = Duration::from_millis(100);
/// How many pieces of what a job wrote are written down at once while it runs.
const AT_ONCE: usize = 64;
/// How long to leave a database alone that fails.
const PAUSE: Duration = Duration::from_secs(1);

/// How a job leaves this place.
enum Left {
    Ended(End),
    /// It waits again.
    Waits,
}

/// What came of a job, and how much of it its client wants to hear.
type Ran = (Outcome, Detail);

/// A job whose turn it is, and those it has to do with.
struct Course<'a> {
    service: &'a Arc<Service>,
    jobs: &'a Jobs,
    caller: &'a Caller,
    number: i64,
    stop: Stop<'a>,
    output: Output,
}

/// Everything that is logged meanwhile has the job's name.
pub(super) async fn run(service: &Arc<Service>, caller: &Caller, claimed: Claimed, place: Place) {
    let Some(jobs) = &service.jobs else { return };
    let span = error_span!("job", trace_id = claimed.trace_id, id = claimed.id);
    let (number, stop) = (claimed.number, jobs.stops.begin(claimed.number));
    let course = Course { service, jobs, caller, number, stop, output: Output::default() };
    course.take(claimed, place).instrument(span).await;
}

impl Course<'_> {
    async fn take(&self, claimed: Claimed, place: Place) {
        let Claimed { number, id: _, trace_id, language, body, context } = claimed;
        let trace_id = TraceId::new(trace_id).map_err(|error| Refusing::fault("a kept job has no name", &error));
        let queued = Duration::from_micros(u64::try_from(now_us() - number).unwrap_or(0));
        let begun = Instant::now();
        let prepared = trace_id.clone().and_then(|trace_id| prepare(self.service, self.caller, trace_id, &body));
        drop(body);
        let done = match prepared {
            Ok(prepared) => self.outcome(prepared, place, queued).await,
            Err(refusing) => {
                // Others need not wait until it is on disk.
                drop(place);
                Err(refusing)
            }
        };
        if done.is_err() && self.stop.why() != Some(Why::Client) && self.service.has_lost_warden().await {
            // Nobody's turn comes any more. That it was begun counts: it may be what the warden died of.
            self.service.admission.close();
            info!("a job is taken up by the next start");
            return;
        }
        let ends = !self.waits_again(&done);
        if let (true, Ok(trace_id)) = (ends, &trace_id) {
            let (caller, took) = (self.caller, queued + begun.elapsed());
            self.service.tell(
                Ended { trace_id, language: &language, caller, context, took },
                done.as_ref().map(|(outcome, _)| outcome),
                &Thread::Another,
            );
        }
        let left = if ends { Left::Ended(self.end(done).await) } else { Left::Waits };
        self.write_down(left).await;
        if !ends {
            info!("a job waits again");
            // Nobody may be left who waits for a turn of theirs.
            runner::call(self.service, self.caller);
        }
        self.jobs.watchers.tell(number);
        self.jobs.due.notify_one();
    }

    /// Runs it, and has what it writes written down meanwhile.
    async fn outcome(&self, prepared: Prepared, place: Place, queued: Duration) -> Result<Ran, Refusing> {
        let Prepared { job, stdin, detail, language: _ } = prepared;
        let trace_id = job.trace_id.clone();
        let mut running = self.service.start(Arc::new(job), stdin, self.caller, self.output.clone(), place)?;
        self.stop.arm(running.canceller.clone());
        let mut moments = interval(MOMENT);
        moments.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let done = loop {
            tokio::select! {
                done = &mut running.task => break done,
                _ = moments.tick() => self.record().await,
            }
        };
        self.service.outcome(done, &trace_id).map(|outcome| (with_queue(outcome, queued), detail))
    }

    async fn record(&self) {
        let (number, output) = (self.number, as_texts(self.output.take(AT_ONCE)));
        if output.is_empty() {
            return;
        }
        let written = self.jobs.database.write(move |connection| store::record(connection, number, &output));
        if let Err(error) = written.await
            && !error.may_pass()
        {
            // The outcome will have it; those who look on miss a piece.
            error!(cause = in_one_line(&error), "cannot write down what a job wrote");
        }
        self.jobs.watchers.tell(number);
    }

    /// Whether it has come to no end here.
    fn waits_again(&self, done: &Result<Ran, Refusing>) -> bool {
        match (done, self.stop.why()) {
            // What is wrong with it, the next who takes it up will see.
            (Ok((Outcome { verdict: Verdict::Cancelled, .. }, _)) | Err(_), Some(Why::End)) => true,
            // Others of the same key took the rest of the day between its turn and now.
            (Err(refusing), None) => refusing.until_more().is_some(),
            (Ok(_), _) | (Err(_), Some(Why::Client)) => false,
        }
    }

    async fn end(&self, done: Result<Ran, Refusing>) -> End {
        match done {
            Ok((outcome, detail)) => {
                let is_cancelled = outcome.verdict == Verdict::Cancelled;
                // It may be large, and others are to go on meanwhile.
                let json = spawn_blocking(move || {
                    bounded::as_json_within(&firebox_api::Response::new(outcome, detail), bounded::MOST)
                });
                match (json.await, is_cancelled) {
                    (Ok(Some(outcome)), true) => End::Cancelled { outcome: Some(outcome) },
                    (Ok(Some(outcome)), false) => End::Done { outcome },
                    (Ok(None), true) => End::Cancelled { outcome: None },
                    (Ok(None), false) => self.failed(&bounded::too_large(bounded::MOST).into()),
                    (Err(error), _) => self.failed(&Refusing::fault("cannot put an outcome into words", &error)),
                }
            }
            Err(_) if self.stop.why() == Some(Why::Client) => End::Cancelled { outcome: None },
            Err(refusing) => self.failed(&refusing),
        }
    }

    fn failed(&self, refusing: &Refusing) -> End {
        self.service.metrics.refused(refusing.refusal.code);
        End::Failed { error: as_json(&*refusing.refusal) }
    }

    /// Writes down how it ended: nobody is told of an end that is not on disk.
    async fn write_down(&self, left: Left) {
        let (number, output) = (self.number, self.output.clone());
        let rest = spawn_blocking(move || as_texts(output.take_rest(usize::MAX)));
        // It does not panic, and whoever waits has the outcome in any case.
        let output = rest.await.unwrap_or_default();
        write_down(&self.jobs.database, number, left, output).await;
    }
}

/// Tries until it is on disk, unless it is what is to be written that cannot be: then the job has failed, and others go on.
async fn write_down(database: &Database, number: i64, left: Left, output: Vec<String>) {
    let mut left = Arc::new((left, output));
    let mut is_whole = true;
    loop {
        let what = Arc::clone(&left);
        let written = database.write(move |connection| match &what.0 {
            Left::Waits => store::put_back(connection, number),
            Left::Ended(end) => {
                store::record(connection, number, &what.1)?;
                store::finish(connection, number, end)
            }
        });
        match written.await {
            Ok(()) => return,
            Err(error) if error.may_pass() => sleep(PAUSE).await,
            Err(error) if is_whole && !matches!(error, StateError::Closed) => {
                let refusing =
                    Refusing::fault("cannot write down how a job ended, and writes down that it failed", &error);
                left = Arc::new((Left::Ended(End::Failed { error: as_json(&*refusing.refusal) }), Vec::new()));
                is_whole = false;
            }
            Err(error) => {
                error!(cause = in_one_line(&error), "cannot write down how a job ended; the next start runs it again");
                return;
            }
        }
    }
}

/// What was a job when it was accepted is one still, unless the service has changed since.
fn prepare(service: &Service, caller: &Caller, trace_id: TraceId, body: &[u8]) -> Result<Prepared, Refusing> {
    let JobRequest { request, webhook: _ } = JobRequest::from_json(body)?;
    service.prepare(Parts { trace_id: Some(trace_id), ..Parts::try_from(request)? }, caller)
}

fn as_texts(pieces: Vec<OutputEvent>) -> Vec<String> {
    pieces.iter().map(as_json).collect()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::StateDirectory;
    use crate::admission::Bounds;
    use crate::jobs::store::{NewJob, Room};

    const BOUNDS: Bounds = Bounds { running: None, waiting: None, shares: false };

    /// A job that runs.
    fn begin(connection: &Connection) -> rusqlite::Result<i64> {
        let (id, trace_id, language) = ("1".to_owned(), "t".to_owned(), "bash".to_owned());
        let job = NewJob { id, trace_id, language, body: Vec::new(), webhook: None, context: None };
        let room = Room { jobs: 1, bytes: 1, keys: 0, keys_bytes: 0, bounds: BOUNDS };
        store::accept(connection, "a", vec![job], None, room, |_| String::new())?;
        Ok(store::claim(connection, "a")?.unwrap().number)
    }

    #[tokio::test]
    async fn an_end_that_cannot_be_written_is_a_failure_and_holds_nobody_up() {
        let place = tempfile::tempdir().unwrap();
        let database = Database::open(StateDirectory::open(&place.path().join("state")).unwrap()).unwrap();
        let begin = database.write(|connection| {
            connection.execute_batch(
                "CREATE TRIGGER never BEFORE INSERT ON answers WHEN new.kind = 'outcome'
                 BEGIN SELECT RAISE(ABORT, 'as for what is too large'); END",
            )?;
            begin(connection)
        });
        let number = begin.await.unwrap();
        let end = Left::Ended(End::Done { outcome: "1".to_owned() });
        let written = write_down(&database, number, end, vec!["{}".to_owned()]);
        tokio::time::timeout(Duration::from_secs(5), written).await.expect("it gives up");
        let look = database.read(|connection| store::look(connection, "a", "1"));
        let view = look.await.unwrap().unwrap().view;
        assert_eq!(view.status, firebox_api::JobStatus::Failed);
        assert!(view.outcome.is_none() && view.error.unwrap().get().contains("fault"));
    }
}
