//! What the service says of what it does: lines for people on a terminal, JSON for everybody else.
//!
//! Lines have the names of requests and jobs, never code or output. Only our own are written: a library that speaks HTTP would tell
//! of what goes over its wires.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::LogLevel;

/// What our crates are called, at their beginning.
const OURS: &str = "firebox";

/// Starts writing to standard error.
pub(super) fn start(level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let ours = Targets::new().with_target(OURS, level);
    let lines = layer().with_target(false).with_writer(stderr);
    // It is the first one, and nothing else in this program starts one.
    let _ = match stderr().is_terminal() {
        true => registry().with(lines.with_filter(ours)).try_init(),
        false => {
            // All spans around a line, since the job's name is in one of them and the request's in another.
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(true);
            registry().with(lines.with_filter(ours)).try_init()
        }
    };
}
