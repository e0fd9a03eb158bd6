//! A span for each job, with its stages below it, for whoever collects spans (OpenTelemetry, OTLP).
//!
//! ```text
//! a job is over --> queue (bounded; what finds no room is dropped, and counted) --> exporter (a task) --> collector
//! ```
//!
//! No job waits for any of it. Spans hold names, times and verdicts; never code, and never output.

mod context;
mod endpoint;
mod exporter;
mod otlp;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use firebox_api::RefusalCode;
use firebox_engine::random_bytes;
use firebox_job::{Outcome, TraceId};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc::{Receiver, Sender, channel};

pub(crate) use context::TraceContext;
pub use endpoint::{NoEndpoint, SpanEndpoint};
pub(crate) use exporter::Exporter;

/// So many wait for a collector that is slow, or away.
const QUEUED: usize = 4096;

/// Where spans are handed in. What does not fit is dropped.
#[derive(Debug)]
pub(crate) struct Spans {
    queue: Option<Sender<JobSpan>>,
    other_end: Mutex<Option<Receiver<JobSpan>>>,
    pub(crate) dropped: Counter,
    pub(crate) exported: Counter,
}

/// What is told of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobSpan {
    pub(crate) trace: u128,
    pub(crate) id: u64,
    /// The client's own span, if it told.
    pub(crate) parent: Option<u64>,
    pub(crate) start: SystemTime,
    pub(crate) total: Duration,
    pub(crate) trace_id: String,
    pub(crate) language: String,
    /// The outcome's status, or why there is none.
    pub(crate) ending: Ending,
    pub(crate) stages: Vec<StageSpan>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    Outcome { status: String, exit_code: i32 },
    Refused { code: &'static str, is_fault: bool },
}

/// A part of a job, as an offset from its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StageSpan {
    pub(crate) id: u64,
    pub(crate) name: &'static str,
    pub(crate) start: Duration,
    pub(crate) took: Duration,
}

impl Spans {
    /// Collects spans, if anybody is to be told.
    pub(crate) fn new(are_wanted: bool) -> Spans {
        let (queue, other_end) = if are_wanted { Some(channel(QUEUED)).unzip() } else { (None, None) };
        Spans { queue, other_end: Mutex::new(other_end), dropped: Counter::default(), exported: Counter::default() }
    }

    /// What is handed in comes out there. There is one to take.
    pub(crate) fn take_other_end(&self) -> Option<Receiver<JobSpan>> {
        self.other_end.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Tells of a job that is over now, after so much time. Waits for nobody.
    pub(crate) fn tell(
        &self,
        context: Option<TraceContext>,
        trace_id: &TraceId,
        language: &str,
        total: Duration,
        done: Result<&Outcome, RefusalCode>,
    ) {
        let Some(queue) = &self.queue else { return };
        if context.is_some_and(|context| !context.is_sampled) {
            return;
        }
        let Ok(random) = random_bytes() else { return };
        let span = span(context, random, trace_id, language, total, done);
        if queue.try_send(span).is_err() {
            self.dropped.inc();
        }
    }
}

fn span(
    context: Option<TraceContext>,
    random: [u8; 16],
    trace_id: &TraceId,
    language: &str,
    total: Duration,
    done: Result<&Outcome, RefusalCode>,
) -> JobSpan {
    let random = u128::from_be_bytes(random);
    // None of them is zero, which would mean that there is none; that of the first stage is the next number.
    let id = (random >> 64) as u64 & (u64::MAX >> 1) | 1;
    let mut stages = Vec::new();
    let mut stage = |name, start, took| {
        let id = id + 1 + stages.len() as u64;
        stages.push(StageSpan { id, name, start, took });
    };
    let ending = match done {
        Err(code) => Ending::Refused { code: code.word(), is_fault: code == RefusalCode::Fault },
        Ok(outcome) => {
            let timing = &outcome.timing;
            stage("queue", Duration::ZERO, timing.queue);
            // Where a stage begins is known but for the time that its process takes to start.
            let begin = timing.queue + timing.stages.cell + timing.stages.store;
            if !timing.compile.is_zero() {
                stage("compile", begin, timing.compile);
            }
            if !timing.run.is_zero() {
                let end = timing.total.saturating_sub(timing.stages.end);
                stage("run", end.saturating_sub(timing.run).max(begin + timing.compile), timing.run);
            }
            Ending::Outcome { status: outcome.verdict.status().to_string(), exit_code: outcome.verdict.exit_code() }
        }
    };
    JobSpan {
        trace: context.map_or(random | 1, |context| context.trace),
        id,
        parent: context.map(|context| context.parent),
        start: SystemTime::now() - total,
        total,
        trace_id: trace_id.as_str().to_owned(),
        language: language.to_owned(),
        ending,
        stages,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(spans: &Spans, context: Option<TraceContext>) {
        spans.tell(context, &TraceId::new("t").unwrap(), "c", Duration::ZERO, Err(RefusalCode::Full));
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted_and_nobody_waits() {
        let spans = Spans::new(true);
        (0..QUEUED + 3).for_each(|_| tell(&spans, None));
        assert_eq!(spans.dropped.get(), 3);
        let mut other_end = spans.take_other_end().unwrap();
        assert!(other_end.try_recv().is_ok());
    }

    #[test]
    fn a_trace_that_its_client_does_not_collect_is_not_collected() {
        let spans = Spans::new(true);
        let mut other_end = spans.take_other_end().unwrap();
        let context = TraceContext { trace: 1, parent: 2, is_sampled: false };
        tell(&spans, Some(context));
        assert!(other_end.try_recv().is_err());
        tell(&spans, Some(TraceContext { is_sampled: true, ..context }));
        let span = other_end.try_recv().unwrap();
        assert_eq!((span.trace, span.parent), (1, Some(2)));
        assert!(span.id != 0);
    }
}
