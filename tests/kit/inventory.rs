//! What of Firebox is on this host, before a test and after it: every end-to-end test ends with that comparison.
//!
//! Firebox promises that nothing of a job is left when `firebox run` exits, so the comparison is made at once.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::serial::Serial;
use super::things::things_of_firebox;
use super::{Firebox, Outcome};

/// Takes this host's turn for something that must leave nothing behind, such as the control of an attack.
pub(crate) fn leaving_nothing<T>(act: impl FnOnce() -> T) -> T {
    let host = HostInventory::take();
    let done = act();
    host.assert_nothing_left();
    done
}

/// What comes of a call that leaves nothing behind.
pub(crate) fn outcome(call: Firebox) -> Outcome {
    leaving_nothing(|| call.outcome())
}

/// What was there before a test. Holds the tests' turn on this host, so that only one test runs at a time.
pub(crate) struct HostInventory {
    before: BTreeSet<String>,
    compared: Cell<bool>,
    _turn: Serial,
}

impl HostInventory {
    pub(crate) fn take() -> HostInventory {
        let turn = Serial::wait();
        HostInventory { before: things_of_firebox(), compared: Cell::new(false), _turn: turn }
    }

    /// What is there now and was not before.
    pub(crate) fn left(&self) -> Vec<String> {
        things_of_firebox().difference(&self.before).cloned().collect()
    }

    /// Waits until something with `text` in its line is there that was not before.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let left = self.left();
            if let Some(thing) = left.iter().find(|thing| thing.contains(text)) {
                return thing.clone();
            }
            assert!(Instant::now() < until, "nothing with {text:?} appeared; there is {left:#?}");
            std::thread::yield_now();
        }
    }

    pub(crate) fn assert_nothing_left(&self) {
        self.compared.set(true);
        let left = self.left();
        assert!(left.is_empty(), "left behind on this host: {left:#?}");
    }

    /// For a test that killed Firebox itself: the kernel has a moment to end what Firebox could not, and only what
    /// the next start sweeps up may be there longer.
    pub(crate) fn assert_only_cgroups_left_within(&self, moment: Duration) {
        let until = Instant::now() + moment;
        loop {
            let left: Vec<String> = self.left().into_iter().filter(|thing| !thing.starts_with("cgroup ")).collect();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < until, "still left {moment:?} after Firebox was killed: {left:#?}");
            std::thread::yield_now();
        }
    }
}

impl Drop for HostInventory {
    fn drop(&mut self) {
        let forgotten = !self.compared.get() && !std::thread::panicking();
        assert!(!forgotten, "this test took an inventory and never asked what was left");
    }
}
