//! Jobs in machines that go on where another was frozen: `firebox snapshot create`, and `--snapshot`.
//!
//! Where KVM runs kernels, which is in the lab: with the images and the kernel that are kept there.

#![expect(clippy::print_stdout, reason = "what was measured is told")]

#[path = "../crates/image/tests/kit/mod.rs"]
mod images;
mod kit;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use images::s3::RealS3;
use kit::freezing::{TO_FREEZE, clone, freezing, has_machines, has_snapshot, place_of, printed};
use kit::{Connection, Firebox, HostInventory, Service, firebox, is_installed};
use rustix::process::Signal;
use serde_json::{Value, json};

#[test]
fn a_job_in_each_language_goes_on_from_a_snapshot() {
    if !has_machines("a_job_in_each_language_goes_on_from_a_snapshot") {
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
        has_snapshot(language);
        for _ in 0..2 {
            let host = HostInventory::take();
            let begun = Instant::now();
            assert_eq!(printed(clone(language, code)), "42\nmine\n", "{language}");
            println!("measured: {language} from a snapshot: {:?}", begun.elapsed());
            host.assert_nothing_left();
        }
    }
}

/// As the page that started the project has them, word for word; S3 is a server on this host.
#[test]
fn the_pages_snapshot_is_made_sent_fetched_and_gone_on_from() {
    if !has_machines("the_pages_snapshot_is_made_sent_fetched_and_gone_on_from") {
        return;
    }
    let host = HostInventory::take();
    const BUCKET: &str = "llm-firecracker";
    let directory = images::workshop();
    let s3 = RealS3::start(directory.path()).expect("the lab has a server of S3");
    s3.make_bucket(BUCKET);
    let code = "fn main() {\n    let x = 42;\n    println!(\"{}\", x);\n}";
    let succeeds = |words: &[&str]| {
        let begun = Instant::now();
        let call = firebox().word_for_word().args(words.iter().copied()).within(TO_FREEZE);
        let call = call.envs(s3.variables(&s3.host)).run();
        assert_eq!(call.code(), 0, "{call}");
        println!("measured: {} {}: {:?}", words[0], words[1], begun.elapsed());
        call
    };
    let goes_on = || {
        let words = ["host", "--lang", "rust", "--code", code, "--mem", "512", "--vcpus", "1", "--snapshot"];
        assert_eq!(succeeds(&words).stdout(), "42\n");
    };
    let words = ["snapshot", "create", "--lang", "rust", "--mem", "512", "--vcpus", "1"];
    let shown = firebox().word_for_word().args(words).at_a_terminal().within(TO_FREEZE).run();
    assert_eq!(shown.code(), 0, "{shown}");
    for step in ["booting a microVM", "starting what jobs begin with", "writing its memory", "reading it again"] {
        assert!(shown.stdout().contains(step), "it does not tell of {step:?}: {shown}");
    }
    let all = shown.stdout();
    let (result, place) = all.trim_end().rsplit_once("; in ").expect("a place");
    assert!(result.contains("rust-512-1: ") && result.contains(" MiB on the disk, of a microVM with "), "{shown}");
    println!("measured: {}", result.lines().last().unwrap_or_default());
    let memory = fs::metadata(Path::new(place).join("memory")).expect("its memory");
    assert!(memory.blocks() * 512 * 4 < memory.len(), "what is empty takes room: {memory:?}");
    goes_on();
    // `HashMap` draws its keys when the first one is made.
    let keys = "use std::hash::BuildHasher;\nfn main() { println!(\"{}\", std::collections::HashMap::<u8, u8>::new().hasher().hash_one(1)) }";
    let draw = || printed(clone("rust", keys));
    assert_ne!(draw(), draw());
    succeeds(&["snapshot", "upload", "--lang", "rust", "--bucket", BUCKET]);
    succeeds(&["snapshot", "remove", "rust-512-1"]);
    succeeds(&["snapshot", "download", "--lang", "rust", "--bucket", BUCKET]);
    assert!(succeeds(&["snapshot", "inspect", "rust-512-1"]).stdout().contains("what was frozen"));
    goes_on();
    succeeds(&["snapshot", "remove", "rust-512-1"]);
    host.assert_nothing_left();
}

/// Nobody has asked for a microVM here.
#[test]
fn a_job_is_in_a_machine_by_itself_once_there_is_a_snapshot_of_its_language() {
    if !has_machines("a_job_is_in_a_machine_by_itself_once_there_is_a_snapshot_of_its_language") {
        return;
    }
    has_snapshot("bash");
    let kind = |words: &[&str]| {
        let words = ["run", "--json", "--lang", "bash", "--code", "echo hi"].iter().chain(words).copied();
        let call = firebox().word_for_word().args(words).within(TO_FREEZE).run();
        let response: Value = serde_json::from_str(&call.stdout()).expect("JSON");
        assert_eq!((&response["status"], &response["stdout"]), (&"ok".into(), &"hi\n".into()), "{call}");
        (response["isolation"].as_str().expect("a kind of cell").to_owned(), call.stderr())
    };
    assert_eq!(kind(&[]), ("microvm".to_owned(), String::new()));
    assert_eq!(kind(&["--isolation", "jail"]).0, "jail");
    // Where none has room, none is made for that.
    assert_eq!(kind(&["--memory", "1G"]), ("jail".to_owned(), String::new()));
}

/// What a user meets who has kept one for long, or on a bad disk.
#[test]
fn a_snapshot_that_is_not_what_was_frozen_is_refused_by_name_and_booting_does_without() {
    if !has_machines("a_snapshot_that_is_not_what_was_frozen_is_refused_by_name_and_booting_does_without") {
        return;
    }
    const SMALL: [&str; 4] = ["--mem", "64", "--vcpus", "1"];
    let host = HostInventory::take();
    let freeze = || place_of(freezing("bash", &SMALL));
    let host_bash = |how: &str| {
        let words = ["host", "--lang", "bash", "--code", "echo hi", how];
        firebox().word_for_word().args(words).args(SMALL).within(TO_FREEZE).run()
    };
    let cut = |path: &Path, by: u64| {
        let file = File::options().write(true).open(path).expect("a file of a snapshot");
        let length = file.metadata().expect("its length").len();
        file.set_len(length - by).expect("it is cut");
    };
    let alter = |path: &Path, at: u64| {
        let file = File::options().read(true).write(true).open(path).expect("a file of a snapshot");
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("it has so much");
        file.write_all_at(&[!byte[0]], at).expect("it is altered");
    };
    let place = freeze();
    let kept: Vec<(&str, Vec<u8>)> =
        ["state", "record"].map(|file| (file, fs::read(place.join(file)).expect("a file of it"))).into();
    assert_eq!(host_bash("--snapshot").stdout(), "hi\n");
    type Harm<'a> = (&'a str, &'a dyn Fn(&Path), &'a str);
    let harms: [Harm<'_>; 4] = [
        ("state", &|state| alter(state, 200), "/state` is damaged (it was altered"),
        ("state", &|state| cut(state, 1), "/state` is damaged (it has "),
        ("record", &|record| alter(record, 3), "/record` is damaged"),
        // The last, since it cannot be put back.
        ("memory", &|memory| cut(memory, 4096), "/memory` is damaged (it has "),
    ];
    for (file, harm, words) in harms {
        harm(&place.join(file));
        let refused = host_bash("--snapshot");
        assert_eq!((refused.code(), refused.stdout().as_str()), (125, ""), "{file}: {refused}");
        for words in [words, "firebox snapshot create --lang bash --mem 64 --vcpus 1", "--boot"] {
            assert!(refused.stderr().contains(words), "{file}: {words:?} is not said: {refused}");
        }
        for (file, content) in &kept {
            fs::write(place.join(file), content).expect("it is put back");
        }
    }
    let booted = host_bash("--boot");
    assert_eq!((booted.code(), booted.stdout().as_str()), (0, "hi\n"), "{booted}");
    freeze();
    assert_eq!(host_bash("--snapshot").stdout(), "hi\n");
    assert_eq!(firebox().args(["snapshot", "remove", "bash-64-1"]).run().code(), 0);
    host.assert_nothing_left();
}

#[test]
fn some_go_on_at_once_each_with_its_own_answer() {
    if has_machines("some_go_on_at_once_each_with_its_own_answer") {
        go_on_at_once(8);
    }
}

#[test]
fn a_hundred_go_on_at_once_each_with_its_own_answer() {
    if has_machines("a_hundred_go_on_at_once_each_with_its_own_answer") {
        go_on_at_once(100);
    }
}

/// All of them are there before the first job comes.
fn go_on_at_once(all: usize) {
    has_snapshot("bash");
    let (begun, memory_before) = (Instant::now(), memory_left());
    let many = all.to_string();
    let call = serving_bash(&["--warm", &many, "--warm-memory", "8G", "--running", &many, "--queue-time", "10m"]);
    let service = Service::of(call.within(2 * TO_FREEZE).memory_mib(3500).start());
    let mut connection = Connection::open(service.address).expect("the service listens");
    let mut is_waiting = |cells: usize| {
        let metrics = connection.get("/metrics").expect("metrics").text();
        metrics.contains(&format!("cells_waiting{{language=\"bash\"}} {cells}\n"))
    };
    while !is_waiting(all) {
        assert!(begun.elapsed() < TO_FREEZE, "there are no {all} of them");
        std::thread::sleep(Duration::from_millis(500));
    }
    let each = memory_before.saturating_sub(memory_left()) / all as u64;
    println!("measured: {all} clones are there after {:?}, with {each} KiB for each", begun.elapsed());
    let (busy, since) = (busy_ticks(), Instant::now());
    std::thread::sleep(Duration::from_secs(5));
    let busy = (busy_ticks() - busy) as f64 / since.elapsed().as_secs_f64();
    println!("measured: while all of them wait, processors are busy for {busy:.0} % of one");
    let begun = Instant::now();
    let mut connections: Vec<Connection> =
        (0..all).map(|_| Connection::open(service.address).expect("it listens")).collect();
    for (number, connection) in connections.iter_mut().enumerate() {
        let code = format!("[ ! -e mine ] || echo theirs; echo {number} > mine; cat mine");
        let limits = json!({"run_seconds": 280, "cpu_seconds": 280});
        let request = json!({"lang": "bash", "code": code, "timeout": 290, "limits": limits}).to_string();
        connection.begin_post("/v1/execute", "application/json", request.as_bytes()).expect("it is sent");
    }
    let answers: Vec<Value> = connections
        .iter_mut()
        .map(|connection| serde_json::from_slice(&connection.receive().expect("an answer").body).expect("JSON"))
        .collect();
    println!("measured: {all} jobs at once, each in its own, are over after {:?}", begun.elapsed());
    drop((connection, connections));
    let ended = service.stop();
    // Whoever gets no answer of a job learns why from the log alone.
    let said = ended.stderr();
    let troubles: Vec<&str> = said.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    for (number, answer) in answers.iter().enumerate() {
        let is_right = answer["stdout"] == format!("{number}\n");
        assert!(is_right && answer["status"] == "ok" && answer["isolation"] == "microvm", "{answer}\n{troubles:#?}");
    }
}

/// In KiB.
fn memory_left() -> u64 {
    let all = fs::read_to_string("/proc/meminfo").expect("it is there");
    let left = all.lines().find_map(|line| line.strip_prefix("MemAvailable:")).expect("the kernel says it");
    left.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Of all processors together, in hundredths of a second, without what they have waited.
fn busy_ticks() -> u64 {
    let all = fs::read_to_string("/proc/stat").expect("it is there");
    let ticks: Vec<u64> = all.lines().next().into_iter().flat_map(str::split_whitespace).flat_map(str::parse).collect();
    ticks.iter().sum::<u64>() - ticks[3] - ticks[4] - ticks[8..].iter().sum::<u64>()
}

/// A service whose jobs are in machines.
fn serving_bash(words: &[&str]) -> Firebox {
    let serve = ["serve", "--listen", "127.0.0.1:0", "--microvms", "--languages", "bash", "--state", "none"];
    firebox().args(serve).args(words.iter().copied()).within(TO_FREEZE)
}

#[test]
fn a_service_has_machines_waiting_that_go_on_from_snapshots() {
    if !has_machines("a_service_has_machines_waiting_that_go_on_from_snapshots") {
        return;
    }
    has_snapshot("bash");
    let service = Service::of(serving_bash(&["--warm", "1"]).start());
    let mut connection = Connection::open(service.address).expect("the service listens");
    let mut execute = |request: Value| {
        let begun = Instant::now();
        let reply =
            connection.post("/v1/execute", "application/json", request.to_string().as_bytes()).expect("an answer");
        let answer: Value = serde_json::from_str(&reply.text()).expect("JSON");
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
    if !has_machines("whoever_kills_the_making_of_a_snapshot_has_none_and_no_machine_either") {
        return;
    }
    let host = HostInventory::take();
    let call = firebox().args(["snapshot", "create", "--lang", "bash", "--mem", "300"]).within(TO_FREEZE).start();
    let until = Instant::now() + TO_FREEZE;
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
    if !has_machines("where_there_is_no_snapshot_that_fits_it_is_said_what_makes_one") {
        return;
    }
    // A language of which no other test makes a larger one.
    has_snapshot("c");
    for (words, makes) in [
        (["--mem", "128", "--vcpus", "2"], "--lang c --mem 128 --vcpus 2"),
        (["--mem", "600", "--disk", "164M"], "--lang c --mem 700 --vcpus 1"),
    ] {
        let call = firebox().args(["host", "--lang", "c", "--code", "true", "--snapshot"]).args(words).run();
        assert_eq!(call.code(), 125, "{call}");
        assert!(call.stderr().contains(&format!("firebox snapshot create {makes}`")), "{call}");
    }
}
