//! One job from its turn to its end on disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use firebox_api::{JobRequest, Parts};
use firebox_job::{Outcome, TraceId, Verdict};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{error, info};

use super::moment::now_us;
use super::recorder::Recorder;
use super::stop::{Stop, Why};
use super::store::{Claimed, End};
use super::{Jobs, as_json, runner, store};
use crate::admission::Place;
use crate::answer::{Refusing, in_one_line};
use crate::caller::Caller;
use crate::running::with_queue;
use crate::service::{Prepared, Service};
use crate::spans::TraceContext;

/// How old what a job wrote may become before those who look on hear of it.
const MOMENT: Duration = Duration::from_millis(100);
/// How long to leave a database alone that fails.
const PAUSE: Duration = Duration::from_secs(1);

/// How a job leaves this place.
enum Left {
    Ended(End),
    /// It waits again.
    Waits,
}

pub(super) async fn run(service: &Arc<Service>, caller: &Caller, claimed: Claimed, place: Place) {
    let Some(jobs) = &service.jobs else { return };
    let Claimed { number, id, trace_id, body, context } = claimed;
    let stop = jobs.stops.begin(number);
    let recorder = Recorder::default();
    let left = match prepare(service, caller, &trace_id, &body) {
        Ok(prepared) => {
            drop(body);
            course(service, jobs, caller, number, prepared, context, place, &stop, &recorder).await
        }
        Err(refusing) => Err(refusing),
    };
    let left = match (left, stop.why()) {
        (Ok(left), _) => left,
        (Err(_), Some(Why::Client)) => Left::Ended(End::Cancelled { outcome: None }),
        (Err(_), Some(Why::End)) => Left::Waits,
        // Others of the same key took the rest of the day between its turn and now.
        (Err(refusing), None) if refusing.until_more().is_some() => Left::Waits,
        (Err(refusing), None) => {
            service.metrics.refused(refusing.refusal.code);
            Left::Ended(End::Failed { error: as_json(&*refusing.refusal) })
        }
    };
    let waits = matches!(left, Left::Waits);
    let status = write_down(jobs, number, left, recorder.take_all(), &id).await;
    if waits {
        // Nobody may be left who waits for a turn of theirs.
        runner::call(service, caller);
    }
    jobs.watchers.tell(number);
    jobs.due.notify_one();
    info!(id, trace_id, caller = &*caller.name, status, "a job that outlives its connection");
}

/// What was a job when it was accepted is one still, unless the service has changed since.
fn prepare(service: &Service, caller: &Caller, trace_id: &str, body: &[u8]) -> Result<Prepared, Refusing> {
    let JobRequest { request, webhook: _ } = JobRequest::from_json(body)?;
    let trace_id = TraceId::new(trace_id).map_err(|error| Refusing::fault("a kept job has no name", &error))?;
    service.prepare(Parts { trace_id: Some(trace_id), ..Parts::try_from(request)? }, caller)
}

#[expect(clippy::too_many_arguments, reason = "it is one step of `run`, which has them all")]
async fn course(
    service: &Arc<Service>,
    jobs: &Jobs,
    caller: &Caller,
    number: i64,
    prepared: Prepared,
    context: Option<TraceContext>,
    place: Place,
    stop: &Stop<'_>,
    recorder: &Recorder,
) -> Result<Left, Refusing> {
    let Prepared { job, stdin, detail, language } = prepared;
    let trace_id = job.trace_id.clone();
    let queued = Duration::from_micros(u64::try_from(now_us() - number).unwrap_or(0));
    let begun = Instant::now();
    let mut running = service.start(Arc::new(job), stdin, caller, recorder.clone(), place)?;
    stop.arm(running.canceller.clone());
    let mut moments = interval(MOMENT);
    moments.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let done = loop {
        tokio::select! {
            done = &mut running.task => break done,
            _ = moments.tick() => {
                let output = recorder.take();
                if !output.is_empty() {
                    let written = jobs.database.write(move |connection| store::record(connection, number, &output));
                    if let Err(error) = written.await {
                        // The outcome will have it; those who look on miss a piece.
                        error!(cause = in_one_line(&error), "cannot write down what a job wrote");
                    }
                    jobs.watchers.tell(number);
                }
            }
        }
    };
    let outcome = service.outcome(done, &trace_id).map(|outcome| with_queue(outcome, queued));
    if let (Ok(Outcome { verdict: Verdict::Cancelled, .. }), Some(Why::End)) = (&outcome, stop.why()) {
        return Ok(Left::Waits);
    }
    let told = outcome.as_ref().map_err(|refusing| refusing.refusal.code);
    service.spans.tell(context, &trace_id, &language, queued + begun.elapsed(), told);
    let outcome = outcome?;
    service.metrics.count(&language, &outcome);
    let is_cancelled = outcome.verdict == Verdict::Cancelled;
    let outcome = as_json(&firebox_api::Response::new(outcome, detail));
    Ok(Left::Ended(match is_cancelled {
        true => End::Cancelled { outcome: Some(outcome) },
        false => End::Done { outcome },
    }))
}

/// Writes down how it ended. What cannot be written is tried again: nobody is told of an end that is not on disk.
async fn write_down(jobs: &Jobs, number: i64, left: Left, output: Vec<String>, id: &str) -> &'static str {
    let status = match &left {
        Left::Waits => "queued",
        Left::Ended(End::Done { .. }) => "done",
        Left::Ended(End::Failed { .. }) => "failed",
        Left::Ended(End::Cancelled { .. }) => "cancelled",
    };
    let left = Arc::new((left, output));
    loop {
        let what = Arc::clone(&left);
        let written = jobs.database.write(move |connection| match &what.0 {
            Left::Waits => store::put_back(connection, number),
            Left::Ended(end) => {
                store::record(connection, number, &what.1)?;
                store::finish(connection, number, end)
            }
        });
        match written.await {
            Ok(()) => return status,
            Err(error) => error!(id, cause = in_one_line(&error), "cannot write down how a job ended"),
        }
        sleep(PAUSE).await;
    }
}
