//! `firebox rootfs`, as those meet it who have an image somewhere and want it here.

#[path = "../crates/image/tests/kit/mod.rs"]
mod images;
mod kit;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use images::Made;
use images::registry::{RealRegistry, Wants};
use kit::{Dice, Firebox, firebox, is_root, tool};
use rustix::process::Signal;
use serde_json::Value;

const TOOLS: [&str; 4] = ["umoci", "skopeo", "docker-registry", "htpasswd"];

/// An image by standard tools, and a directory for what firebox keeps.
struct Place {
    made: Made,
    home: tempfile::TempDir,
}

impl Place {
    /// None where the tools are missing, which is said.
    fn find() -> Option<Place> {
        images::has(&TOOLS).then(|| {
            let (made, home) = (Made::image(), images::workshop());
            // Whoever calls firebox: these tests run as an ordinary user, too.
            images::run("chmod", &["-R", "a+rX", made.path()]);
            fs::set_permissions(home.path(), Permissions::from_mode(0o777)).unwrap();
            Place { made, home }
        })
    }

    fn oci(&self) -> String {
        format!("oci:{}/oci:x", self.made.path())
    }

    fn call(&self, words: &[&str]) -> Firebox {
        self.call_at(&self.home.path().join("home"), words)
    }

    fn call_at(&self, home: &Path, words: &[&str]) -> Firebox {
        // Whoever runs the tests may be logged in somewhere.
        firebox().env("HOME", "/nonexistent").args(["rootfs", "--home", images::text(home)]).args(words)
    }

    fn take(&self, name: &str, image: &str, more: &[&str]) -> Firebox {
        self.call(&[&["from-docker", "--name", name, "--image", image, "--size", "100"], more].concat())
    }

    /// What it prints with `--json`, when it goes well.
    fn json(&self, firebox: Firebox) -> Value {
        let finished = firebox.arg("--json").run();
        assert_eq!(finished.code(), 0, "{finished}");
        assert_eq!(finished.stderr(), "", "{finished}");
        serde_json::from_slice(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished}"))
    }

    fn assert_sound(&self) {
        let verified = self.json(self.call(&["verify"]));
        for wrong in ["damages", "unread"] {
            assert_eq!(verified[wrong], Value::Array(Vec::new()), "{verified}");
        }
    }

    /// Every file that is kept, but for those that say how.
    fn left(&self) -> Vec<PathBuf> {
        let images = self.home.path().join("home/images");
        let kept = ["blobs", "layers", "trees", "disks", "names", "proofs", "sending", "staging"];
        let entries = kept.iter().flat_map(|kind| fs::read_dir(images.join(kind)).unwrap());
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

#[test]
fn what_microvms_read_is_made_when_an_image_is_taken_in_if_that_is_asked_for() {
    let Some(place) = Place::find() else { return };
    let disks = || {
        let left = place.left().into_iter();
        left.filter(|path| path.parent().is_some_and(|kind| kind.ends_with("disks"))).collect::<Vec<_>>()
    };
    let taken = place.json(place.take("x", &place.oci(), &[]));
    assert_eq!(disks(), Vec::<PathBuf>::new());
    assert_eq!(place.json(place.take("x", &place.oci(), &["--for-microvms"])), taken);
    let [disk] = disks().try_into().expect("one disk");
    let made = fs::metadata(disk.join("image")).unwrap();
    assert!(1024 <= made.len(), "{made:?}");
    // It is no other for another name, nor made once more.
    place.json(place.take("y", &place.oci(), &["--for-microvms"]));
    assert_eq!(disks().as_slice(), std::slice::from_ref(&disk));
    assert_eq!(fs::metadata(disk.join("image")).unwrap().modified().unwrap(), made.modified().unwrap());
    place.assert_sound();
    place.json(place.call(&["remove", "x", "y"]));
    place.json(place.call(&["gc"]));
    assert_eq!(disks(), Vec::<PathBuf>::new());
}

#[test]
fn an_image_comes_in_by_every_way_and_is_shown_and_removed() {
    let Some(place) = Place::find() else { return };
    let path = place.made.path();
    images::run("skopeo", &["copy", &place.oci(), &format!("oci-archive:{path}/oci.tar:x")]);
    images::run("skopeo", &["copy", &place.oci(), &format!("docker-archive:{path}/docker.tar:some/name:x")]);
    images::run("chmod", &["-R", "a+rX", path]);
    let registry = RealRegistry::start(place.made.directory.path(), &Wants::Nothing);
    registry.push(&place.oci(), "library/rust:alpine", &[]);
    let mirrors = format!("docker.io={}", registry.host);

    let first = place.json(place.take("first", &place.oci(), &[]));
    let by_digest = format!("{}/library/rust@{}", registry.host, first["manifest"].as_str().unwrap());
    for (name, image, more) in [
        ("archive", format!("oci-archive:{path}/oci.tar:x"), &[][..]),
        ("docker", format!("docker-archive:{path}/docker.tar:some/name:x"), &[]),
        ("rust", "rust:alpine".to_owned(), &["--mirrors", &mirrors]),
        ("digest", by_digest, &["--parallel", "1"]),
    ] {
        let taken = place.json(place.take(name, &image, more));
        assert_eq!((&taken["tree"], &taken["name"]), (&first["tree"], &name.into()), "{image}");
        assert_eq!(taken["image"], image.as_str());
    }
    assert_eq!(place.json(place.call(&["inspect", "first"])), first);
    let names: Vec<Value> =
        place.json(place.call(&["list"])).as_array().unwrap().iter().map(|image| image["name"].clone()).collect();
    assert_eq!(names, ["archive", "digest", "docker", "first", "rust"]);
    let listed = place.call(&["list"]).run();
    let line = listed.stdout().lines().last().unwrap_or_default().to_owned();
    assert!(line.starts_with("rust ") && line.contains(" MiB ") && line.ends_with("rust:alpine"), "{listed}");
    let inspected = place.call(&["inspect", "rust"]).run().stdout();
    assert!(
        inspected.contains("layer ") && inspected.contains("manifest  ") && inspected.contains("sha256:"),
        "{inspected}"
    );
    place.assert_sound();

    // What others still need stays.
    assert_eq!(place.json(place.call(&["remove", "first", "archive", "docker", "rust"]))["removed"][3], "rust");
    place.json(place.call(&["gc"]));
    place.assert_sound();
    let removed = place.call(&["remove", "digest"]).run();
    assert_eq!((removed.code(), removed.stdout().as_str()), (0, "removed digest\n"), "{removed}");
    assert!(removed.stderr().contains("`firebox rootfs gc`"), "{removed}");
    assert!(place.json(place.call(&["gc"]))["freed_bytes"].as_u64().unwrap() > 3_000_000);
    assert_eq!(place.left(), Vec::<PathBuf>::new());
    let empty = place.call(&["list"]).run();
    assert!(empty.code() == 0 && empty.stdout().is_empty() && empty.stderr().contains("from-docker"), "{empty}");
}

/// Every language that there is names one; which, its file alone knows.
#[test]
fn an_image_under_the_name_of_a_language_is_the_one_that_its_file_names() {
    let Some(place) = Place::find() else { return };
    let registry = RealRegistry::start(place.made.directory.path(), &Wants::Nothing);
    let mirrors = format!("docker.io={}", registry.host);
    let listed = firebox().args(["languages", "--json"]).run();
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("languages");
    for language in listed.as_array().expect("a list").iter().map(|language| language["name"].as_str().expect("a name"))
    {
        let file = fs::read_to_string(kit::repository(&format!("languages/{language}.toml"))).expect("its file");
        let image = file.lines().find_map(|line| line.strip_prefix("image = ")).expect("an image").trim_matches('"');
        registry.push(&place.oci(), &format!("library/{image}"), &[]);
        let words = ["from-docker", "--name", language, "--size", "100", "--mirrors", &mirrors];
        assert_eq!(place.json(place.call(&words))["image"], image, "{language}");
    }
}

#[test]
fn what_is_wrong_is_said_with_what_to_do_about_it() {
    let Some(place) = Place::find() else { return };
    let registry = RealRegistry::start(place.made.directory.path(), &Wants::Nothing);
    registry.push(&place.oci(), "x:y", &[]);
    let (host, oci) = (&registry.host, place.oci());
    let none = format!("{host}/x:none");
    let other = format!("{oci}-other");
    let nowhere = format!("oci:{}/nowhere", place.made.path());
    let other_home = place.home.path().join("other");
    let small = ["from-docker", "--name", "a", "--image", &oci, "--size", "100", "--quota", "1M"];
    place.json(place.take("rust", &oci, &[]));
    for (firebox, code, says) in [
        (place.take("a", &none, &[]), 2, &[&format!("`{host}` has no image `{none}`"), "its name and tag"][..]),
        (place.take("a", "127.0.0.1:1/x", &[]), 125, &["cannot ask `127.0.0.1:1` for image", "--mirrors"]),
        (place.take("a", &other, &[]), 2, &["has no image `x-other`; it has x"]),
        (place.take("a", &nowhere, &[]), 2, &["cannot read", "nowhere", "No such file"]),
        (
            place.take("a", "docker-daemon:rust:alpine", &[]),
            2,
            &["not taken from `docker-daemon:`", "oci-archive:FILE"],
        ),
        (place.take("a/b", &oci, &[]), 2, &["`a/b` cannot name an image", "at most 64 letters"]),
        (place.take("a", &oci, &["--credentials", "/no/file"]), 2, &["credentials in `/no/file`", "No such file"]),
        (place.call_at(&other_home, &small), 125, &["the quota is 1 MiB", "firebox rootfs gc"]),
        (place.take("a", &oci, &["--platform", "windows/amd64"]), 2, &["linux/ARCHITECTURE"]),
        (place.call(&["inspect", "rusd"]), 2, &["no image `rusd`", "did you mean `rust`?"]),
        (place.call(&["remove", "rust", "other"]), 2, &["no image `other`", "firebox rootfs list"]),
        (place.call_at("/proc/none".as_ref(), &["list"]), 125, &["cannot make `/proc/none", "FIREBOX_HOME"]),
    ] {
        let finished = firebox.run();
        assert_eq!(finished.code(), code, "{finished}");
        assert!(says.iter().all(|word| finished.stderr().contains(word)), "does not say {says:?}: {finished}");
        assert_eq!(finished.stdout(), "", "{finished}");
    }
    assert_eq!(place.json(place.call(&["list"])).as_array().unwrap().len(), 1, "nothing came in, nothing went");
    place.assert_sound();
}

#[test]
fn an_image_that_is_too_large_says_which_size_is_enough() {
    let Some(place) = Place::find() else { return };
    let take = |size: &str| place.call(&["from-docker", "--name", "x", "--image", &place.oci(), "--size", size]).run();
    let refused = take("2");
    assert_eq!(refused.code(), 2, "{refused}");
    let says = refused.stderr();
    let enough =
        says.split("`--size ").nth(1).and_then(|rest| rest.split('`').next()).unwrap_or_else(|| panic!("{says}"));
    let one_less = enough.parse::<u32>().unwrap() - 1;
    assert!(says.contains(&format!("needs {enough} MiB, and 2 MiB is the most")), "{says}");
    assert_eq!(take(&one_less.to_string()).code(), 2, "{enough}");
    let taken = take(enough);
    assert_eq!(taken.code(), 0, "{taken}");
    assert_eq!(taken.stderr(), "", "{taken}");
}

#[test]
fn a_registry_that_wants_to_know_who_asks_is_told_what_the_credentials_file_says() {
    let Some(place) = Place::find() else { return };
    let wants = Wants::Password { name: "somebody", password: "right" };
    let registry = RealRegistry::start(place.made.directory.path(), &wants);
    registry.push(&place.oci(), "x:y", &["--dest-creds", "somebody:right"]);
    let image = format!("{}/x:y", registry.host);
    let file = |password: &str| {
        let path = place.made.directory.path().join(format!("{password}.json"));
        let login = serde_json::json!({"username": "somebody", "password": password});
        fs::write(&path, serde_json::json!({"auths": {&registry.host: login}}).to_string()).unwrap();
        images::run("chmod", &["a+r", images::text(&path)]);
        path
    };
    let denied = place.take("x", &image, &[]).run();
    assert_eq!(denied.code(), 2, "{denied}");
    assert!(denied.stderr().contains("who is not logged in") && denied.stderr().contains("podman login"), "{denied}");
    let denied = place.take("x", &image, &["--credentials", images::text(&file("wrong"))]).run();
    assert_eq!(denied.code(), 2, "{denied}");
    assert!(denied.stderr().contains("does not give image") && denied.stderr().contains("to `somebody`"), "{denied}");
    assert!(!denied.stderr().contains("wrong"), "a password is nobody's business: {denied}");
    let known = place.take("x", &image, &[]).env("REGISTRY_AUTH_FILE", file("right"));
    assert_eq!(place.json(known)["image"], image.as_str());
}

/// Keeps one login, for one registry, and writes down what it was asked. Its other faces fail and hang.
const HELPER: &str = r#"#!/bin/sh
read -r about
echo "$* $about" >> "$(dirname "$0")/asked"
case "$about" in
    "$REGISTRY") printf '{"ServerURL":"%s","Username":"somebody","Secret":"right"}' "$about";;
    *) echo 'credentials not found in native keychain'; exit 1;;
esac
"#;

#[test]
fn a_registry_that_wants_to_know_who_asks_is_told_what_a_helper_of_dockers_keeps() {
    let Some(place) = Place::find() else { return };
    let wants = Wants::Password { name: "somebody", password: "right" };
    let registry = RealRegistry::start(place.made.directory.path(), &wants);
    registry.push(&place.oci(), "x:y", &["--dest-creds", "somebody:right"]);
    let image = format!("{}/x:y", registry.host);
    let programs = place.home.path().join("bin");
    fs::create_dir(&programs).unwrap();
    fs::set_permissions(&programs, Permissions::from_mode(0o777)).unwrap();
    for (name, lines) in [
        ("keeps", HELPER),
        ("locked", "#!/bin/sh\necho 'the keys are elsewhere'; exit 1\n"),
        ("wrong", "#!/bin/sh\necho '{\"Username\": \"somebody\", \"Secret\": \"guessed\"}'\n"),
    ] {
        let program = programs.join(format!("docker-credential-{name}"));
        fs::write(&program, lines).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    }
    let docker = place.made.directory.path().join("docker");
    fs::create_dir(&docker).unwrap();
    fs::set_permissions(&docker, Permissions::from_mode(0o755)).unwrap();
    let take = |says: Value| {
        let file = docker.join("config.json");
        fs::write(&file, says.to_string()).unwrap();
        images::run("chmod", &["a+r", images::text(&file)]);
        let path = format!("{}:/usr/bin:/bin", programs.display());
        place.take("x", &image, &[]).env("DOCKER_CONFIG", &docker).env("PATH", path).env("REGISTRY", &registry.host)
    };
    let (host, other) = (registry.host.as_str(), "registry.example");
    for (says, words) in [
        (serde_json::json!({"credHelpers": {other: "keeps"}}), &["who is not logged in", "podman login"][..]),
        (serde_json::json!({"credHelpers": {host: ""}, "credsStore": "keeps"}), &["who is not logged in"]),
        (serde_json::json!({"credsStore": "wrong"}), &["does not give image", "to `somebody`"]),
        (serde_json::json!({"credsStore": "locked"}), &["wants to know who asks", "the keys are elsewhere"]),
        (serde_json::json!({"credsStore": "none"}), &["cannot start `docker-credential-none`", "PATH"]),
        (serde_json::json!({"credsStore": "../bin/docker-credential-keeps"}), &["no program's name ends like that"]),
    ] {
        let denied = take(says).run();
        assert_eq!(denied.code(), 2, "{denied}");
        assert!(words.iter().all(|word| denied.stderr().contains(word)), "does not say {words:?}: {denied}");
        assert!(!denied.stderr().contains("guessed"), "a password is nobody's business: {denied}");
    }
    assert!(!programs.join("asked").exists(), "somebody else's helper was asked");
    let wrong = serde_json::json!({"username": "somebody", "password": "wrong"});
    for says in [
        serde_json::json!({"credHelpers": {host: "keeps"}, "credsStore": "locked", "auths": {host: wrong}}),
        serde_json::json!({"credsStore": "keeps", "auths": {host: {}}}),
    ] {
        assert_eq!(place.json(take(says))["image"], image.as_str());
        assert_eq!(fs::read_to_string(programs.join("asked")).unwrap(), format!("get {host}\n"), "asked once");
        fs::remove_file(programs.join("asked")).unwrap();
        place.json(place.call(&["remove", "x"]));
        place.json(place.call(&["gc"]));
    }
    // What it does not keep may be written down.
    let right = serde_json::json!({"username": "somebody", "password": "right"});
    place.json(take(serde_json::json!({"credsStore": "keeps", "auths": {host: right}})).env("REGISTRY", other));

    // Who gives to everybody is not told who asks, and nobody is asked.
    fs::remove_file(programs.join("asked")).unwrap();
    let open = RealRegistry::start(place.home.path(), &Wants::Nothing);
    open.push(&place.oci(), "x:y", &[]);
    let taken = place.take("open", &format!("{}/x:y", open.host), &[]).env("DOCKER_CONFIG", &docker);
    place.json(taken.env("PATH", format!("{}:/usr/bin:/bin", programs.display())));
    assert!(!programs.join("asked").exists(), "nobody wanted to know");
}

#[test]
fn several_processes_share_a_store_and_what_they_have_in_common() {
    let Some(place) = Place::find() else { return };
    let names = ["a", "b", "c"];
    let started = names.map(|name| place.take(name, &place.oci(), &[]).start());
    for running in started {
        let finished = running.wait();
        assert_eq!(finished.code(), 0, "{finished}");
    }
    place.assert_sound();
    // A manifest, a configuration and two layers, each as a blob, the layers unpacked and proven, one tree, and the names.
    assert_eq!(place.left().len(), 4 + 2 + 2 + 1 + names.len(), "{:?}", place.left());
}

#[test]
fn whoever_is_killed_leaves_the_old_or_the_new() {
    const KILLS: u32 = 20;
    let Some(place) = Place::find() else { return };
    let begun = Instant::now();
    place.json(place.take("x", &place.oci(), &[]));
    let longest = begun.elapsed();
    let seed = Dice::seed();
    let mut dice = Dice::new(seed, 0);
    let mut came_in = 0;
    for _ in 0..KILLS {
        place.json(place.call(&["remove", "x"]));
        place.json(place.call(&["gc"]));
        assert_eq!(place.left(), Vec::<PathBuf>::new());
        let running = place.take("x", &place.oci(), &[]).start();
        // Whenever it falls: this is the moment, not something that is waited for.
        std::thread::sleep(dice.up_to(longest));
        running.signal(Signal::KILL);
        let finished = running.wait();
        place.assert_sound();
        let listed = place.json(place.call(&["list"]));
        let is_in = listed.as_array().unwrap().len() == 1;
        assert!(is_in || finished.code() != 0, "seed {seed}: it said that it was done, and was not: {finished}");
        came_in += u32::from(is_in);
        let again = place.take("x", &place.oci(), &[]).run();
        assert_eq!(again.code(), 0, "{again}");
    }
    assert!(came_in < KILLS, "no kill came before the end");
}

#[test]
fn damage_is_found_and_repaired() {
    let Some(place) = Place::find() else { return };
    place.json(place.take("x", &place.oci(), &[]));
    let blob = fs::read_dir(place.home.path().join("home/images/blobs")).unwrap().next().unwrap().unwrap().path();
    fs::write(&blob, "damaged").unwrap_or_else(|_| {
        fs::set_permissions(&blob, Permissions::from_mode(0o600)).unwrap();
        fs::write(&blob, "damaged").unwrap();
    });
    let found = place.call(&["verify"]).run();
    assert_eq!(found.code(), 1, "{found}");
    assert!(found.stdout().contains("its digest is sha256:") && found.stderr().contains("--repair"), "{found}");
    assert_eq!(place.call(&["verify", "--repair"]).run().code(), 1);
    place.json(place.take("x", &place.oci(), &[]));
    place.assert_sound();
}

#[test]
fn what_cannot_be_read_at_the_moment_is_told_and_is_no_damage() {
    if !images::strace::may_be() {
        return;
    }
    let Some(place) = Place::find() else { return };
    place.json(place.take("x", &place.oci(), &[]));
    let blob = fs::read_dir(place.home.path().join("home/images/blobs")).unwrap().next().unwrap().unwrap().path();
    // A disk that is full where that one is opened: filesystems above others write before one reads.
    let strace = tool("strace").into_os_string();
    let blob_alone = ["-o", "/dev/null", "-P", images::text(&blob), "-e", "inject=openat:error=ENOSPC"];
    let through = [strace, "-f".into()].into_iter().chain(blob_alone.map(Into::into));
    let found = place.call(&["verify", "--repair"]).through(through).run();
    assert_eq!(found.code(), 1, "{found}");
    assert!(found.stdout().contains("it cannot be read: No space left on device"), "{found}");
    assert!(found.stderr().contains("verify again") && !found.stderr().contains("damage"), "{found}");
    place.assert_sound();
}

#[test]
fn what_is_in_use_stays_and_that_is_said() {
    let Some(place) = Place::find() else { return };
    place.json(place.take("x", &place.oci(), &[]));
    let tree = fs::read_dir(place.home.path().join("home/images/trees")).unwrap().next().unwrap().unwrap().path();
    // As whoever runs a job on it does.
    let held = fs::File::open(tree.join("size")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockShared).unwrap();
    let stranger = tree.join("root/stranger");
    fs::write(&stranger, "").unwrap();
    let repaired = place.call(&["verify", "--repair"]).run();
    assert_eq!(repaired.code(), 1, "{repaired}");
    assert!(repaired.stderr().contains("1 thing of that had to stay"), "{repaired}");
    fs::remove_file(&stranger).unwrap();
    let removed = place.call(&["remove", "x"]).run();
    assert!(removed.code() == 0 && removed.stderr().contains("jobs run on x: they go on"), "{removed}");
    assert_eq!(place.json(place.call(&["gc"]))["in_use"], 1);
    assert!(tree.join("root/etc/one").exists());
    drop(held);
    assert_eq!(place.json(place.call(&["gc"]))["in_use"], 0);
    assert_eq!(place.left(), Vec::<PathBuf>::new());
}

#[test]
fn a_full_disk_is_said_with_what_makes_room() {
    if !is_root("a small filesystem") {
        return;
    }
    let Some(place) = Place::find() else { return };
    let mounted = format!("mount -t tmpfs -o size=2m,mode=777 small {} && exec \"$@\"", place.home.path().display());
    let unshare = tool("unshare").into_os_string();
    let through = [unshare, "--mount".into(), "/bin/sh".into(), "-c".into(), mounted.into(), "sh".into()];
    let finished = place.take("x", &place.oci(), &[]).through(through).run();
    assert_eq!(finished.code(), 125, "{finished}");
    for word in ["No space left on device", "firebox rootfs gc", "FIREBOX_HOME"] {
        assert!(finished.stderr().contains(word), "{word}: {finished}");
    }
}

#[test]
fn progress_is_for_terminals_alone() {
    let Some(place) = Place::find() else { return };
    let quiet = place.take("quiet", &place.oci(), &[]).run();
    assert!(quiet.code() == 0 && quiet.stderr().is_empty(), "{quiet}");
    assert!(!quiet.stdout.iter().any(|byte| byte.is_ascii_control() && *byte != b'\n'), "{quiet}");

    place.json(place.call(&["remove", "quiet"]));
    place.json(place.call(&["gc"]));
    let watched = place.take("watched", &place.oci(), &[]).at_a_terminal().within(Duration::from_secs(60)).run();
    assert_eq!(watched.code(), 0, "{watched}");
    let shown = watched.stdout();
    assert!(shown.contains("of 2 layers") && shown.contains("laying out"), "{watched}");
    let after = shown.rsplit("\r\u{1b}[K").next().unwrap_or_default();
    assert!(after.starts_with("NAME") && after.contains("watched"), "the line was wiped before the end: {watched}");
}

#[test]
fn without_a_word_images_are_kept_where_the_users_data_is() {
    let Some(place) = Place::find() else { return };
    let at = |variable: &str, path: &Path| {
        let taken = firebox()
            .args(["rootfs", "from-docker", "--name", "x", "--size", "100", "--image", &place.oci()])
            .without_a_home()
            .env("HOME", "/nonexistent")
            .env(variable, path)
            .run();
        assert_eq!(taken.code(), 0, "{taken}");
    };
    at("FIREBOX_HOME", &place.home.path().join("one"));
    at("XDG_DATA_HOME", &place.home.path().join("two"));
    assert!(place.home.path().join("one/images/names/x").exists());
    assert!(place.home.path().join("two/firebox/images/names/x").exists());
    let mode = fs::metadata(place.home.path().join("one/images")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else gets in");
}
