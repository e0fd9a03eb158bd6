//! A job that runs: on a thread that has nothing else to do, since the engine waits as threads do, and cancelled when nobody
//! waits for it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use firebox_engine::{Cancel, Canceller, Leaving, RunError, Sink, Stdin, Stream};
use firebox_job::{Job, Outcome, StepKind, TraceId, Verdict};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinError, JoinHandle, block_in_place, spawn_blocking};
use tokio::time::timeout;
use tracing::{Instrument, error, error_span, info};

use crate::admission::{NoPlace, Place};
use crate::afterwards::{Haste, PutOff, afterwards};
use crate::answer::{Refusing, in_one_line};
use crate::caller::Caller;
use crate::connection::Alone;
use crate::service::{Admitted, Service, no_place};
use crate::spans::TraceContext;

/// A job that runs, and is cancelled when this is dropped before its outcome is there.
pub(crate) struct Running {
    pub(crate) task: JoinHandle<Result<Outcome, RunError>>,
    pub(crate) canceller: Canceller,
}

/// Where a job runs.
#[derive(Debug)]
pub(crate) enum Thread {
    /// On the one that works on its request: two threads less have to wake up, each of which takes its time.
    This(Alone),
    /// On another, and whoever waits for it may do something else.
    Another,
}

impl Thread {
    /// Does what nobody waits for when the answer is on its way.
    fn afterwards(&self, what: impl FnOnce() + Send + 'static) {
        match self {
            Thread::This(Alone { put_off, cancel: _ }) => put_off.put(Haste::Whenever, what),
            Thread::Another => afterwards(what),
        }
    }
}

/// A job that is over.
pub(crate) struct Ended<'a> {
    pub(crate) trace_id: &'a TraceId,
    pub(crate) language: &'a str,
    pub(crate) caller: &'a Caller,
    /// The trace that the client has it in.
    pub(crate) context: Option<TraceContext>,
    /// Since it came.
    pub(crate) took: Duration,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.task.is_finished() {
            // Failing means that it has been said already.
            let _ = self.canceller.cancel();
        }
    }
}

impl Service {
    /// Waits for the job's turn and runs it. Whoever stops waiting for this cancels it.
    pub(crate) async fn run(
        self: &Arc<Service>,
        admitted: Admitted,
        sink: impl Sink + Send + 'static,
        thread: Thread,
    ) -> Result<Outcome, Refusing> {
        let span = error_span!("job", trace_id = admitted.job.trace_id.as_str());
        self.run_in_span(admitted, sink, thread).instrument(span).await
    }

    /// With everything that is logged meanwhile under the job's name.
    async fn run_in_span(
        self: &Arc<Service>,
        admitted: Admitted,
        sink: impl Sink + Send + 'static,
        thread: Thread,
    ) -> Result<Outcome, Refusing> {
        let Admitted { job, stdin, detail: _, caller, language, ticket, share, since, context } = admitted;
        let trace_id = job.trace_id.clone();
        let done = async {
            let place = match timeout(self.settings.patience, ticket.wait()).await {
                Ok(place) => place.map_err(no_place)?,
                Err(_) => return Err(no_place(NoPlace::Late(self.settings.patience))),
            };
            caller.may_begin()?;
            let queued = since.elapsed();
            let done = match &thread {
                Thread::This(Alone { cancel, put_off }) => {
                    drop(share);
                    let mut sink = Meanwhile { sink, put_off };
                    let over = in_place(|| self.run_to_its_end(&job, stdin, &caller, &mut sink, cancel));
                    // Beside other jobs there is no idle time that it could be done in, and cells that wait to be removed would add up.
                    let haste = match self.admission.has_room_beside_one(caller.owner) {
                        true => Haste::Whenever,
                        false => Haste::Soon,
                    };
                    Ok(over.map(|(outcome, leaving)| {
                        // The next one may come in when this job's cell is ordered away.
                        put_off.put(haste, move || drop((leaving, place)));
                        outcome
                    }))
                }
                Thread::Another => {
                    let mut running = self.start(Arc::new(job), stdin, &caller, sink, place)?;
                    drop(share);
                    (&mut running.task).await
                }
            };
            self.outcome(done, &trace_id).map(|outcome| with_queue(outcome, queued))
        };
        let done = done.await.map_err(|refusing: Refusing| refusing.of(trace_id.clone()));
        // Nobody waits any more, and nobody is told, as wherever a job was cancelled that way.
        if matches!(&done, Ok(outcome) if outcome.verdict == Verdict::Cancelled) {
            return done;
        }
        let ended = Ended { trace_id: &trace_id, language: &language, caller: &caller, context, took: since.elapsed() };
        self.tell(ended, done.as_ref(), &thread);
        done
    }

    /// Says to the operator how a job ended, whoever waited for it: in numbers, in a span, and in the log's one line of it.
    pub(crate) fn tell(&self, ended: Ended<'_>, done: Result<&Outcome, &Refusing>, thread: &Thread) {
        let Ended { trace_id, language, caller, context, took } = ended;
        self.spans.tell(context, trace_id, language, took, done.map_err(|refusing| refusing.refusal.code));
        let (trace_id, caller, language) = (trace_id.clone(), Arc::clone(&caller.name), language.to_owned());
        match done {
            Ok(outcome) => {
                self.metrics.count(&language, outcome);
                let (verdict, timing) = (outcome.verdict, outcome.timing);
                thread.afterwards(move || {
                    info!(
                        trace_id = trace_id.as_str(),
                        caller = &*caller,
                        language,
                        status = %verdict.status(),
                        exit_code = verdict.exit_code(),
                        total_ms = timing.total.as_secs_f64() * 1e3,
                        queue_ms = timing.queue.as_secs_f64() * 1e3,
                        "job"
                    );
                });
            }
            Err(refusing) => {
                let refused = refusing.refusal.code.word();
                thread.afterwards(move || {
                    info!(trace_id = trace_id.as_str(), caller = &*caller, language, refused, "no outcome");
                });
            }
        }
    }

    /// What became of a job that was started.
    pub(crate) fn outcome(
        &self,
        done: Result<Result<Outcome, RunError>, JoinError>,
        trace_id: &TraceId,
    ) -> Result<Outcome, Refusing> {
        match done {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(error)) => Err(Told { trace_id: trace_id.as_str(), error }.into_refusing()),
            Err(error) => Err(Refusing::fault("the thread of a job has ended", &error)),
        }
    }

    /// Starts a job that has its place.
    pub(crate) fn start(
        self: &Arc<Service>,
        job: Arc<Job>,
        stdin: Stdin,
        caller: &Caller,
        mut sink: impl Sink + Send + 'static,
        place: Place,
    ) -> Result<Running, Refusing> {
        let (cancel, canceller) =
            Cancel::new().map_err(|error| Refusing::fault("cannot make a way to stop a job", &error))?;
        let (service, caller) = (Arc::clone(self), caller.clone());
        let task = spawn_blocking(move || {
            let (outcome, leaving) = service.run_to_its_end(&job, stdin, &caller, &mut sink, &cancel)?;
            // The next one may come in when this job's cell is ordered away, whoever still reads the outcome.
            drop((leaving, place));
            Ok(outcome)
        });
        Ok(Running { task, canceller })
    }

    /// Runs a job that has its place, on the thread that we are on.
    fn run_to_its_end(
        &self,
        job: &Job,
        stdin: Stdin,
        caller: &Caller,
        sink: &mut impl Sink,
        cancel: &Cancel,
    ) -> Result<(Outcome, Leaving), RunError> {
        let over = self.engine.within(&caller.partition).run_and_leave(job, stdin, sink, cancel);
        over.iter().for_each(|(outcome, _)| caller.charge(outcome));
        over
    }
}

/// Where the job's thread does, as soon as its program runs, what was put off before.
struct Meanwhile<'a, S> {
    sink: S,
    put_off: &'a PutOff,
}

impl<S: Sink> Sink for Meanwhile<'_, S> {
    fn output(&mut self, step: StepKind, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        self.sink.output(step, stream, bytes)
    }

    fn begun(&mut self) {
        self.put_off.catch_up();
    }
}

/// Does it on this thread. What else a thread of many has to do is left to another.
fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => work(),
        _ => block_in_place(work),
    }
}

/// What the engine said, for the log under the job's name.
struct Told<'a> {
    trace_id: &'a str,
    error: RunError,
}

impl Told<'_> {
    fn into_refusing(self) -> Refusing {
        let Told { trace_id, error } = self;
        if !error.is_request() {
            error!(trace_id, cause = in_one_line(&error), "a job has failed, and that is our fault");
        }
        Refusing::from(error)
    }
}

/// The outcome as its client sees it: the job began when it was let in.
pub(crate) fn with_queue(mut outcome: Outcome, queued: Duration) -> Outcome {
    outcome.timing.queue = queued;
    outcome.timing.total += queued;
    outcome
}
