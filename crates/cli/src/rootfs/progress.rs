//! How far an image is, for whoever watches a terminal: one line that is drawn over again. Nobody else is told anything.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use firebox_image::Progress;

use crate::outlet;

/// How often the line is drawn at most: more often, nobody could read it.
const PAUSE: Duration = Duration::from_millis(100);
/// Goes to the line's begin and wipes what stands there.
const WIPE: &str = "\r\x1b[K";
/// How wide the bar is.
const BAR: u64 = 24;

/// The line. Wiped when it is dropped.
pub(super) struct Line {
    is_watched: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    far: Far,
    drawn: Option<Instant>,
}

/// What was heard of an image.
#[derive(Default)]
struct Far {
    layers: usize,
    bytes: u64,
    /// Of each layer that anything was heard of.
    here: BTreeMap<usize, u64>,
    ready: usize,
    assembles: bool,
}

impl Line {
    /// On our standard error, if that is a terminal that knows how to wipe a line.
    pub(super) fn begin() -> Line {
        let knows = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        Line { is_watched: knows && stderr().is_terminal(), state: Mutex::default() }
    }

    pub(super) fn hear(&self, progress: Progress) {
        if !self.is_watched {
            return;
        }
        let mut state = self.state();
        let State { far, drawn } = &mut *state;
        let is_step = far.hear(progress);
        if is_step || drawn.is_none_or(|drawn| PAUSE <= drawn.elapsed()) {
            outlet::remark(&format!("{WIPE}{}", far.in_words()));
            *drawn = Some(Instant::now());
        }
    }

    /// A thread that panicked has nothing to do with what is shown.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.state().drawn.is_some() {
            outlet::remark(WIPE);
        }
    }
}

impl Far {
    /// Whether it is worth being shown at once.
    fn hear(&mut self, progress: Progress) -> bool {
        match progress {
            Progress::Found { layers, bytes } => (self.layers, self.bytes) = (layers, bytes),
            Progress::Transferred { layer, bytes } => {
                self.here.insert(layer, bytes);
                return false;
            }
            Progress::Unpacking { layer, bytes } => drop(self.here.insert(layer, bytes)),
            Progress::Ready { .. } => self.ready += 1,
            Progress::Assembling => self.assembles = true,
        }
        true
    }

    /// Short enough for any terminal: a line that is broken in two cannot be wiped.
    fn in_words(&self) -> String {
        if self.assembles {
            return "laying out the root filesystem".to_owned();
        }
        let here: u64 = self.here.values().sum();
        let filled = here.saturating_mul(BAR).checked_div(self.bytes).unwrap_or(BAR).min(BAR) as usize;
        let bar = format!("{}{}", "#".repeat(filled), ".".repeat(BAR as usize - filled));
        let (here, all) = (here >> 20, self.bytes.div_ceil(1 << 20));
        format!("[{bar}] {here} of {all} MiB, {} of {} layers", self.ready, self.layers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_it_is_in_bytes_and_layers() {
        let mut far = Far::default();
        for (progress, line) in [
            (Progress::Found { layers: 2, bytes: 48 << 20 }, "[........................] 0 of 48 MiB, 0 of 2 layers"),
            (
                Progress::Transferred { layer: 1, bytes: 12 << 20 },
                "[######..................] 12 of 48 MiB, 0 of 2 layers",
            ),
            (
                Progress::Unpacking { layer: 0, bytes: 24 << 20 },
                "[##################......] 36 of 48 MiB, 0 of 2 layers",
            ),
            (Progress::Ready { layer: 0 }, "[##################......] 36 of 48 MiB, 1 of 2 layers"),
            (Progress::Assembling, "laying out the root filesystem"),
        ] {
            far.hear(progress);
            assert_eq!(far.in_words(), line);
        }
        let none = Far::default().in_words();
        assert!(none.starts_with("[########################] 0 of 0 MiB"), "{none}");
    }
}
