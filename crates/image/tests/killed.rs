//! Whoever is killed leaves the old or the new, and nothing that cannot be removed.

mod kit;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firebox_image::{Credentials, Mirrors, OciLayout, Patience, Platform, Registry, Source, Store};
use kit::layout::Layout;
use kit::registry::{RealRegistry, Wants};
use kit::{Made, has, listing, moments, store, take, text};

/// How often somebody is killed, and how often on the way from a registry.
const KILLS: u32 = 100;
const KILLS_ON_THE_WAY: u32 = 40;

/// The image that nobody touches.
const STANDS: &str = "stands";

#[test]
fn killed_a_hundred_times_at_any_moment_nothing_is_broken() {
    if !has(&["umoci"]) {
        return;
    }
    kill_often(&Made::image(), &From::Directory, KILLS);
}

#[test]
fn killed_on_the_way_from_a_registry_nothing_is_broken() {
    if !has(&["umoci", "skopeo", "docker-registry"]) {
        return;
    }
    let made = Made::image();
    let real = RealRegistry::start(made.directory.path(), &Wants::Nothing);
    real.push(&format!("oci:{}/oci:x", made.path()), "x:y", &[]);
    kill_often(&made, &From::Registry(format!("{}/x:y", real.host)), KILLS_ON_THE_WAY);
}

/// Where the image is taken from, again and again.
enum From {
    Directory,
    /// By its reference there.
    Registry(String),
}

/// What tells it to those who are killed.
const REFERENCE: &str = "FIREBOX_TEST_REFERENCE";

impl From {
    fn open(&self, made: &Path) -> Box<dyn Source> {
        match self {
            From::Directory => Box::new(OciLayout::directory(&made.join("oci"), None).unwrap()),
            From::Registry(reference) => {
                let reference = reference.parse().unwrap();
                let (mirrors, nobody) = (Mirrors::default(), Credentials::default());
                Box::new(Registry::new(reference, &mirrors, &nobody, Patience::default()))
            }
        }
    }
}

fn kill_often(made: &Made, from: &From, kills: u32) {
    let reference = listing(&made.reference(), "%y %P %l");
    let opened = store(made.directory.path());
    let layout = Layout::new(made.directory.path().join("other"));
    let architecture = Platform::of_this_host().architecture;
    layout.call(&layout.image(&architecture), "x");
    let stands = take(&opened, &OciLayout::directory(layout.path(), None).unwrap(), STANDS).unwrap();
    // As long as one whole round takes, so that kills fall everywhere in it.
    let begun = Instant::now();
    round(&opened, &*from.open(made.directory.path()));
    let longest = begun.elapsed() * 2;

    let assert_sound = |kill: u32, what: &str| {
        assert_eq!(opened.verify().unwrap().damages, [], "{what}, after kill {kill}");
        let held = opened.hold(&STANDS.parse().unwrap()).unwrap().unwrap();
        assert_eq!(std::fs::read_to_string(held.tree().join("machine")).unwrap(), architecture, "{what}");
        assert_eq!(opened.record(&STANDS.parse().unwrap()).unwrap().as_ref(), Some(&stands), "{what}");
    };
    let left_drafts = || std::fs::read_dir(opened.path().join("staging")).unwrap().count();
    let mut moment = moments(longest);
    let (mut found_names, mut found_drafts) = (0, 0);
    for kill in 0..kills {
        let mut children = [begin(made, from), begin(made, from)];
        std::thread::sleep(moment());
        for child in &mut children {
            child.kill().unwrap();
            // Whoever had ended before had met something that it could not deal with.
            assert_eq!(child.wait().unwrap().signal(), Some(9), "after kill {kill}, by itself");
        }
        assert_sound(kill, "as it was left");
        found_names += opened.names().unwrap().len() - 1;
        found_drafts += usize::from(left_drafts() != 0);
        // Every other time what was left is left to those who come next.
        if kill % 2 == 1 {
            opened.collect().unwrap();
            assert_eq!(left_drafts(), 0, "after kill {kill}");
            assert_sound(kill, "after collecting");
        }
    }
    assert!(0 < found_names && 0 < found_drafts, "no kill fell where it matters: {found_names}, {found_drafts}");

    take(&opened, &*from.open(made.directory.path()), "x").unwrap();
    let root = opened.hold(&"x".parse().unwrap()).unwrap().unwrap().tree().to_owned();
    assert_eq!(listing(&root, "%y %P %l"), reference);
    for name in ["x", STANDS] {
        assert!(opened.remove_name(&name.parse().unwrap()).unwrap());
    }
    opened.collect().unwrap();
    for directory in ["blobs", "layers", "trees", "disks", "names", "proofs", "sending", "staging"] {
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
    let mut child = start("one_hold_without_end", &made, &From::Directory, Stdio::piped());
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
fn round(store: &Store, source: &dyn Source) {
    let name = "x".parse().unwrap();
    take(store, source, "x").unwrap();
    // Another may have removed it meanwhile.
    let _ = store.filesystem_image(&name);
    store.remove_name(&name).unwrap();
    let _ = store.collect();
}

fn begin(made: &Made, from: &From) -> Child {
    start("rounds_without_end", made, from, Stdio::null())
}

/// One of the tests below, which another runs.
fn start(test: &str, made: &Made, from: &From, stdout: Stdio) -> Child {
    let reference = match from {
        From::Directory => None,
        From::Registry(reference) => Some((REFERENCE, reference)),
    };
    Command::new(std::env::current_exe().unwrap())
        .envs(reference)
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("FIREBOX_TEST_MADE", made.path())
        .stdout(stdout)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Run by the tests above, in processes of their own, and killed.
#[test]
#[ignore = "never ends: another test runs and kills it"]
fn rounds_without_end() {
    let directory = PathBuf::from(std::env::var_os("FIREBOX_TEST_MADE").unwrap());
    let from = std::env::var(REFERENCE).map_or(From::Directory, From::Registry);
    let source = from.open(&directory);
    let store = store(&directory);
    let begun = Instant::now();
    // Should nobody kill it.
    while begun.elapsed() < Duration::from_secs(600) {
        round(&store, &*source);
    }
    assert!(text(&directory).is_empty(), "nobody killed it");
}
