//! What the service says of what it does: lines for people on a terminal, JSON for everybody else.
//!
//! Lines have the names of jobs, never their code or output.

use std::io::{IsTerminal, stderr};

use tracing::Level;
use tracing_subscriber::fmt;

/// Starts writing to standard error.
pub(super) fn start() {
    let lines = fmt().with_max_level(Level::INFO).with_target(false).with_writer(stderr);
    // It is the first one, and nothing else in this program starts one.
    let _ = match stderr().is_terminal() {
        true => lines.try_init(),
        false => lines.json().flatten_event(true).try_init(),
    };
}
