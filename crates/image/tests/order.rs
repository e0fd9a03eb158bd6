//! What the disk is told, and when: everything that a name stands for before the name.

mod kit;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use firebox_image::OciLayout;
use kit::{Made, has, store, strace, take, text};

/// What a process asked of the system, as `strace` has it: `rename("…/staging/x", "…/names/x") = 0`.
fn asked(made: &Made, name: &str) -> Vec<String> {
    let trace = made.directory.path().join("trace");
    let status = Command::new("strace")
        .args(["-f", "-y", "-s", "4096", "-e", "trace=fsync,syncfs,rename,renameat,renameat2", "-o", text(&trace)])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "one_image", "--ignored"])
        .env("FIREBOX_TEST_MADE", made.path())
        .env("FIREBOX_TEST_NAME", name)
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
    let lines = whole(&std::fs::read_to_string(trace).unwrap());
    lines.into_iter().filter(|line| line.ends_with("= 0")).collect()
}

/// Each call where it ended: the line of one is broken where another thread has something to say.
fn whole(trace: &str) -> Vec<String> {
    let mut begun = BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        if let Some(call) = line.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, call);
        } else if let Some((_, rest)) =
            call.trim_start().strip_prefix("<... ").and_then(|call| call.split_once(" resumed>"))
        {
            calls.push(format!("{}{rest}", begun.remove(thread).unwrap()));
        } else {
            calls.push(line.to_owned());
        }
    }
    calls
}

#[test]
fn a_call_whose_line_was_broken_is_one_all_the_same() {
    let trace = "7 rename(\"a\", \"b\" <unfinished ...>\n8 fsync(3</x>)      = 0\n7 <... rename resumed>)  = 0\n";
    assert_eq!(whole(trace), ["8 fsync(3</x>)      = 0", "7 rename(\"a\", \"b\")  = 0"]);
}

/// Where the first line is that has all these words.
fn position(lines: &[String], words: &[&str]) -> usize {
    let found = lines.iter().position(|line| words.iter().all(|word| line.contains(word)));
    found.unwrap_or_else(|| panic!("nowhere {words:?} in {lines:#?}"))
}

#[test]
fn the_disk_knows_of_everything_before_it_knows_of_the_name() {
    if !has(&["umoci"]) || !strace::may_be() {
        return;
    }
    let made = Made::image();
    let first = asked(&made, "first");
    let named = position(&first, &["rename(", "/names/first"]);
    for (content, place) in [("fsync(", "/blobs/"), ("syncfs(", "/layers/"), ("syncfs(", "/trees/")] {
        let placed = position(&first, &["rename(", place]);
        let kind = place.trim_matches('/');
        let written = position(&first, &[content, &format!("/staging/{kind}-")]);
        let known = position(&first, &["fsync(", &format!("/store/{kind}>")]);
        assert!(written < placed && placed < known && known < named, "{place}: {first:#?}");
    }
    let written = position(&first, &["fsync(", "/staging/file-"]);
    let known = position(&first, &["fsync(", "/store/names>"]);
    assert!(written < named && named < known, "{first:#?}");
    // The store's own directories are known of before anything is in them.
    assert!(position(&first, &["fsync(", "/store>"]) < position(&first, &["rename(", "/blobs/"]), "{first:#?}");

    // Another, who finds everything there, cannot tell whether who put it there has come that far.
    let second = asked(&made, "second");
    let named = position(&second, &["rename(", "/names/second"]);
    for kind in ["blobs", "layers", "trees"] {
        assert!(position(&second, &["fsync(", &format!("/store/{kind}>")]) < named, "{kind}: {second:#?}");
    }
}

/// Run by the test above, in a process of its own.
#[test]
#[ignore = "another test runs it and looks"]
fn one_image() {
    let made = std::env::var("FIREBOX_TEST_MADE").unwrap();
    let oci = OciLayout::directory(&Path::new(&made).join("oci"), None).unwrap();
    take(&store(Path::new(&made)), &oci, &std::env::var("FIREBOX_TEST_NAME").unwrap()).unwrap();
}
