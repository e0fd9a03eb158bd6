//! Jobs in machines that go on where another was frozen: `firebox snapshot create`, and `--snapshot`.
//!
//! Where KVM runs kernels, which is in the lab: with the images and the kernel that are kept there.

#![expect(clippy::print_stdout, reason = "what was measured is told")]

mod kit;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use kit::{Connection, Finished, Firebox, HostInventory, Outcome, Service, firebox, is_installed, is_microvm};
use rustix::process::Signal;
use serde_json::json;

/// What is made for each language. A machine that is emulated within one that is takes its time.
const SIZE: [&str; 4] = ["--mem", "256", "--vcpus", "1"];
const TO_MAKE: Duration = Duration::from_secs(300);
/// For what a program that is not about time does in there.
const UNHURRIED: [&str; 6] = ["--compile-time", "120s", "--run-time", "60s", "--timeout", "200s"];

/// Where jobs run in microVMs there are images and a kernel for them. Else this says that it is skipped.
fn has_microvms(test: &str) -> bool {
    if !is_microvm() {
        println!("skipped: {test}: machines are frozen where all jobs run in microVMs, which is in the lab");
    }
    is_microvm()
}

/// A call that goes on from the snapshot of a language, which is made if it was not yet.
fn clone(language: &str, code: &str) -> Firebox {
    made(language);
    firebox().args(["host", "--lang", language, "--code", code]).args(SIZE).args(UNHURRIED).arg("--snapshot")
}

fn outcome(language: &str, code: &str) -> Outcome {
    clone(language, code).arg("--json").outcome()
}

fn made(language: &str) {
    static MADE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if made.insert(language.to_owned()) {
        let call = create(language);
        println!("measured: {}", call.stdout().trim());
    }
}

fn create(language: &str) -> Finished {
    let host = HostInventory::take();
    let call = firebox().args(["snapshot", "create", "--lang", language]).args(SIZE).within(TO_MAKE).run();
    assert_eq!(call.code(), 0, "{call}");
    host.assert_nothing_left();
    call
}

fn printed(outcome: &Outcome) -> &str {
    assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
    assert_eq!(outcome.text("isolation"), "microvm", "{outcome}");
    outcome.stdout()
}

#[test]
fn a_job_in_each_language_goes_on_from_a_snapshot() {
    if !has_microvms("a_job_in_each_language_goes_on_from_a_snapshot") {
        return;
    }
    for (language, code) in [
        ("bash", "echo $((6 * 7)); [ ! -e here ] || echo theirs; echo mine > here; cat here"),
        (
            "python",
            "import os\nprint(6 * 7)\nos.path.exists('here') and print('theirs')\nopen('here', 'w').write('mine\\n')\nprint(open('here').read(), end='')",
        ),
        (
            "c",
            "#include <stdio.h>\nint main(void) { FILE *f = fopen(\"here\", \"w\"); printf(\"%d\\n\", 6 * 7); puts(f ? \"mine\" : \"no\"); }",
        ),
        ("rust", "fn main() { println!(\"{}\\nmine\", 6 * 7) }"),
    ]
    .into_iter()
    .filter(|(language, _)| is_installed(language))
    {
        made(language);
        for _ in 0..2 {
            let host = HostInventory::take();
            let begun = Instant::now();
            let outcome = outcome(language, code);
            println!("measured: {language} from a snapshot: {:?} in all, of which the job's {} ms", begun.elapsed(), outcome.json()["timing_ms"]["total"]);
            assert_eq!(printed(&outcome), "42\nmine\n", "{outcome}");
            host.assert_nothing_left();
        }
    }
}

/// As the page that started the project has them; but for the bucket, which is a directory here.
#[test]
fn the_pages_snapshot_is_made_sent_fetched_and_gone_on_from() {
    if !has_microvms("the_pages_snapshot_is_made_sent_fetched_and_gone_on_from") {
        return;
    }
    let host = HostInventory::take();
    let bucket = kit::temp_dir();
    let bucket = format!("file://{}", bucket.path().display());
    let code = "fn main() {\n    let x = 42;\n    println!(\"{}\", x);\n}";
    let succeeds = |words: &[&str]| {
        let begun = Instant::now();
        let call = firebox().word_for_word().args(words.iter().copied()).within(TO_MAKE).run();
        assert_eq!(call.code(), 0, "{call}");
        println!("measured: {} {}: {:?}", words[0], words[1], begun.elapsed());
        call
    };
    let goes_on = || {
        let words = ["host", "--lang", "rust", "--code", code, "--mem", "512", "--vcpus", "1", "--snapshot"];
        assert_eq!(succeeds(&words).stdout(), "42\n");
    };
    succeeds(&["snapshot", "create", "--lang", "rust", "--mem", "512", "--vcpus", "1"]);
    goes_on();
    succeeds(&["snapshot", "upload", "--lang", "rust", "--bucket", &bucket]);
    succeeds(&["snapshot", "remove", "rust-512-1"]);
    succeeds(&["snapshot", "download", "--lang", "rust", "--bucket", &bucket]);
    assert!(succeeds(&["snapshot", "inspect", "rust-512-1"]).stdout().contains("what was frozen"));
    goes_on();
    succeeds(&["snapshot", "remove", "rust-512-1"]);
    host.assert_nothing_left();
}

#[test]
fn no_two_clones_draw_the_same() {
    if !has_microvms("no_two_clones_draw_the_same") {
        return;
    }
    const CODE: &str = "import os, random, uuid
for drawn in os.urandom(16).hex(), os.getrandom(16).hex(), random.getrandbits(64), uuid.uuid4(), open('/dev/urandom', 'rb').read(16).hex():
    print(drawn)";
    let mut drawn: Vec<Vec<String>> = Vec::new();
    for _ in 0..3 {
        drawn.push(printed(&outcome("python", CODE)).lines().map(str::to_owned).collect());
    }
    for what in 0..5 {
        let different: BTreeSet<&String> = drawn.iter().map(|clone| &clone[what]).collect();
        assert_eq!(different.len(), drawn.len(), "{what}: {drawn:?}");
    }
}

#[test]
fn what_a_runtime_settles_at_its_start_is_shared_unless_a_job_wants_its_own() {
    if !has_microvms("what_a_runtime_settles_at_its_start_is_shared_unless_a_job_wants_its_own") {
        return;
    }
    const CODE: &str = "print(hash('seed'))";
    let hash =
        |words: &[&str]| printed(&clone("python", CODE).args(words.iter().copied()).arg("--json").outcome()).to_owned();
    let (shared, own) = (hash(&[]), hash(&["--fresh-seed"]));
    assert_eq!(hash(&[]), shared, "it is not shared, so nothing stood in the machine");
    assert_ne!(own, shared);
    assert_ne!(own, hash(&["--fresh-seed"]));
}

#[test]
fn a_clone_knows_what_time_it_is() {
    if !has_microvms("a_clone_knows_what_time_it_is") {
        return;
    }
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later").as_secs_f64();
    made("python");
    let before = now();
    let outcome = outcome("python", "import time; print(time.time(), time.monotonic())");
    let after = now();
    let [time, _] = printed(&outcome).split_whitespace().collect::<Vec<_>>()[..] else { panic!("{outcome}") };
    let time: f64 = time.parse().expect("a time");
    assert!((before - 0.05..after + 0.05).contains(&time), "{before} to {after}: {outcome}");
}

#[test]
fn many_go_on_at_once_each_with_its_own_answer() {
    if !has_microvms("many_go_on_at_once_each_with_its_own_answer") {
        return;
    }
    made("bash");
    let host = HostInventory::take();
    let clones: Vec<_> = (0..8).map(|number| clone("bash", &format!("echo {number}")).start()).collect();
    for (number, clone) in clones.into_iter().enumerate() {
        let call = clone.wait();
        assert_eq!(call.stdout(), format!("{number}\n"), "{call}");
    }
    host.assert_nothing_left();
}

#[test]
fn a_service_has_machines_waiting_that_go_on_from_snapshots() {
    if !has_microvms("a_service_has_machines_waiting_that_go_on_from_snapshots") {
        return;
    }
    // As much as a job gets that asks for nothing.
    let made = firebox().args(["snapshot", "create", "--lang", "bash", "--mem", "512"]).within(TO_MAKE).run();
    assert_eq!(made.code(), 0, "{made}");
    let words =
        ["serve", "--listen", "127.0.0.1:0", "--microvms", "--languages", "bash", "--warm", "1", "--state", "none"];
    let service = Service::of(firebox().args(words).within(TO_MAKE).start());
    let mut connection = Connection::open(service.address).expect("the service listens");
    let mut execute = |request: serde_json::Value| {
        let begun = Instant::now();
        let reply =
            connection.post("/v1/execute", "application/json", request.to_string().as_bytes()).expect("an answer");
        let answer: serde_json::Value = serde_json::from_str(&reply.text()).expect("JSON");
        println!("measured: bash in a service's machine: {:?}, {}", begun.elapsed(), answer["timing_ms"]["total"]);
        (reply.code, answer)
    };
    let mut drawn = BTreeSet::new();
    for _ in 0..3 {
        let code = "[ ! -e here ] || echo theirs; echo mine > here; od -An -tx1 -N16 /dev/urandom";
        let (status, answer) = execute(json!({"lang": "bash", "code": code, "limits": {"run_seconds": 60}}));
        assert_eq!(
            (status, &answer["status"], &answer["isolation"]),
            (200, &"ok".into(), &"microvm".into()),
            "{answer}"
        );
        assert!(!answer["stdout"].as_str().expect("text").contains("theirs"), "{answer}");
        assert!(drawn.insert(answer["stdout"].to_string()), "two have drawn the same: {answer}");
    }
    let (status, answer) = execute(json!({"lang": "bash", "code": "true", "limits": {"memory_mb": 600}}));
    assert!((400..500).contains(&status) && answer.to_string().contains("512"), "{status}: {answer}");
    drop(connection);
    service.stop();
}

#[test]
fn whoever_kills_the_making_of_a_snapshot_has_none_and_no_machine_either() {
    if !has_microvms("whoever_kills_the_making_of_a_snapshot_has_none_and_no_machine_either") {
        return;
    }
    let host = HostInventory::take();
    let call = firebox().args(["snapshot", "create", "--lang", "bash", "--mem", "300"]).within(TO_MAKE).start();
    let until = Instant::now() + TO_MAKE;
    // Who keeps it, who makes it, and the warden; its monitor stands in groups of its own.
    while call.pids().len() < 3 {
        assert!(Instant::now() < until && call.is_running(), "there is no warden: {:?}", call.contents());
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_secs(1));
    assert!(call.is_running(), "it was made in no time");
    call.signal(Signal::KILL);
    let (_, guard) = call.wait_keeping_guard();
    while !guard.processes().is_empty() {
        assert!(Instant::now() < until, "it goes on: {:?}", guard.contents());
        std::thread::sleep(Duration::from_millis(20));
    }
    let listed = firebox().args(["snapshot", "list"]).run();
    assert!(!listed.stdout().contains("bash-300-1"), "{listed}");
    host.assert_nothing_left();
}

#[test]
fn where_there_is_no_snapshot_that_fits_it_is_said_what_makes_one() {
    if !has_microvms("where_there_is_no_snapshot_that_fits_it_is_said_what_makes_one") {
        return;
    }
    // A language of which no other test makes a larger one.
    made("c");
    for (words, makes) in [
        (["--mem", "128", "--vcpus", "2"], "--lang c --mem 128 --vcpus 2"),
        (["--mem", "300", "--disk", "164M"], "--lang c --mem 400 --vcpus 1"),
    ] {
        let call = firebox().args(["host", "--lang", "c", "--code", "true", "--snapshot"]).args(words).run();
        assert_eq!(call.code(), 125, "{call}");
        assert!(call.stderr().contains(&format!("firebox snapshot create {makes}`")), "{call}");
    }
}
