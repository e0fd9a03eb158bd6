//! Whoever is killed leaves the old or the new, and nothing that cannot be removed.

mod kit;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firebox_image::{OciLayout, Store};
use kit::{Made, has, listing, moments, store, take, text};

/// How often somebody is killed.
const KILLS: u32 = 100;

#[test]
fn killed_a_hundred_times_at_any_moment_nothing_is_broken() {
    if !has(&["umoci"]) {
        return;
    }
    let made = Made::image();
    let reference = listing(&made.reference(), "%y %P %l");
    let opened = store(made.directory.path());
    // As long as one whole round takes, so that kills fall everywhere in it.
    let begun = Instant::now();
    round(&opened, &made.oci());
    let longest = begun.elapsed() * 2;

    let mut moment = moments(longest);
    let (mut found_names, mut left_drafts) = (0, 0);
    for kill in 0..KILLS {
        let mut children = [begin(&made), begin(&made)];
        std::thread::sleep(moment());
        for child in &mut children {
            child.kill().unwrap();
            // Whoever had ended before had met something that it could not deal with.
            assert_eq!(child.wait().unwrap().signal(), Some(9), "after kill {kill}, by itself");
        }
        let verified = opened.verify().unwrap();
        assert_eq!(verified.damages, [], "after kill {kill}");
        found_names += opened.names().unwrap().len();
        left_drafts += usize::from(std::fs::read_dir(opened.path().join("staging")).unwrap().count() != 0);
    }
    assert!(0 < found_names && 0 < left_drafts, "no kill fell where it matters: {found_names}, {left_drafts}");

    take(&opened, &OciLayout::directory(&made.oci(), None).unwrap(), "x").unwrap();
    let root = opened.hold(&"x".parse().unwrap()).unwrap().unwrap().tree().to_owned();
    assert_eq!(listing(&root, "%y %P %l"), reference);
    assert!(opened.remove_name(&"x".parse().unwrap()).unwrap());
    opened.collect().unwrap();
    for directory in ["blobs", "layers", "trees", "disks", "names", "proofs", "staging"] {
        assert_eq!(std::fs::read_dir(opened.path().join(directory)).unwrap().count(), 0, "{directory}");
    }
}

#[test]
fn a_hold_goes_with_whoever_had_it() {
    if !has(&["umoci"]) {
        return;
    }
    let made = Made::image();
    let opened = store(made.directory.path());
    take(&opened, &OciLayout::directory(&made.oci(), None).unwrap(), "x").unwrap();
    let mut child = start("one_hold_without_end", &made, Stdio::piped());
    let mut says = BufReader::new(child.stdout.take().unwrap()).lines();
    says.find(|line| line.as_ref().unwrap().contains("held")).unwrap().unwrap();
    opened.remove_name(&"x".parse().unwrap()).unwrap();
    assert_eq!(opened.collect().unwrap().in_use, 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(opened.collect().unwrap().in_use, 0);
    assert_eq!(std::fs::read_dir(opened.path().join("trees")).unwrap().count(), 0);
}

/// Run by the test above, in a process of its own, and killed.
#[test]
#[ignore = "waits to be killed: another test does that"]
fn one_hold_without_end() {
    let directory = PathBuf::from(std::env::var_os("FIREBOX_TEST_MADE").unwrap());
    let _held = store(&directory).hold(&"x".parse().unwrap()).unwrap().unwrap();
    std::io::stdout().write_all(b"held\n").unwrap();
    // Should nobody kill it.
    std::thread::sleep(Duration::from_secs(600));
}

/// Everything that changes the store.
fn round(store: &Store, oci: &Path) {
    let name = "x".parse().unwrap();
    take(store, &OciLayout::directory(oci, None).unwrap(), "x").unwrap();
    // Another may have removed it meanwhile.
    let _ = store.filesystem_image(&name);
    store.remove_name(&name).unwrap();
    let _ = store.collect();
}

fn begin(made: &Made) -> Child {
    start("rounds_without_end", made, Stdio::null())
}

/// One of the tests below, which another runs.
fn start(test: &str, made: &Made, stdout: Stdio) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("FIREBOX_TEST_MADE", made.path())
        .stdout(stdout)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Run by the test above, in processes of its own, and killed.
#[test]
#[ignore = "never ends: another test runs and kills it"]
fn rounds_without_end() {
    let directory = PathBuf::from(std::env::var_os("FIREBOX_TEST_MADE").unwrap());
    let store = store(&directory);
    let begun = Instant::now();
    // Should nobody kill it.
    while begun.elapsed() < Duration::from_secs(600) {
        round(&store, &directory.join("oci"));
    }
    assert!(text(&directory).is_empty(), "nobody killed it");
}
