//! Images from registries: a real one, and one that misbehaves.

mod kit;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use firebox_image::{Credentials, Mirrors, Patience, Registry, TakeInError};
use kit::faulty::{About, Fault, FaultyRegistry};
use kit::registry::{RealRegistry, Wants, own_address};
use kit::{Made, chain, has, run, store, take, text};

const TOOLS: [&str; 4] = ["umoci", "skopeo", "docker-registry", "htpasswd"];

fn registry(reference: &str, mirrors: &str, credentials: &Credentials) -> Registry {
    patient_registry(reference, mirrors, credentials, Duration::from_secs(60))
}

fn patient_registry(reference: &str, mirrors: &str, credentials: &Credentials, silence: Duration) -> Registry {
    let patience = Patience { silence, tries: 4, pause: Duration::from_millis(50), rate: 8 << 10 };
    Registry::new(reference.parse().unwrap(), &mirrors.parse::<Mirrors>().unwrap(), credentials, patience)
}

/// Who may have us wait for so long.
fn registry_with_pause(host: &str, pause: Duration, credentials: &Credentials) -> Registry {
    let patience = Patience { pause, tries: 3, ..Patience::default() };
    Registry::new(format!("{host}/x").parse().unwrap(), &Mirrors::default(), credentials, patience)
}

fn nobody() -> Credentials {
    Credentials::default()
}

#[test]
fn an_image_comes_from_a_registry_by_tag_by_digest_and_by_the_name_of_another() {
    if !has(&TOOLS) {
        return;
    }
    let made = Made::image();
    let real = RealRegistry::start(made.directory.path(), &Wants::Nothing);
    let oci = format!("oci:{}/oci:x", made.path());
    real.push(&oci, "library/rust:alpine", &[]);
    real.push(&oci, "library/rust:docker", &["--format", "v2s2"]);
    let store = store(made.directory.path());
    let mirrors = format!("docker.io={}", real.host);
    let direct =
        take(&store, &registry(&format!("{}/library/rust:alpine", real.host), "", &nobody()), "direct").unwrap();
    let mirrored = take(&store, &registry("rust:alpine", &mirrors, &nobody()), "mirrored").unwrap();
    let by_digest = format!("rust@{}", direct.manifest);
    let exact = take(&store, &registry(&by_digest, &mirrors, &nobody()), "exact").unwrap();
    let docker = take(&store, &registry("rust:docker", &mirrors, &nobody()), "docker").unwrap();

    for other in [mirrored, exact, docker] {
        assert_eq!(other.tree, direct.tree);
    }
    assert_eq!(store.verify().unwrap().damages, []);

    let missing = take(&store, &registry("rust:none", &mirrors, &nobody()), "none").unwrap_err().to_string();
    assert_eq!(missing, format!("`{}` has no image `docker.io/library/rust:none`", real.host));
}

#[test]
fn whoever_is_not_known_is_told_so_and_whoever_is_gets_the_image() {
    if !has(&TOOLS) {
        return;
    }
    let made = Made::image();
    let wants = Wants::Password { name: "somebody", password: "a:b" };
    let real = RealRegistry::start(made.directory.path(), &wants);
    real.push(&format!("oci:{}/oci:x", made.path()), "x:y", &["--dest-creds", "somebody:a:b"]);
    let store = store(made.directory.path());
    let reference = format!("{}/x:y", real.host);
    let denied = take(&store, &registry(&reference, "", &nobody()), "x").unwrap_err().to_string();
    assert!(denied.contains("to somebody who is not logged in"), "{denied}");

    let file = made.directory.path().join("auth.json");
    run(
        "skopeo",
        &["login", "--tls-verify=false", "--authfile", text(&file), "-u", "somebody", "-p", "a:b", &real.host],
    );
    let find = |name: &str| (name == "REGISTRY_AUTH_FILE").then(|| file.clone().into());
    let credentials = Credentials::find(find).unwrap();
    take(&store, &registry(&reference, "", &credentials), "x").unwrap();
}

#[test]
fn a_registry_with_tls_is_trusted_by_its_certificate_alone() {
    if !has(&TOOLS) || !has(&["openssl"]) {
        return;
    }
    if own_address().is_none() {
        kit::skipped("this host has no address but its loopback one, where registries are spoken to without TLS");
        return;
    }
    let made = Made::image();
    let real = RealRegistry::start(made.directory.path(), &Wants::Tls);
    real.push(&format!("oci:{}/oci:x", made.path()), "x:y", &[]);
    let take_as = |certificate: Option<&Path>| {
        // The variable is read once in a process, so each way takes one of its own.
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "one_image_over_tls", "--ignored", "--nocapture"]);
        child.env("FIREBOX_TEST_REFERENCE", format!("{}/x:y", real.host));
        child.envs(certificate.map(|certificate| ("SSL_CERT_FILE", certificate)));
        child.output().unwrap()
    };
    let known = take_as(Some(&made.directory.path().join("authority.pem")));
    assert!(known.status.success(), "{}", String::from_utf8_lossy(&known.stderr));
    let unknown = take_as(None);
    let says = String::from_utf8_lossy(&unknown.stderr);
    assert!(!unknown.status.success() && says.contains("certificate"), "{says}");
}

/// Run by the test above, in a process of its own.
#[test]
#[ignore = "needs a registry and a certificate, which another test brings"]
fn one_image_over_tls() {
    let reference = std::env::var("FIREBOX_TEST_REFERENCE").unwrap();
    let directory = kit::workshop();
    let taken = take(&store(directory.path()), &registry(&reference, "", &nobody()), "x");
    if let Err(error) = taken {
        panic!("{}", chain(&error));
    }
}

/// An archive of one file, large enough to be cut in the middle.
fn layer() -> Vec<u8> {
    let directory = kit::workshop();
    let content: Vec<u8> = (0..2_000_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (file, archive) = (directory.path().join("file"), directory.path().join("layer.tar"));
    std::fs::write(file, content).unwrap();
    run("tar", &["-C", text(directory.path()), "-cf", text(&archive), "file"]);
    std::fs::read(archive).unwrap()
}

fn take_with(faults: &[Fault], token: Option<&str>) -> (FaultyRegistry, Result<(), TakeInError>) {
    take_about(About::Layer, faults, token)
}

fn take_about(about: About, faults: &[Fault], token: Option<&str>) -> (FaultyRegistry, Result<(), TakeInError>) {
    let faulty = FaultyRegistry::start(about, &layer(), faults.to_vec(), token);
    let directory = kit::workshop();
    let store = store(directory.path());
    // Short where nothing is said on purpose; nowhere else is it to count how fast this host is.
    let stalls = faults.iter().any(|fault| matches!(fault, Fault::Stall(_) | Fault::Dribble));
    let silence = Duration::from_secs(if stalls { 2 } else { 60 });
    let source = patient_registry(&format!("{}/x", faulty.host), "", &nobody(), silence);
    let taken = take(&store, &source, "x");
    assert_eq!(store.verify().unwrap().damages, [], "{faults:?}");
    assert_eq!(store.names().unwrap().len(), usize::from(taken.is_ok()), "{faults:?}");
    (faulty, taken.map(|_| ()))
}

#[test]
fn what_passes_is_waited_for() {
    for faults in [
        vec![Fault::Status(429), Fault::Status(500), Fault::Status(503)],
        vec![Fault::Cut(0), Fault::Cut(100_000), Fault::Cut(1), Fault::Cut(1_500_000)],
        vec![Fault::Stall(100_000)],
        vec![Fault::Dribble, Fault::Cut(100_000), Fault::Dribble],
        vec![Fault::Cut(1000), Fault::NoRanges],
        vec![Fault::Redirect],
        vec![Fault::Noise, Fault::Noise],
        vec![Fault::Shorter],
    ] {
        let (_, taken) = take_with(&faults, None);
        assert!(taken.is_ok(), "{faults:?}: {}", taken.map_err(|error| chain(&error)).unwrap_err());
    }
}

#[test]
fn what_was_transferred_is_not_transferred_again() {
    let (faulty, taken) = take_with(&[Fault::Cut(1_000_000)], None);
    taken.unwrap();
    let questions = faulty.asked_for("blobs");
    let last = questions.last().unwrap();
    let from: u64 = last.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(0 < from && from <= 1_000_000, "{questions:?}");
}

#[test]
fn who_says_when_to_ask_again_is_asked_no_sooner_but_for_what_we_have_patience() {
    for (about, part, token) in [
        (About::Manifest, "/manifests/", None),
        (About::Layer, "/blobs/", None),
        (About::Token, "/token", Some("secret-token")),
    ] {
        let wait = |busy, pause| {
            let faulty = FaultyRegistry::start(about, &layer(), vec![busy], token);
            let directory = kit::workshop();
            let store = store(directory.path());
            take(&store, &registry_with_pause(&faulty.host, pause, &nobody()), "x").unwrap();
            let moments = faulty.moments_of(part);
            let pairs = moments.windows(2).map(|pair| pair[1].0.duration_since(pair[0].0));
            pairs.max().unwrap_or_else(|| panic!("{about:?}: it was asked once"))
        };
        // A moment is told in whole seconds, so it is up to one earlier.
        for busy in [Fault::Busy(1), Fault::BusyUntil(2)] {
            let waited = wait(busy, Duration::from_secs(20));
            assert!(Duration::from_secs(1) <= waited, "{about:?}, {busy:?}: it was asked again after {waited:?}");
        }
        for busy in [Fault::Busy(600), Fault::BusyUntil(600)] {
            let waited = wait(busy, Duration::from_millis(10));
            assert!(waited < Duration::from_secs(300), "{about:?}, {busy:?}: {waited:?}");
        }
    }
}

#[test]
fn what_does_not_pass_is_said() {
    for (faults, says) in [
        (vec![Fault::Status(429); 20], "answers 429 when asked for blob"),
        (vec![Fault::Status(500); 20], "answers 500 when asked for blob"),
        (vec![Fault::Status(418)], "answers 418 when asked for blob"),
        (vec![Fault::Status(403)], "does not give blob"),
        (vec![Fault::Status(404)], "has no blob"),
        (vec![Fault::Cut(0); 20], "broke off at byte 0"),
        (vec![Fault::Stall(0); 20], "broke off at byte 0"),
        (vec![Fault::Dribble; 20], "8192 in a second are the least"),
        (vec![Fault::Longer], "is longer than the"),
        (vec![Fault::Shorter; 40], "broke off at byte"),
        (vec![Fault::Other], "has another content: its digest is"),
        (vec![Fault::Cut(1000), Fault::WrongRange], "gives another part of blob"),
        (vec![Fault::Noise; 20], "cannot ask"),
    ] {
        let (_, taken) = take_with(&faults, None);
        let error = chain(&taken.unwrap_err());
        assert!(error.contains(says), "{:?}: {error}", faults[0]);
    }
}

#[test]
fn what_describes_an_image_is_waited_for_as_well() {
    for about in [About::Manifest, About::Configuration] {
        let faults =
            [Fault::Status(429), Fault::Cut(0), Fault::Status(500), Fault::Noise, Fault::Cut(10), Fault::Stall(7)];
        let (_, taken) = take_about(about, &faults, None);
        assert!(taken.is_ok(), "{about:?}: {}", taken.map_err(|error| chain(&error)).unwrap_err());
        for (fault, says) in [
            (Fault::Status(429), "answers 429 when asked for"),
            (Fault::Status(500), "answers 500 when asked for"),
            (Fault::Cut(10), "cannot read"),
            (Fault::Noise, "cannot ask"),
            (
                Fault::Other,
                if about == About::Manifest { "is malformed" } else { "has another content: its digest is" },
            ),
        ] {
            let (_, taken) = take_about(about, &[fault; 40], None);
            let error = chain(&taken.unwrap_err());
            assert!(error.contains(says), "{about:?}, {fault:?}: {error}");
        }
    }
    let faults = [Fault::Status(429), Fault::Status(500), Fault::Cut(5), Fault::Noise, Fault::Stall(5)];
    for some in faults.chunks(2) {
        let (faulty, taken) = take_about(About::Token, some, Some("secret-token"));
        taken.unwrap_or_else(|error| panic!("{some:?}: {}", chain(&error)));
        assert_eq!(faulty.asked_for("/token").len(), some.len() + 1, "{some:?}");
    }
    let (_, taken) = take_about(About::Token, &[Fault::Status(500); 40], Some("secret-token"));
    let error = chain(&taken.unwrap_err());
    assert!(error.contains("answers 500 when asked for a token"), "{error}");
}

#[test]
fn a_password_goes_to_whoever_gives_tokens_and_to_nobody_else() {
    let faulty = FaultyRegistry::start(About::Layer, &layer(), vec![Fault::Redirect], Some("secret-token"));
    let directory = kit::workshop();
    let file = directory.path().join("auth.json");
    // `somebody:a:b`, as it is written in such files and said to a server.
    let login = "c29tZWJvZHk6YTpi";
    std::fs::write(&file, format!(r#"{{"auths":{{"{}":{{"auth":"{login}"}}}}}}"#, faulty.host)).unwrap();
    let credentials = Credentials::read(file).unwrap();
    let source = registry_with_pause(&faulty.host, Duration::from_millis(50), &credentials);
    take(&store(directory.path()), &source, "x").unwrap();
    let tokens = faulty.asked_for("/token");
    assert!(tokens.len() == 1 && tokens[0].ends_with(&format!("Basic {login}")), "{tokens:?}");
    for others in ["/v2/", "/elsewhere"] {
        let questions = faulty.asked_for(others);
        assert!(!questions.is_empty() && questions.iter().all(|question| !question.contains("Basic")), "{questions:?}");
    }
}

#[test]
fn a_helper_that_is_missing_keeps_nobody_from_what_everybody_gets() {
    let faulty = FaultyRegistry::start(About::Layer, &layer(), Vec::new(), Some("secret-token"));
    let directory = kit::workshop();
    let file = directory.path().join("config.json");
    std::fs::write(&file, r#"{"credsStore": "that-is-nowhere"}"#).unwrap();
    let credentials = Credentials::read(file).unwrap();
    let source = registry_with_pause(&faulty.host, Duration::from_millis(50), &credentials);
    take(&store(directory.path()), &source, "x").unwrap();
    assert_eq!(faulty.asked_for("/token").len(), 1);
}

#[test]
fn a_helper_may_ask_its_user_in_the_terminal() {
    if !has(&["python3"]) {
        return;
    }
    let directory = kit::workshop();
    let helper = directory.path().join("docker-credential-asks");
    let lines = r#"#!/bin/sh
        read answer < /dev/tty && printf '{"Username": "%s", "Secret": "s"}' "$answer""#;
    // By another process: what one of our threads has open for writing as another starts something does not start.
    run("sh", &["-c", r#"printf '%s\n' "$1" > "$0" && chmod 755 "$0""#, text(&helper), lines]);
    let path = std::env::join_paths(
        [directory.path().to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    // It makes a terminal, and types what it reads.
    let spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let mut terminal = Command::new("python3");
    terminal.args(["-c", spawn]).arg(std::env::current_exe().unwrap()).env("PATH", path.unwrap());
    terminal.args(["--exact", "one_image_by_a_helper_that_asks", "--ignored", "--nocapture"]);
    let terminal = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    terminal.stdin.as_ref().unwrap().write_all(b"sesame\n").unwrap();
    let output = terminal.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Run by the test above, in a terminal.
#[test]
#[ignore = "needs a terminal and a helper, which another test brings"]
fn one_image_by_a_helper_that_asks() {
    let faulty = FaultyRegistry::start(About::Layer, &layer(), Vec::new(), Some("secret-token"));
    let directory = kit::workshop();
    let file = directory.path().join("config.json");
    std::fs::write(&file, r#"{"credsStore": "asks"}"#).unwrap();
    let credentials = Credentials::read(file).unwrap();
    let source = registry_with_pause(&faulty.host, Duration::from_millis(50), &credentials);
    take(&store(directory.path()), &source, "x").unwrap();
    let tokens = faulty.asked_for("/token");
    // `sesame:s`.
    assert!(tokens.len() == 1 && tokens[0].ends_with("Basic c2VzYW1lOnM="), "{tokens:?}");
}

#[test]
fn whoever_gives_tokens_and_refuses_denies_the_image_with_the_reason_there_is() {
    for status in [401, 403] {
        let (_, taken) = take_about(About::Token, &[Fault::Status(status)], Some("secret-token"));
        let error = chain(&taken.unwrap_err());
        assert!(error.contains("does not give") && error.contains("to somebody who is not logged in"), "{error}");
    }
    let directory = kit::workshop();
    let file = directory.path().join("config.json");
    std::fs::write(&file, r#"{"credsStore": "that-is-nowhere"}"#).unwrap();
    let credentials = Credentials::read(file).unwrap();
    let denials = vec![Fault::Status(401); 3];
    let faulty = FaultyRegistry::start(About::Token, &layer(), denials.clone(), Some("secret-token"));
    let source = registry_with_pause(&faulty.host, Duration::from_millis(50), &credentials);
    // Any of several layers that are denied at once may be the one whose error is told: each has to say why.
    for _ in denials {
        let error = chain(&take(&store(directory.path()), &source, "x").unwrap_err());
        assert!(error.contains("docker-credential-that-is-nowhere"), "{error}");
    }
}

#[test]
fn nobody_is_asked_for_a_token_in_plain_text_but_this_host() {
    for realm in
        ["http://192.0.2.1/token", "http://127.0.0.1@192.0.2.1/token", "http://127.0.0.1.example/token", "ftp://x/"]
    {
        let faults = [Fault::Realm(realm)];
        let (faulty, taken) = take_about(About::Manifest, &faults, Some("secret-token"));
        let error = chain(&taken.unwrap_err());
        assert!(
            error.contains(&format!("names `{realm}` to get a token from, which is not reached by TLS")),
            "{error}"
        );
        assert_eq!(faulty.asked_for("").len(), 1, "{realm}");
    }
}

#[test]
fn a_token_is_asked_for_once_and_goes_to_nobody_else() {
    let (faulty, taken) = take_with(&[Fault::Redirect], Some("secret-token"));
    taken.unwrap();
    assert_eq!(faulty.asked_for("/token").len(), 1);
    assert!(faulty.asked_for("/v2/").iter().any(|question| question.ends_with("Bearer secret-token")));
    // As it would be on another host.
    assert!(faulty.asked_for("/elsewhere").iter().all(|question| !question.contains("secret-token")));
}
