//! `GET /metrics`: numbers for whoever operates this, in the text format of OpenMetrics, which Prometheus reads.
//!
//! No number has a label that a client can choose freely: languages are the catalogue's, statuses and reasons are ours.

use std::fmt;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use firebox_api::RefusalCode;
use firebox_engine::CellsEnded;
use firebox_job::{Outcome, Stages, Timing};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::jobs::Total;
use crate::openapi::{Answer, Content, Operation};
use crate::routes::House;
use crate::spans::Spans;

/// What the format is called.
const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels<const N: usize> = [(&'static str, String); N];

/// What is counted as it happens, and what is looked at when somebody asks.
pub(crate) struct Metrics {
    registry: Registry,
    jobs: Family<Labels<2>, Counter>,
    refused: Family<Labels<1>, Counter>,
    stages: Family<Labels<1>, Histogram>,
    running: Gauge,
    waiting: Gauge,
    cells_waiting: Family<Labels<1>, Gauge>,
    cells_leaving: Gauge,
    cells_gone: Counter,
    cells_leaked: Counter,
    memory: Gauge,
    kept: Family<Labels<1>, Gauge>,
    kept_bytes: Family<Labels<1>, Gauge>,
    webhooks: Family<Labels<1>, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    pub(crate) fn new(spans: &Spans) -> Metrics {
        let mut registry = Registry::with_prefix("firebox");
        let jobs = Family::default();
        registry.register("jobs", "Jobs that came to an outcome, by language and status", jobs.clone());
        let refused = Family::default();
        registry.register(
            "refused",
            "Requests that came to none, by the reason; `fault` is our fault",
            refused.clone(),
        );
        // It is there to be watched before it happens.
        let _ = refused.get_or_create(&[("code", RefusalCode::Fault.word().to_owned())]);
        // From twenty microseconds to more than five minutes.
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.000_02, 2.0, 25));
        let stages = Family::<Labels<1>, Histogram>::new_with_constructor(histogram);
        let help = "How long the parts of jobs took; `total` is all of it";
        registry.register_with_unit("job", help, Unit::Seconds, stages.clone());
        let (running, waiting) = (Gauge::default(), Gauge::default());
        registry.register("jobs_running", "Jobs that run now", running.clone());
        registry.register("jobs_waiting", "Jobs that wait for a place", waiting.clone());
        let cells_waiting = Family::default();
        registry.register("cells_waiting", "Cells that wait for jobs, by language", cells_waiting.clone());
        let (cells_leaving, cells_gone, cells_leaked) = (Gauge::default(), Counter::default(), Counter::default());
        registry.register("cells_leaving", "Cells that the warden is removing", cells_leaving.clone());
        registry.register("cells_gone", "Cells of which nothing is left, as the warden says", cells_gone.clone());
        let help =
            "Cells of which something may be left: the warden could not remove them, or was gone. Always 0, or look";
        registry.register("cells_leaked", help, cells_leaked.clone());
        let memory = Gauge::default();
        let help = "What this process has in memory";
        registry.register_with_unit("process_memory", help, Unit::Bytes, memory.clone());
        registry.register("spans_exported", "Jobs that a collector of spans was told of", spans.exported.clone());
        let help = "Jobs that a collector of spans was not told of, since it was slow or away";
        registry.register("spans_dropped", help, spans.dropped.clone());
        let (kept, kept_bytes) = (Family::default(), Family::default());
        let help = "Jobs in the state directory, by status; `queued` is how many wait for their turn there";
        registry.register("jobs_kept", help, kept.clone());
        registry.register_with_unit("jobs_kept", "What these hold, by status", Unit::Bytes, kept_bytes.clone());
        let webhooks = Family::default();
        let help = "Tries to tell of a job's end, by what became of them; `given_up` was the last of its job";
        registry.register("webhooks", help, webhooks.clone());
        Metrics {
            registry,
            jobs,
            refused,
            stages,
            running,
            waiting,
            cells_waiting,
            cells_leaving,
            cells_gone,
            cells_leaked,
            memory,
            kept,
            kept_bytes,
            webhooks,
        }
    }

    /// A job has come to its outcome.
    pub(crate) fn count(&self, language: &str, outcome: &Outcome) {
        let status = outcome.verdict.status().to_string();
        self.jobs.get_or_create(&[("language", language.to_owned()), ("status", status)]).inc();
        // Exhaustive: a new stage must be decided here.
        let Timing { queue, compile, run, total, stages } = outcome.timing;
        let Stages { cell, store, prepare, limit, start, compile: _, run: _, measure, end } = stages;
        for (stage, took) in [
            ("queue", queue),
            ("cell", cell),
            ("store", store),
            ("prepare", prepare),
            ("limit", limit),
            ("start", start),
            ("compile", compile),
            ("run", run),
            ("measure", measure),
            ("end", end),
            ("total", total),
        ] {
            self.stages.get_or_create(&[("stage", stage.to_owned())]).observe(took.as_secs_f64());
        }
    }

    /// Somebody was told of a job's end, or was not.
    pub(crate) fn webhook(&self, result: &str) {
        self.webhooks.get_or_create(&[("result", result.to_owned())]).inc();
    }

    /// A request has come to none.
    pub(crate) fn refused(&self, code: RefusalCode) {
        self.refused.get_or_create(&[("code", code.word().to_owned())]).inc();
    }
}

pub(crate) async fn metrics(State(house): State<House>) -> impl IntoResponse {
    let service = &house.service;
    let Metrics {
        registry,
        running,
        waiting,
        cells_waiting,
        cells_leaving,
        cells_gone,
        cells_leaked,
        memory,
        kept,
        kept_bytes,
        ..
    } = &service.metrics;
    let occupancy = service.admission.occupancy();
    running.set(occupancy.running as i64);
    waiting.set(occupancy.waiting as i64);
    for (language, count) in service.engine.waiting_cells() {
        cells_waiting.get_or_create(&[("language", language.to_owned())]).set(count as i64);
    }
    let CellsEnded { gone, leaked, leaving } = service.engine.cells_ended();
    cells_leaving.set(leaving as i64);
    // Somebody else may have asked at the same time: a counter does not go back.
    cells_gone.inner().fetch_max(gone, Ordering::Relaxed);
    cells_leaked.inner().fetch_max(leaked, Ordering::Relaxed);
    memory.set(resident().unwrap_or(0) as i64);
    if let Some(jobs) = &service.jobs {
        // Of a database that fails, the log tells; the last numbers stay.
        for Total { kind, count, bytes } in jobs.totals().await.unwrap_or_default() {
            kept.get_or_create(&[("status", kind.clone())]).set(count as i64);
            kept_bytes.get_or_create(&[("status", kind)]).set(bytes as i64);
        }
    }
    let mut text = String::new();
    // Writing to a text does not fail.
    let _ = encode(&mut text, registry);
    ([(header::CONTENT_TYPE, FORMAT)], text)
}

pub(crate) fn operation() -> Operation {
    let content = Content::text("application/openmetrics-text");
    let about = "For whoever operates the service, in the text format of OpenMetrics, which Prometheus reads.";
    Operation::new("metrics", "Read the metrics", about)
        .answers(Answer::new(StatusCode::OK, "Counters, gauges and histograms.").with(content))
}

/// What this process has in memory, in bytes.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix("kB")?;
    Some(kib.trim().parse::<u64>().ok()? * 1024)
}
