//! `firebox snapshot list | inspect | remove`, as those meet them who keep snapshots.

#[path = "snapshots/frozen.rs"]
mod frozen;
mod kit;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use frozen::{CONTENT, Home, MACHINE};
use kit::{Finished, Firebox, firebox};
use serde_json::{Value, json};

const NAME: &str = "rust-512-1";

impl Home {
    fn call(&self, words: &[&str]) -> Firebox {
        firebox().args(["snapshot", "--home", self.path().to_str().unwrap()]).args(words)
    }

    fn json(&self, words: &[&str]) -> Value {
        let finished = self.call(words).arg("--json").run();
        assert_eq!((finished.code(), finished.stderr().as_str()), (0, ""), "{finished}");
        serde_json::from_slice(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished}"))
    }
}

/// Ends so, and says all this on standard error and nothing on the other.
#[track_caller]
fn assert_refused(finished: &Finished, code: i32, words: &[&str]) {
    assert_eq!((finished.code(), finished.stdout().as_str()), (code, ""), "{finished}");
    for word in words {
        assert!(finished.stderr().contains(word), "does not say {word:?}: {finished}");
    }
}

#[test]
fn where_there_is_none_that_is_said() {
    let home = Home::new();
    let listed = home.call(&["list"]).run();
    assert_eq!((listed.code(), listed.stdout().as_str()), (0, ""), "{listed}");
    assert!(listed.stderr().contains("there are no snapshots"), "{listed}");
    assert_eq!(home.json(&["list"]), json!([]));
    assert_refused(
        &home.call(&["inspect", NAME]).run(),
        2,
        &["there is no snapshot `rust-512-1`", "firebox snapshot list"],
    );
    assert_refused(
        &home.call(&["remove", "../x-512-1"]).run(),
        2,
        &["`../x-512-1` names no snapshot", "such as `rust-512-1`"],
    );
}

#[test]
fn a_machine_that_was_frozen_is_listed_inspected_and_removed() {
    let home = Home::new();
    let Some(record) = home.freeze(NAME, &[7; 1 << 20]) else { return };
    home.freeze("c++-64-2", b"").unwrap();
    let listed = home.json(&["list"]);
    let names: Vec<&Value> = listed.as_array().unwrap().iter().map(|snapshot| &snapshot["name"]).collect();
    assert_eq!(names, ["c++-64-2", NAME]);
    let table = home.call(&["list"]).run().stdout();
    let line = table.lines().last().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(table.starts_with("NAME ") && line.starts_with("rust-512-1 rust 512 MiB 1 "), "{table}");
    assert!(line.ends_with(" 2023-11-14T22:13:20Z 6.1.0-x debian"), "{table}");

    let snapshot = home.json(&["inspect", NAME]);
    for (what, is) in [
        ("language", json!("rust")),
        ("memory_mb", json!(512)),
        ("vcpus", json!(1)),
        ("machine_bytes", json!(MACHINE << 20)),
        ("image", json!("debian")),
        ("kernel", json!("6.1.0-x")),
        ("tool", Value::Null),
        ("digest", json!(record.digest().to_string())),
        ("state", json!(record.state.digest.to_string())),
    ] {
        assert_eq!(snapshot[what], is, "{what}");
    }
    let bytes = snapshot["bytes"].as_u64().unwrap();
    assert!((1 << 20..4 << 20).contains(&bytes), "only what is in the memory takes room: {bytes}");
    assert_eq!(listed[1]["bytes"], bytes);
    let place = snapshot["place"].as_str().unwrap();
    assert_eq!(Path::new(place).join("memory").metadata().unwrap().len(), MACHINE << 20);
    let lines = home.call(&["inspect", NAME]).run().stdout();
    assert!(lines.contains(place) && lines.ends_with("its state and its memory are what was frozen\n"), "{lines}");

    let unknown = home.call(&["remove", NAME, "rust-512-2"]).run();
    assert_refused(&unknown, 2, &["there is no snapshot `rust-512-2`", "did you mean `rust-512-1`?"]);
    assert_eq!(home.json(&["list"]), listed, "all or none");
    assert_eq!(home.call(&["remove", NAME, "c++-64-2"]).run().stdout(), "removed rust-512-1\nremoved c++-64-2\n");
    assert_eq!(home.json(&["list"]), json!([]));
    assert_eq!(fs::read_dir(home.path().join("snapshots/frozen")).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_not_what_was_frozen_is_named_with_what_to_do() {
    const AGAIN: &str = "firebox snapshot create";
    let cut = |path: &Path, length| File::options().write(true).open(path).unwrap().set_len(length).unwrap();
    let alter = |path: &Path, at| File::options().write(true).open(path).unwrap().write_all_at(b"other", at).unwrap();
    let home = Home::new();
    if home.freeze(NAME, b"content").is_none() {
        return;
    }
    let again = || home.freeze(NAME, b"content").unwrap();
    let inspected = || home.call(&["inspect", NAME]).run();

    // Nothing but its digest tells of this one.
    alter(&home.file("memory"), CONTENT);
    assert_refused(
        &inspected(),
        125,
        &["/memory`: what is in the memory of the snapshot is not what was written", AGAIN],
    );
    assert_refused(&inspected(), 125, &["--lang rust --mem 512 --vcpus 1"]);
    again();
    cut(&home.file("memory"), (MACHINE << 20) - 4096);
    assert_refused(&inspected(), 125, &["/memory` is damaged (it has 16773120 bytes and should have 16777216)", AGAIN]);
    again();
    cut(&home.file("state"), 100);
    assert_refused(&inspected(), 125, &["/state` is damaged (it has 100 bytes and should have ", AGAIN]);
    again();
    alter(&home.file("state"), 200);
    assert_refused(&inspected(), 125, &["/state` is damaged (it was altered", AGAIN]);
    let listed = home.call(&["list"]).run();
    assert_eq!(listed.code(), 0, "it is listed by its record: {listed}");
    again();
    alter(&home.file("record"), 0);
    assert_refused(&inspected(), 125, &["/record` is damaged (it was altered", AGAIN]);
    let listed = home.call(&["list"]).run();
    assert_eq!((listed.code(), listed.stdout().as_str()), (0, ""), "{listed}");
    assert!(listed.stderr().contains("rust-512-1: `") && listed.stderr().contains("/record` is damaged"), "{listed}");
    // What is damaged can be removed.
    assert_eq!(home.call(&["remove", NAME]).run().code(), 0);
    assert_eq!(home.json(&["list"]), json!([]));
}
