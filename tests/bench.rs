//! `firebox bench`: what it tells is measured on both sides, and it leaves nothing behind.

mod kit;

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use kit::{Around, Fenced, Finished, HostInventory, assert_none_left, firebox, without_namespaces};
use rustix::process::Signal;
use serde_json::Value;

fn report(call: &Finished) -> Value {
    assert_eq!(call.code(), 0, "{call}");
    serde_json::from_slice(&call.stdout).unwrap_or_else(|error| panic!("no JSON on stdout ({error})\n{call}"))
}

fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} is no number: {report:#}"))
}

#[test]
fn each_language_asked_for_is_measured_in_a_cell_and_bare() {
    let host = HostInventory::take();
    let call = firebox().args(["bench", "--json", "--time", "500ms", "--lang", "py", "--lang", "bash"]).run();
    let report = report(&call);
    let languages: Vec<_> =
        report["languages"].as_array().into_iter().flatten().map(|line| &line["language"]).collect();
    assert_eq!(languages, ["python", "bash"], "{call}");
    for place in 0..2 {
        let of = |field: &str| number(&report, &format!("/languages/{place}/{field}"));
        let (job, bare, ratio) = (of("job_ms/median"), of("bare_ms/median"), of("ratio"));
        assert!((ratio - job / bare).abs() < 0.01, "{ratio} is not {job} by {bare}\n{call}");
        assert!(of("job_ms/lower_quartile") <= job && job <= of("job_ms/upper_quartile"), "{call}");
        // No process starts in less time than that, and no hello takes as long as this, on any side.
        for time in [job, bare] {
            assert!((0.1..5_000.0).contains(&time), "{time} ms are not believable\n{call}");
        }
        assert!(0.0 <= of("noise") && 2.0 <= of("runs"), "{call}");
    }
    // Starting Python is more work than starting Bash, by far: what is told of one is not the other's.
    assert!(number(&report, "/languages/1/bare_ms/median") < number(&report, "/languages/0/bare_ms/median"), "{call}");
    host.assert_nothing_left();
}

#[test]
fn compiled_code_is_measured_too_and_the_table_is_for_people() {
    let host = HostInventory::take();
    let call = firebox().args(["bench", "--time", "100ms", "--lang", "rust"]).run();
    assert_eq!(call.code(), 0, "{call}");
    let said = call.stdout();
    assert!(said.starts_with("HELLO IN") && said.contains("\nrust ") && said.contains("/rustc\n"), "{call}");
    assert!(said.contains("A ratio below 1 is faster than"), "{call}");
    host.assert_nothing_left();
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let host = HostInventory::take();
    let unknown = firebox().args(["bench", "--lang", "pythn"]).run();
    assert_eq!(unknown.code(), 2, "{unknown}");
    assert!(unknown.stderr().contains("python"), "the nearest name is said\n{unknown}");
    // Without a PATH, nothing is installed.
    let nothing = firebox().args(["bench", "--lang", "javascript"]).env("PATH", "/nonexistent").run();
    assert_eq!(nothing.code(), 125, "{nothing}");
    assert!(nothing.stderr().contains("there is nothing to measure"), "{nothing}");
    host.assert_nothing_left();
}

#[test]
fn a_measurement_that_is_stopped_leaves_nothing() {
    for (signal, ends) in [(Signal::INT, (None, Some(2))), (Signal::TERM, (Some(143), None))] {
        let host = HostInventory::take();
        let call = firebox().args(["bench", "--time", "100s", "--lang", "bash"]).start();
        host.wait_for("firebox-bench-");
        call.signal_group(signal);
        let call = call.wait();
        assert!(call.wall < Duration::from_secs(20), "{call}");
        assert_eq!((call.status.code(), call.status.signal()), ends, "{call}");
        host.assert_nothing_left();
    }
}

#[test]
fn where_there_are_no_jails_a_fence_is_measured_and_named() {
    if !kit::is_root("where_there_are_no_jails_a_fence_is_measured_and_named") {
        return;
    }
    let host = HostInventory::take();
    let filter = without_namespaces();
    let around = Around { through: &filter, ..Around::default() };
    let bench = firebox().args(["bench", "--json", "--time", "200ms", "--lang", "bash"]);
    let call = Fenced::by_a_user().call_with(&around, bench).run();
    assert_eq!(report(&call)["isolation"], "fence", "{call}");
    assert!(call.stderr().contains("weaker than a jail"), "{call}");
    assert_none_left(&call);
    host.assert_nothing_left();
}
