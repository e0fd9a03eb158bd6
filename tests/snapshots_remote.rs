//! `firebox snapshot upload`, `download` and `list --remote`, as those meet them who have two hosts and a bucket.

#[path = "snapshots/frozen.rs"]
mod frozen;
#[path = "../crates/image/tests/kit/mod.rs"]
mod images;
mod kit;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use firebox_image::Digest;
use frozen::{CONTENT, Home, MACHINE};
use images::between::{Between, Meddling, Rule};
use images::s3::{RealS3, objects};
use kit::{Dice, Finished, Firebox, firebox, is_root, tool};
use rustix::process::Signal;
use serde_json::Value;

const BUCKET: &str = "llm-firecracker";
const NAME: &str = "rust-512-1";
const UP: [&str; 5] = ["upload", "--lang", "rust", "--bucket", BUCKET];
const DOWN: [&str; 5] = ["download", "--lang", "rust", "--bucket", BUCKET];
const LIST: [&str; 4] = ["list", "--remote", "--bucket", BUCKET];

/// A server with a bucket, and a host with a snapshot.
struct Place {
    s3: RealS3,
    bucket: PathBuf,
    here: Home,
    _directory: tempfile::TempDir,
}

impl Place {
    /// None where what it takes is missing, which is said.
    fn find(content: &[u8]) -> Option<Place> {
        let directory = images::workshop();
        let s3 = RealS3::start(directory.path())?;
        let bucket = s3.make_bucket(BUCKET);
        let here = Home::new();
        here.freeze(NAME, content)?;
        Some(Place { s3, bucket, here, _directory: directory })
    }

    fn call(&self, home: &Home, words: &[&str]) -> Firebox {
        self.call_by(&self.s3.host, home.path(), words)
    }

    /// With the server's address and our key in the environment.
    fn call_by(&self, server: &str, home: &Path, words: &[&str]) -> Firebox {
        let called = firebox().env("HOME", "/nonexistent").envs(self.s3.variables(server));
        called.args(["snapshot", "--home", images::text(home)]).args(words)
    }
}

/// What nobody can compress, another for each seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (seed << 7);
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// What it prints with `--json`, when it goes well.
fn json(firebox: Firebox) -> Value {
    let finished = firebox.arg("--json").run();
    assert_eq!((finished.code(), finished.stderr().as_str()), (0, ""), "{finished}");
    serde_json::from_slice(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished}"))
}

#[track_caller]
fn assert_refused(finished: &Finished, code: i32, words: &[&str]) {
    assert_eq!((finished.code(), finished.stdout().as_str()), (code, ""), "{finished}");
    for word in words {
        assert!(finished.stderr().contains(word), "does not say {word:?}: {finished}");
    }
}

#[test]
fn a_snapshot_goes_from_one_host_to_the_other_and_nothing_travels_twice() {
    const PART: usize = 1 << 20;
    let Some(place) = Place::find(&noise(1, 4 * PART)) else { return };
    let empty = place.call(&place.here, &LIST).run();
    assert!(empty.code() == 0 && empty.stderr().contains("firebox snapshot upload"), "{empty}");

    let sent = place.call(&place.here, &UP).run();
    assert_eq!((sent.code(), sent.stderr().as_str()), (0, ""), "{sent}");
    let says = sent.stdout();
    assert!(says.starts_with("rust-512-1 is in s3://llm-firecracker at http://127.0.0.1:"), "{sent}");
    let before = objects(&place.bucket);
    let again = json(place.call(&place.here, &UP));
    assert_eq!((&again["sent"], &again["sent_bytes"]), (&0.into(), &0.into()), "{again}");
    assert_eq!(again["objects"], before.len() - 1, "all but the name");
    assert_eq!(objects(&place.bucket), before, "nothing was written again");

    // Nobody needs a place of one's own to see what is elsewhere.
    let nowhere = place.here.path().join("nowhere");
    let listed = json(place.call_by(&place.s3.host, &nowhere, &LIST));
    assert_eq!((&listed[0]["name"], listed.as_array().unwrap().len()), (&NAME.into(), 1));
    assert!(!nowhere.exists());

    let there = Home::new();
    let fetched = json(place.call(&there, &DOWN));
    assert!((4 * PART as u64..5 * PART as u64).contains(&fetched["fetched_bytes"].as_u64().unwrap()), "{fetched}");
    let [one, other] = [&place.here, &there].map(|home| json(place.call(home, &["inspect", NAME])));
    for what in ["name", "machine_bytes", "made", "image", "tree", "disk", "kernel", "state", "digest"] {
        assert_eq!(one[what], other[what], "{what}");
    }
    assert!(fs::read(place.here.file("memory")).unwrap() == fs::read(there.file("memory")).unwrap());
    assert!(fs::read(place.here.file("state")).unwrap() == fs::read(there.file("state")).unwrap());
    let [one, other] = [&one, &other].map(|inspected| inspected["bytes"].as_u64().unwrap());
    assert!(other <= one + (64 << 10), "it has as many holes: {one}, {other}");
    assert_eq!(json(place.call(&there, &DOWN))["fetched"], 0);

    // The next is like it but for one chunk, and that is what travels, both ways.
    let mut content = noise(1, 4 * PART);
    content[PART..2 * PART].copy_from_slice(&noise(2, PART));
    place.here.freeze(NAME, &content).unwrap();
    let sent = json(place.call(&place.here, &UP));
    assert!((2..=5).contains(&sent["sent"].as_u64().unwrap()), "a chunk, state, list, and what the guest did: {sent}");
    let bytes = PART as u64..2 * PART as u64;
    assert!(bytes.contains(&sent["sent_bytes"].as_u64().unwrap()), "{sent}");
    let fetched = json(place.call(&there, &DOWN));
    assert!(bytes.contains(&fetched["fetched_bytes"].as_u64().unwrap()), "{fetched}");
    assert!(fs::read(place.here.file("memory")).unwrap() == fs::read(there.file("memory")).unwrap());
    assert_eq!(fs::metadata(there.file("memory")).unwrap().len(), MACHINE << 20);
}

#[test]
fn what_is_wrong_is_said_with_what_to_do_about_it_and_leaves_both_sides_sound() {
    let Some(place) = Place::find(&noise(1, 1 << 20)) else { return };
    json(place.call(&place.here, &UP));
    let there = Home::new();
    let with = |words: &[&'static str], more: &[&'static str]| [words, more].concat();
    let no_bucket = |verb| [verb, "--lang", "rust", "--bucket", "no-such-bucket"];
    let before = objects(&place.bucket);
    for (called, code, says) in [
        (place.call(&place.here, &no_bucket("upload")), 2, &["there is no bucket `s3://no-such-bucket at http://"][..]),
        (place.call(&there, &no_bucket("download")), 2, &["there is no bucket", "AWS_REGION"]),
        (place.call(&there, &["list", "--remote", "--bucket", "no-such-bucket"]), 2, &["there is no bucket"]),
        (
            place.call(&place.here, &UP).env("AWS_SECRET_ACCESS_KEY", "wrong"),
            2,
            &["look for snapshot `rust-512-1`", "AWS_"],
        ),
        (place.call(&there, &LIST).env("AWS_SECRET_ACCESS_KEY", "wrong"), 2, &["does not let us list the snapshots"]),
        (place.call(&there, &UP), 2, &["there is no snapshot of `rust` here", "firebox snapshot list"]),
        (
            place.call(&there, &with(&DOWN, &["--vcpus", "2"])),
            2,
            &["no snapshot of `rust` for --vcpus 2 in s3://", "--remote"],
        ),
        (
            place.call(&there, &with(&DOWN, &["--mem", "64", "--vcpus", "2"])),
            2,
            &["has no snapshot `rust-64-2`", "firebox snapshot list --remote"],
        ),
        (place.call(&there, &["download", "--lang", "rus", "--bucket", BUCKET]), 2, &["no language is called"]),
        (place.call(&there, &with(&DOWN, &["--size", "1"])), 2, &["and 1 MiB is the most it may take", "`--size "]),
        (place.call_by("127.0.0.1:1", there.path(), &DOWN), 125, &["does not answer", "--endpoint"]),
    ] {
        assert_refused(&called.run(), code, says);
    }
    assert_eq!(objects(&place.bucket), before);

    let (chunk, length, _) = before.iter().max_by_key(|(_, length, _)| *length).unwrap();
    let file = place.bucket.join(chunk);
    let digest = format!("sha256:{}", file.file_name().unwrap().to_str().unwrap());
    const ANEW: &str = "upload --anew";
    File::options().write(true).open(&file).unwrap().write_all_at(b"other", length / 2).unwrap();
    assert_refused(&place.call(&there, &DOWN).run(), 2, &[&digest, "is damaged in `s3://", "cut off or altered", ANEW]);
    File::options().write(true).open(&file).unwrap().set_len(length / 2).unwrap();
    assert_refused(&place.call(&there, &DOWN).run(), 2, &[&digest, "is damaged in `s3://", "cut off or altered", ANEW]);
    fs::remove_file(&file).unwrap();
    assert_refused(&place.call(&there, &DOWN).run(), 2, &["lacks `", &digest, ANEW]);
    json(place.call(&place.here, &[&UP[..], &["--anew"]].concat()));
    assert_eq!(json(place.call(&there, &["list"])), Value::Array(Vec::new()), "nothing half is here");
    json(place.call(&there, &DOWN));

    // One that is damaged here does not get there.
    let before = objects(&place.bucket);
    File::options().write(true).open(place.here.file("memory")).unwrap().write_all_at(b"other", CONTENT).unwrap();
    let words =
        ["the snapshot `rust-512-1` in `", "is not what was frozen", "firebox snapshot create --lang rust --mem 512"];
    assert_refused(&place.call(&place.here, &UP).run(), 125, &words);
    assert_eq!(objects(&place.bucket), before);
}

#[test]
fn a_connection_that_breaks_off_is_said_and_the_next_call_goes_on() {
    let Some(place) = Place::find(&noise(1, 6 << 20)) else { return };
    let there = Home::new();
    let cut = |method, meddling, times| Rule { method, path: "/parts/", meddling, times };
    let broken = Between::start(&place.s3.host, &[cut("PUT", Meddling::Cut, 1000)]);
    assert_refused(
        &place.call_by(&broken.host, place.here.path(), &UP).run(),
        125,
        &["cannot send `sha256:", "5 times"],
    );
    assert!(!place.bucket.join("snapshots/names").exists(), "half a snapshot has no name");
    let objects = json(place.call(&place.here, &UP))["objects"].as_u64().unwrap();

    // What comes last is not to be had: chunks are fetched in the order of their digests.
    let memory = fs::read(place.here.file("memory")).unwrap();
    let full = memory.chunks(1 << 20).filter(|chunk| chunk.iter().any(|byte| *byte != 0));
    let last = full.map(Digest::of).max().unwrap().hex();
    let rule = Rule { method: "GET", path: String::leak(last), meddling: Meddling::Cut, times: 1000 };
    let broken = Between::start(&place.s3.host, &[rule]);
    let one_by_one = [&DOWN[..], &["--parallel", "1"]].concat();
    let refused = place.call_by(&broken.host, there.path(), &one_by_one).run();
    assert_refused(&refused, 125, &["cannot fetch `sha256:", "5 times"]);
    assert_eq!(json(place.call(&there, &["list"])), Value::Array(Vec::new()));
    let fetched = json(place.call(&there, &DOWN));
    assert_eq!((&fetched["fetched"], fetched["objects"].as_u64()), (&2.into(), Some(objects - 1)), "it and the state");
    json(place.call(&there, &["inspect", NAME]));
}

#[test]
fn a_full_disk_is_said_with_what_makes_room_and_is_not_kept_full() {
    if !is_root("a small filesystem") {
        return;
    }
    let Some(place) = Place::find(&noise(1, 6 << 20)) else { return };
    json(place.call(&place.here, &UP));
    let there = Home::new();
    let small = images::text(there.path());
    let script = format!(
        "mount -t tmpfs -o size=3m,mode=777 small {small} && {{ \"$@\"; code=$?; ls -A {small}/snapshots/fetching >&2; exit $code; }}"
    );
    let unshare = tool("unshare").into_os_string();
    let through = [unshare, "--mount".into(), "/bin/sh".into(), "-c".into(), script.into(), "sh".into()];
    let finished = place.call(&there, &DOWN).through(through).run();
    assert_refused(&finished, 125, &["No space left on device", "firebox snapshot remove", "FIREBOX_HOME"]);
    assert!(finished.stderr().trim_end().ends_with("on another disk"), "nothing is left of it: {finished}");
}

#[test]
fn whoever_is_killed_leaves_a_snapshot_there_or_none_and_both_sides_sound() {
    const KILLS: u32 = 8;
    let Some(place) = Place::find(&noise(1, 8 << 20)) else { return };
    let seed = Dice::seed();
    let mut dice = Dice::new(seed, 0);
    let reference = fs::read(place.here.file("memory")).unwrap();
    let begun = Instant::now();
    json(place.call(&place.here, &UP));
    let longest = begun.elapsed();
    let mut stopped = 0;
    for _ in 0..KILLS {
        fs::remove_dir_all(place.bucket.join("snapshots")).unwrap();
        let running = place.call(&place.here, &UP).start();
        // Whenever it falls: this is the moment, not something that is waited for.
        std::thread::sleep(dice.up_to(longest));
        running.signal(Signal::KILL);
        stopped += u32::from(running.wait().code() != 0);
        let is_named = place.bucket.join("snapshots/names").join(NAME).exists();
        let fetched = place.call(&Home::new(), &DOWN).run();
        assert_eq!(fetched.code() == 0, is_named, "seed {seed}: a name that is there is a whole snapshot: {fetched}");
        json(place.call(&place.here, &UP));
    }
    assert!(0 < stopped, "no kill came before the end");

    let begun = Instant::now();
    json(place.call(&Home::new(), &DOWN));
    let longest = begun.elapsed();
    let mut stopped = 0;
    for _ in 0..KILLS {
        let there = Home::new();
        let running = place.call(&there, &DOWN).start();
        std::thread::sleep(dice.up_to(longest));
        running.signal(Signal::KILL);
        stopped += u32::from(running.wait().code() != 0);
        let listed = json(place.call(&there, &["list"]));
        if !listed.as_array().unwrap().is_empty() {
            json(place.call(&there, &["inspect", NAME]));
        }
        json(place.call(&there, &DOWN));
        assert!(fs::read(there.file("memory")).unwrap() == reference, "seed {seed}");
        for directory in ["staging", "fetching"] {
            let left = fs::read_dir(there.path().join("snapshots").join(directory)).unwrap().count();
            assert_eq!(left, 0, "seed {seed}: in {directory}");
        }
    }
    assert!(0 < stopped, "no kill came before the end");
}

#[test]
fn progress_is_for_terminals_alone() {
    const WIPE: &str = "\r\u{1b}[K";
    let Some(place) = Place::find(&noise(1, 2 << 20)) else { return };
    let there = Home::new();
    for (home, words, ends) in [(&place.here, UP, "rust-512-1 is in s3://llm-firecracker"), (&there, DOWN, "NAME")] {
        let watched = place.call(home, &words).at_a_terminal().within(Duration::from_secs(60)).run();
        assert_eq!(watched.code(), 0, "{watched}");
        let shown = watched.stdout();
        let (lines, after) = shown.rsplit_once(WIPE).unwrap_or_else(|| panic!("nothing was wiped: {watched}"));
        assert!(after.starts_with(ends), "the line was not wiped before the end: {watched}");
        assert!(lines.contains("reading") && lines.contains("[....") && lines.contains(" MiB"), "{watched}");
    }
}
