//! `firebox rootfs upload`, `download` and `list --remote`, as those meet them who have two hosts and a bucket.

#[path = "../crates/image/tests/kit/mod.rs"]
mod images;
mod kit;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use images::Made;
use images::between::{Between, Meddling, Rule};
use images::registry::{RealRegistry, Wants, own_address};
use images::s3::{RealS3, objects};
use kit::{Dice, Firebox, firebox, is_root, tool};
use rustix::process::Signal;
use serde_json::Value;

/// A server with a bucket, and two hosts, the first of which has an image.
struct Place {
    made: Made,
    homes: tempfile::TempDir,
    s3: RealS3,
    bucket: PathBuf,
}

const BUCKET: &str = "llm-firecracker";

impl Place {
    /// None where what it takes is missing, which is said.
    fn find() -> Option<Place> {
        if !images::has(&["umoci"]) {
            return None;
        }
        let (made, homes) = (Made::image(), images::workshop());
        let s3 = RealS3::start(made.directory.path())?;
        let bucket = s3.make_bucket(BUCKET);
        // Whoever calls firebox: these tests run as an ordinary user, too.
        images::run("chmod", &["-R", "a+rX", made.path()]);
        fs::set_permissions(homes.path(), Permissions::from_mode(0o777)).unwrap();
        let place = Place { made, homes, s3, bucket };
        place.take("rust");
        Some(place)
    }

    fn take(&self, name: &str) {
        let oci = format!("oci:{}/oci:x", self.made.path());
        json(self.call("one", &["from-docker", "--name", name, "--image", &oci, "--size", "100"]));
    }

    fn home(&self, host: &str) -> PathBuf {
        self.homes.path().join(host)
    }

    /// On one of the hosts, with the server's address and our key in the environment.
    fn call(&self, host: &str, words: &[&str]) -> Firebox {
        self.call_by(&self.s3.host, host, words)
    }

    fn call_by(&self, server: &str, host: &str, words: &[&str]) -> Firebox {
        let called = firebox().env("HOME", "/nonexistent").envs(self.s3.variables(server));
        called.args(["rootfs", "--home", images::text(&self.home(host))]).args(words)
    }

    fn assert_sound(&self, host: &str) {
        let verified = json(self.call(host, &["verify"]));
        assert_eq!(verified["damages"], Value::Array(Vec::new()), "{verified}");
    }

    fn root(&self, host: &str, image: &Value) -> PathBuf {
        let tree = image["tree"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        self.home(host).join("images/trees").join(tree).join("root")
    }
}

/// What it prints with `--json`, when it goes well.
fn json(firebox: Firebox) -> Value {
    let finished = firebox.arg("--json").run();
    assert_eq!(finished.code(), 0, "{finished}");
    assert_eq!(finished.stderr(), "", "{finished}");
    serde_json::from_slice(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished}"))
}

const UP: [&str; 5] = ["upload", "--lang", "rust", "--bucket", BUCKET];
const DOWN: [&str; 5] = ["download", "--lang", "rust", "--bucket", BUCKET];
const LIST: [&str; 4] = ["list", "--remote", "--bucket", BUCKET];

#[test]
fn an_image_goes_from_one_host_to_the_other_and_nothing_travels_twice() {
    let Some(place) = Place::find() else { return };
    let empty = place.call("two", &LIST).run();
    assert!(empty.code() == 0 && empty.stdout().is_empty() && empty.stderr().contains("rootfs upload"), "{empty}");

    let sent = place.call("one", &UP).run();
    assert_eq!((sent.code(), sent.stderr().as_str()), (0, ""), "{sent}");
    let says = sent.stdout();
    assert!(
        says.starts_with("rust is in s3://llm-firecracker at http://127.0.0.1:") && says.ends_with(" MiB\n"),
        "{sent}"
    );
    let before = objects(&place.bucket);
    assert_eq!(before.len(), 5, "a manifest, a configuration, two layers and a name: {before:?}");
    let again = json(place.call("one", &UP));
    assert_eq!((&again["objects"], &again["sent"], &again["sent_bytes"]), (&4.into(), &0.into(), &0.into()), "{again}");
    assert_eq!(objects(&place.bucket), before, "nothing was written again");
    assert!(place.call("one", &UP).run().stdout().ends_with("everything of it was there\n"));

    // Nobody needs a store to see what is elsewhere.
    let listed = json(place.call("nowhere", &LIST));
    assert_eq!(listed[0]["name"], "rust");
    assert!(!place.home("nowhere").exists());
    let line = place.call("two", &LIST).run().stdout();
    assert!(line.lines().last().unwrap().starts_with("rust ") && line.contains(" MiB "), "{line}");

    let here = json(place.call("one", &["inspect", "rust"]));
    let there = json(place.call("two", &DOWN));
    assert_eq!(there, here);
    let form = "%y %m %P %l";
    assert_eq!(images::listing(&place.root("two", &there), form), images::listing(&place.root("one", &here), form));
    place.assert_sound("two");

    // What another image has in common with it neither goes nor comes again.
    place.take("also");
    let sent = json(place.call("one", &["upload", "--name", "also", "--bucket", "s3://llm-firecracker"]));
    assert_eq!(sent["sent"], 0, "{sent}");
    let between = Between::start(&place.s3.host, &[]);
    json(place.call_by(&between.host, "two", &["download", "--name", "also", "--bucket", BUCKET]));
    let layers = here["layers"].as_array().unwrap().iter().map(|layer| layer["blob"].as_str().unwrap()[7..].to_owned());
    for layer in layers {
        assert!(between.questions().iter().all(|question| !question.contains(&layer)), "{:?}", between.questions());
    }
    let names = json(place.call("two", &LIST))
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["name"].clone())
        .collect::<Vec<_>>();
    assert_eq!(names, ["also", "rust"]);

    // A folder of a bucket is a place of its own, and a flag says who keeps it as well as a variable.
    let url = format!("http://{}", place.s3.host);
    let folder = ["upload", "--lang", "rs", "--bucket", "s3://llm-firecracker/some/folder", "--endpoint", &url];
    assert_eq!(json(place.call("one", &folder).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1"))["sent"], 4);
    assert!(place.bucket.join("some/folder/names/rust").exists());
}

#[test]
fn what_is_wrong_is_said_with_what_to_do_about_it_and_leaves_both_sides_sound() {
    let Some(place) = Place::find() else { return };
    json(place.call("one", &UP));
    let before = objects(&place.bucket);
    let nowhere = format!("file://{}/nowhere", place.made.path());
    let no_bucket = |verb| place.call("one", &[verb, "--lang", "rust", "--bucket", "no-such-bucket"]);
    let key = |firebox: Firebox| firebox.env("AWS_ACCESS_KEY_ID", "somebody-else");
    let secret = |firebox: Firebox| firebox.env("AWS_SECRET_ACCESS_KEY", "a-wrong-secret");
    let who = ["AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "does not let us look for image `rust`"];
    for (firebox, code, says) in [
        (no_bucket("upload"), 2, &["there is no bucket `s3://no-such-bucket at http://", "AWS_ENDPOINT_URL"][..]),
        (no_bucket("download"), 2, &["there is no bucket `s3://no-such-bucket at http://", "AWS_REGION"]),
        (place.call("one", &["list", "--remote", "--bucket", "no-such-bucket"]), 2, &["there is no bucket"]),
        (key(place.call("one", &UP)), 2, &who),
        (secret(place.call("one", &UP)), 2, &who),
        (secret(place.call("two", &DOWN)), 2, &who),
        (secret(place.call("two", &LIST)), 2, &["does not let us list the images"]),
        (
            place.call_by("127.0.0.1:1", "one", &UP),
            125,
            &["`127.0.0.1:1` does not answer", "Connection refused", "--endpoint"],
        ),
        (
            place.call("two", &["download", "--lang", "python", "--bucket", BUCKET]),
            2,
            &["has no image `python`", "--remote"],
        ),
        (place.call("one", &["upload", "--lang", "python", "--bucket", BUCKET]), 2, &["there is no image `python`"]),
        (
            place.call("one", &["upload", "--lang", "pyton", "--bucket", BUCKET]),
            2,
            &["no language is called", "python"],
        ),
        (
            place.call("one", &["upload", "--lang", "rust", "--bucket", &nowhere]),
            2,
            &["there is no bucket", "make that directory"],
        ),
        (
            place.call("one", &["upload", "--lang", "rust", "--bucket", "ftp://x"]),
            2,
            &["`ftp://x` names no bucket", "s3://BUCKET/FOLDER", "gs://BUCKET/FOLDER", "az://CONTAINER/FOLDER"],
        ),
        (
            place.call("one", &["upload", "--lang", "rust", "--bucket", "az://x"]),
            2,
            &["Account must be specified", "AZURE_STORAGE_ACCOUNT_NAME"],
        ),
        (
            place
                .call("one", &["upload", "--lang", "rust", "--bucket", "gs://x", "--endpoint", "http://127.0.0.1:1"])
                .env("GOOGLE_BEARER_TOKEN", "a-wrong-secret"),
            125,
            &["`gs://x at http://127.0.0.1:1`", "does not answer", "GOOGLE_BASE_URL"],
        ),
        (
            place.call("two", &[&DOWN[..], &["--size", "1"]].concat()),
            2,
            &["and 1 MiB is the most it may take", "`--size "],
        ),
        (
            place.call("two", &[&DOWN[..], &["--quota", "1M"]].concat()),
            125,
            &["the quota is 1 MiB", "firebox rootfs gc"],
        ),
        (place.call("one", &UP).env("AWS_SKIP_SIGNATURE", "perhaps"), 2, &["makes no sense", "perhaps"]),
        (
            place.call("one", &[&UP[..], &["--endpoint", "http://192.0.2.1:9000"]].concat()),
            125,
            &["`192.0.2.1:9000` is not spoken to without TLS", "AWS_ALLOW_HTTP=true"],
        ),
    ] {
        let finished = firebox.run();
        assert_eq!(finished.code(), code, "{finished}");
        assert!(says.iter().all(|word| finished.stderr().contains(word)), "does not say {says:?}: {finished}");
        assert_eq!(finished.stdout(), "", "{finished}");
        let secrets = [RealS3::SECRET, "a-wrong-secret"];
        assert!(
            secrets.iter().all(|secret| !finished.stderr().contains(secret)),
            "a secret is nobody's business: {finished}"
        );
    }
    assert_eq!(objects(&place.bucket), before);
    place.assert_sound("one");
    place.assert_sound("two");
    assert_eq!(json(place.call("two", &["list"])), Value::Array(Vec::new()));
    json(place.call("two", &DOWN));
}

#[test]
fn a_connection_that_breaks_off_is_said_and_the_next_call_goes_on() {
    let Some(place) = Place::find() else { return };
    let cut = |method, path, meddling| Rule { method, path, meddling, times: 1000 };
    let broken = Between::start(&place.s3.host, &[cut("PUT", "/blobs/", Meddling::Cut)]);
    let finished = place.call_by(&broken.host, "one", &UP).run();
    assert_eq!(finished.code(), 125, "{finished}");
    assert!(finished.stderr().contains("cannot send `sha256:") && finished.stderr().contains("5 times"), "{finished}");
    assert!(!place.bucket.join("names").exists(), "half an image has no name");
    json(place.call("one", &UP));

    let broken = Between::start(&place.s3.host, &[cut("GET", "/blobs/", Meddling::CutAnswer(1000))]);
    let finished = place.call_by(&broken.host, "two", &DOWN).run();
    assert_eq!(finished.code(), 125, "{finished}");
    assert!(finished.stderr().contains("fetch `sha256:") && finished.stderr().contains("5 times"), "{finished}");
    place.assert_sound("two");
    json(place.call("two", &DOWN));
    place.assert_sound("two");
}

#[test]
fn a_server_with_tls_is_trusted_by_its_certificate_alone() {
    if !images::has(&["docker-registry", "openssl"]) {
        return;
    }
    if own_address().is_none() {
        images::skipped("this host has no address but its loopback one, where nobody needs TLS");
        return;
    }
    // It speaks no S3, but TLS it does.
    let (directory, home) = (images::workshop(), images::workshop());
    let server = RealRegistry::start(directory.path(), &Wants::Tls);
    images::run("chmod", &["-R", "a+rX", images::text(directory.path())]);
    let endpoint = format!("https://{}", server.host);
    let ask = || {
        let keys = [("AWS_ACCESS_KEY_ID", RealS3::KEY), ("AWS_SECRET_ACCESS_KEY", RealS3::SECRET)];
        let called = keys
            .into_iter()
            .fold(firebox().env("HOME", "/nonexistent"), |called, (name, value)| called.env(name, value));
        let home = images::text(home.path());
        called.args(["rootfs", "--home", home]).args(LIST).args(["--endpoint", &endpoint])
    };
    let known = ask().env("SSL_CERT_FILE", directory.path().join("authority.pem")).run();
    assert!(known.code() == 2 && known.stderr().contains("the answer is 404"), "{known}");
    let unknown = ask().run();
    assert!(unknown.code() == 125 && unknown.stderr().contains("certificate"), "{unknown}");
}

#[test]
fn an_image_that_is_damaged_there_is_found_and_sent_anew() {
    let Some(place) = Place::find() else { return };
    json(place.call("one", &UP));
    let (layer, length, _) = objects(&place.bucket).into_iter().max_by_key(|(_, length, _)| *length).unwrap();
    fs::write(place.bucket.join(&layer), vec![7; length as usize]).unwrap();
    let finished = place.call("two", &DOWN).run();
    assert_eq!(finished.code(), 2, "{finished}");
    assert!(
        finished.stderr().contains("has another content") && finished.stderr().contains("upload --anew"),
        "{finished}"
    );
    place.assert_sound("two");
    assert_eq!(json(place.call("one", &[&UP[..], &["--anew"]].concat()))["sent"], 4);
    json(place.call("two", &DOWN));
}

#[test]
fn progress_is_for_terminals_alone() {
    const WIPE: &str = "\r\u{1b}[K";
    let Some(place) = Place::find() else { return };
    for (host, words, ends) in [("one", UP, "rust is in s3://llm-firecracker"), ("two", DOWN, "NAME")] {
        let watched = place.call(host, &words).at_a_terminal().within(Duration::from_secs(60)).run();
        assert_eq!(watched.code(), 0, "{watched}");
        let shown = watched.stdout();
        let (lines, after) = shown.rsplit_once(WIPE).unwrap_or_else(|| panic!("nothing was wiped: {watched}"));
        assert!(after.starts_with(ends), "the line was not wiped before the end: {watched}");
        let lines: Vec<&str> = lines.split(WIPE).filter(|line| !line.is_empty()).collect();
        let (last, before) = lines.split_last().unwrap_or_else(|| panic!("no line was drawn: {watched}"));
        let far: Vec<Far> =
            before.iter().map(|line| Far::of(line).unwrap_or_else(|| panic!("{line:?}: {watched}"))).collect();
        assert!(far.is_sorted(), "it went backwards: {watched}");
        assert!(far.iter().all(|far| far.mib <= far.of && far.layers <= 2), "more than there is: {watched}");
        assert_eq!(far.first().map(|far| far.layers), Some(0), "it began with nothing: {watched}");
        match host {
            "one" => assert_eq!(Far::of(last), Some(Far { layers: 2, mib: far[0].of, of: far[0].of }), "{watched}"),
            _ => assert_eq!(*last, "laying out the root filesystem", "{watched}"),
        }
    }
    // To a pipe it says what came of it, and nothing on the way.
    for (host, words) in [("one", [&UP[..], &["--anew"]].concat()), ("three", DOWN.to_vec())] {
        let quiet = place.call(host, &words).env("TERM", "xterm").run();
        assert!(quiet.code() == 0 && quiet.stderr().is_empty(), "{quiet}");
        assert!(!quiet.stdout.iter().any(|byte| byte.is_ascii_control() && *byte != b'\n'), "{quiet}");
    }
}

/// What a line says of how far it is, in the order in which that grows.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Far {
    mib: u64,
    layers: u64,
    of: u64,
}

impl Far {
    /// `[####....] 3 of 6 MiB, 0 of 2 layers`
    fn of(line: &str) -> Option<Far> {
        let (bar, says) = line.strip_prefix('[')?.split_once("] ")?;
        let (bytes, layers) = says.split_once(" MiB, ")?;
        let (mib, of) = bytes.split_once(" of ")?;
        let far = Far {
            mib: mib.parse().ok()?,
            layers: layers.strip_suffix(" of 2 layers")?.parse().ok()?,
            of: of.parse().ok()?,
        };
        bar.chars().all(|part| "#.".contains(part)).then_some(far)
    }
}

#[test]
fn a_full_disk_is_said_with_what_makes_room() {
    if !is_root("a small filesystem") {
        return;
    }
    let Some(place) = Place::find() else { return };
    json(place.call("one", &UP));
    let through = |small: &Path, size: &str| {
        let mounted = format!("mount -t tmpfs -o size={size},mode=777 small {} && exec \"$@\"", small.display());
        let unshare = tool("unshare").into_os_string();
        [unshare, "--mount".into(), "/bin/sh".into(), "-c".into(), mounted.into(), "sh".into()]
    };
    let home = place.home("small");
    fs::create_dir(&home).unwrap();
    let finished = place.call("small", &DOWN).through(through(&home, "2m")).run();
    assert_eq!(finished.code(), 125, "{finished}");
    for word in ["No space left on device", "firebox rootfs gc", "FIREBOX_HOME"] {
        assert!(finished.stderr().contains(word), "{word}: {finished}");
    }
    let shelf = place.homes.path().join("shelf");
    fs::create_dir(&shelf).unwrap();
    fs::set_permissions(&shelf, Permissions::from_mode(0o777)).unwrap();
    let to_shelf = ["upload", "--lang", "rust", "--bucket", &format!("file://{}", shelf.display())];
    let finished = place.call("one", &to_shelf).through(through(&shelf, "1m")).run();
    assert_eq!(finished.code(), 125, "{finished}");
    assert!(
        finished.stderr().contains("No space left on device") && finished.stderr().contains("make room there"),
        "{finished}"
    );
    json(place.call("one", &to_shelf));
}

#[test]
fn whoever_is_killed_leaves_an_image_there_or_none_and_a_sound_store() {
    const KILLS: u32 = 10;
    let Some(place) = Place::find() else { return };
    let reference = json(place.call("one", &["inspect", "rust"]));
    let seed = Dice::seed();
    let mut dice = Dice::new(seed, 0);
    let wipe = || {
        for entry in fs::read_dir(&place.bucket).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
    };
    let begun = Instant::now();
    json(place.call("one", &UP));
    let longest = begun.elapsed();
    let mut stopped = 0;
    for _ in 0..KILLS {
        wipe();
        let running = place.call("one", &UP).start();
        // Whenever it falls: this is the moment, not something that is waited for.
        std::thread::sleep(dice.up_to(longest));
        running.signal(Signal::KILL);
        stopped += u32::from(running.wait().code() != 0);
        let is_named = place.bucket.join("names/rust").exists();
        let fetched = place.call("check", &DOWN).run();
        assert_eq!(fetched.code() == 0, is_named, "seed {seed}: a name that is there is a whole image: {fetched}");
        json(place.call("one", &UP));
    }
    assert!(0 < stopped, "no kill came before the end");
    place.assert_sound("one");

    let begun = Instant::now();
    json(place.call("measure", &DOWN));
    let longest = begun.elapsed();
    let mut stopped = 0;
    for kill in 0..KILLS {
        let host = format!("killed-{kill}");
        let running = place.call(&host, &DOWN).start();
        std::thread::sleep(dice.up_to(longest));
        running.signal(Signal::KILL);
        stopped += u32::from(running.wait().code() != 0);
        place.assert_sound(&host);
        assert_eq!(json(place.call(&host, &DOWN)), reference, "seed {seed}");
        place.assert_sound(&host);
    }
    assert!(0 < stopped, "no kill came before the end");
}
