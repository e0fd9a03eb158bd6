//! Snapshots that jobs of tests go on from, which are made when the first one needs it; and jobs that insist on going on from one.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::firebox::{Firebox, firebox};
use super::kind::is_microvm;
use super::running::Finished;

/// What a job gets that asks for nothing.
pub(crate) const SIZE: [&str; 4] = ["--mem", "512", "--vcpus", "1"];
/// A machine that is emulated within one that is takes its time.
pub(crate) const TO_FREEZE: Duration = Duration::from_secs(300);

/// Where jobs run in microVMs there are images and a kernel for them. Else this says that it is skipped.
pub(crate) fn has_machines(test: &str) -> bool {
    if !is_microvm() {
        println!("skipped: {test}: machines are frozen where all jobs run in microVMs, which is in the lab");
    }
    is_microvm()
}

/// A call that goes on from the snapshot of a language, which is made if it was not yet.
pub(crate) fn clone(language: &str, code: &str) -> Firebox {
    has_snapshot(language);
    firebox().args(["host", "--lang", language, "--code", code]).args(SIZE).arg("--snapshot")
}

/// What a clone prints whose job ends well.
pub(crate) fn printed(clone: Firebox) -> String {
    let outcome = clone.arg("--json").outcome();
    assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
    assert_eq!(outcome.text("isolation"), "microvm", "{outcome}");
    outcome.stdout().to_owned()
}

/// Has a snapshot of this language there be, for all tests that keep snapshots where this one does.
pub(crate) fn has_snapshot(language: &str) {
    static THERE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut there = THERE.lock().unwrap_or_else(PoisonError::into_inner);
    if there.insert(language.to_owned()) && !list().contains(&format!("{language}-512-1")) {
        println!("measured: {}", freeze(language).stdout().trim());
    }
}

/// Makes one, whether there is one or not.
pub(crate) fn freeze(language: &str) -> Finished {
    let call = firebox().args(["snapshot", "create", "--lang", language]).args(SIZE).within(TO_FREEZE).run();
    assert_eq!(call.code(), 0, "{call}");
    call
}

fn list() -> String {
    let call = firebox().args(["snapshot", "list"]).run();
    assert_eq!(call.code(), 0, "{call}");
    call.stdout()
}
