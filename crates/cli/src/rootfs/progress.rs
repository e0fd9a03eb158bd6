//! How far an image is, in words, for whoever watches a terminal.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use firebox_image::Progress;

use crate::line::{Line, Worth, bar};

/// An image on its way in, and the line that tells of it.
pub(super) struct Watch {
    line: Line,
    far: Mutex<Far>,
}

impl Watch {
    pub(super) fn begin() -> Watch {
        Watch { line: Line::begin(), far: Mutex::default() }
    }

    pub(super) fn hear(&self, progress: Progress) {
        if self.line.is_watched() {
            // A thread that panicked has nothing to do with what is shown.
            let mut far = self.far.lock().unwrap_or_else(PoisonError::into_inner);
            let worth = far.hear(progress);
            self.line.show(worth, || far.in_words());
        }
    }
}

/// What was heard of an image.
#[derive(Default)]
struct Far {
    layers: usize,
    bytes: u64,
    /// Of each layer that anything was heard of.
    here: BTreeMap<usize, u64>,
    ready: usize,
    /// What takes its time after them, or in place of them.
    then: Option<&'static str>,
}

impl Far {
    fn hear(&mut self, progress: Progress) -> Worth {
        match progress {
            Progress::Found { layers, bytes } => (self.layers, self.bytes) = (layers, bytes),
            Progress::Transferred { layer, bytes } => {
                self.here.insert(layer, bytes);
                return Worth::InItsTurn;
            }
            Progress::Unpacking { layer, bytes } => drop(self.here.insert(layer, bytes)),
            Progress::Ready { .. } => self.ready += 1,
            Progress::Assembling => self.then = Some("laying out the root filesystem"),
            Progress::Surveying => self.then = Some("it is too large: finding out what it needs"),
        }
        Worth::AtOnce
    }

    fn in_words(&self) -> String {
        if let Some(then) = self.then {
            return then.to_owned();
        }
        let here: u64 = self.here.values().sum();
        format!("{}, {} of {} layers", bar(here, self.bytes), self.ready, self.layers)
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
            (Progress::Surveying, "it is too large: finding out what it needs"),
        ] {
            far.hear(progress);
            assert_eq!(far.in_words(), line);
        }
        let none = Far::default().in_words();
        assert!(none.starts_with("[########################] 0 of 0 MiB"), "{none}");
    }
}
