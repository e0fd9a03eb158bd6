//! Snapshots that jobs of tests go on from, which are made when the first one needs it; and jobs that insist on going on from one.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::firebox::{Firebox, firebox};
use super::kind::is_microvm;

/// What a job gets that asks for nothing.
const SIZE: [&str; 4] = ["--mem", "512", "--vcpus", "1"];
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
        let call = freezing(language, &SIZE).run();
        assert_eq!(call.code(), 0, "{call}");
        println!("measured: {}", call.stdout().trim());
    }
}

/// A call that makes one, whether there is one or not.
pub(crate) fn freezing(language: &str, size: &[&str]) -> Firebox {
    firebox().args(["snapshot", "create", "--lang", language]).args(size.iter().copied()).within(TO_FREEZE)
}

/// Where it is then.
pub(crate) fn place_of(freezing: Firebox) -> PathBuf {
    let call = freezing.arg("--json").run();
    assert_eq!(call.code(), 0, "{call}");
    let made: serde_json::Value = serde_json::from_str(&call.stdout()).expect("JSON");
    PathBuf::from(made["place"].as_str().expect("a place"))
}

fn list() -> String {
    let call = firebox().args(["snapshot", "list"]).run();
    assert_eq!(call.code(), 0, "{call}");
    call.stdout()
}
