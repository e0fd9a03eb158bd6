//! A line for whoever watches a terminal, drawn over again as long work goes on. Nobody else is told anything.

use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::outlet;

/// How often the line is drawn at most: more often, nobody could read it.
const PAUSE: Duration = Duration::from_millis(100);
/// Goes to the line's begin and wipes what stands there.
const WIPE: &str = "\r\x1b[K";

/// The line. Wiped when it is dropped.
pub(crate) struct Line {
    is_watched: bool,
    drawn: Mutex<Option<Instant>>,
}

/// Whether something is worth being shown at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    AtOnce,
    InItsTurn,
}

impl Line {
    /// On our standard error, if that is a terminal that knows how to wipe a line.
    pub(crate) fn begin() -> Line {
        let knows = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        Line { is_watched: knows && stderr().is_terminal(), drawn: Mutex::default() }
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.is_watched
    }

    /// Draws it, if it is time to. The words are short enough for any terminal: a line that is broken in two cannot be wiped.
    pub(crate) fn show(&self, worth: Worth, words: impl FnOnce() -> String) {
        if !self.is_watched {
            return;
        }
        let mut drawn = self.drawn();
        if worth == Worth::AtOnce || drawn.is_none_or(|drawn| PAUSE <= drawn.elapsed()) {
            outlet::remark(&format!("{WIPE}{}", words()));
            *drawn = Some(Instant::now());
        }
    }

    /// A thread that panicked has nothing to do with what is shown.
    fn drawn(&self) -> MutexGuard<'_, Option<Instant>> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.drawn().is_some() {
            outlet::remark(WIPE);
        }
    }
}

/// How wide the bar is.
const BAR: u64 = 24;

/// How much of something is here: a bar, and MiB. Only all of it is as many as there are.
pub(crate) fn bar(here: u64, all: u64) -> String {
    let filled = here.saturating_mul(BAR).checked_div(all).unwrap_or(BAR).min(BAR) as usize;
    let bar = format!("{}{}", "#".repeat(filled), ".".repeat(BAR as usize - filled));
    let all_mib = all.div_ceil(1 << 20);
    let here_mib = if here < all { here >> 20 } else { all_mib };
    format!("[{bar}] {here_mib} of {all_mib} MiB")
}
