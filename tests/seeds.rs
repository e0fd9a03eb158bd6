//! What copies of one template have in common, which SECURITY.md names; that they have nothing else in common that was drawn by
//! chance; and jobs that want to share nothing.

mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use kit::{HostInventory, Requests, StandIn, job, requests, skip, temp_dir};
use serde_json::{Value, json};

/// How many jobs are compared.
const JOBS: usize = 8;

/// What a program in Python says of itself: in `shared` what a copy has from its template, in `drawn` what it draws.
const PYTHON: &str = "
import ctypes, json, os, random, secrets, ssl, subprocess, sys, tempfile, uuid
libc = ctypes.CDLL(None)
libc.getauxval.restype = ctypes.c_ulong
shared = {
    'seed of hashes': hash('a text'),
    'layout': id(object()),
    'layout of libraries': ctypes.cast(libc.malloc, ctypes.c_void_p).value,
    'guards of the C library': ctypes.string_at(libc.getauxval(25), 16).hex(),
}
hashed = [sys.executable, '-c', 'print(hash(\"a text\"))']
drawn = {
    'random': random.random(),
    'random of its own': random.Random().random(),
    'random of the system': random.SystemRandom().random(),
    'secrets': secrets.token_hex(),
    'uuid1': str(uuid.uuid1()),
    'uuid4': str(uuid.uuid4()),
    'urandom': os.urandom(8).hex(),
    'getrandom': os.getrandom(8).hex(),
    'tempfile': tempfile.mktemp(),
    'mkstemp of the C library': (lambda name: (libc.mkstemp(name), name.value.decode())[1])(ctypes.create_string_buffer(b'/tmp/XXXXXX')),
    'ssl': ssl.RAND_bytes(8).hex(),
    'seed of hashes of a child': subprocess.run(hashed, capture_output=True, text=True, check=True).stdout,
}
reading, writing = os.pipe()
if os.fork() == 0:
    os.write(writing, random.random().hex().encode())
    os._exit(0)
drawn['random of a forked child'] = os.read(reading, 99).decode()
print(json.dumps({'shared': shared, 'drawn': drawn}))
";

/// Where the compiler itself had its largest library.
const RUST: &str = "fn main() {
    let maps = include_str!(\"/proc/self/maps\");
    let driver = maps.lines().find(|line| line.contains(\"librustc_driver\")).unwrap();
    println!(\"{{\\\"shared\\\": {{\\\"layout\\\": {:?}}}}}\", driver.split('-').next().unwrap());
}";

/// Under each name, what each of some jobs has said.
type Said = BTreeMap<String, Vec<String>>;

/// What jobs say that come one after the other to a process which keeps cells waiting.
fn said(language: &'static str, code: &str, fresh_seed: bool) -> BTreeMap<&'static str, Said> {
    let request = json!({"lang": language, "code": code, "fresh_seed": fresh_seed});
    said_to(requests(&[language]), &request)
}

fn said_to(asking: Requests, request: &Value) -> BTreeMap<&'static str, Said> {
    let asking = (0..JOBS).fold(asking.keeping_warm(2), |asking, _| asking.ask("", request.clone()));
    let mut said: BTreeMap<&'static str, Said> = BTreeMap::new();
    for response in asking.answered() {
        let one: Value =
            serde_json::from_str(response.stdout()).unwrap_or_else(|error| panic!("{error}: {response:?}"));
        for kind in ["shared", "drawn"] {
            for (name, value) in one[kind].as_object().into_iter().flatten() {
                said.entry(kind).or_default().entry(name.clone()).or_default().push(value.to_string());
            }
        }
    }
    said
}

fn assert_all_differ(said: &Said) {
    assert!(!said.is_empty(), "nothing was said");
    for (name, values) in said {
        let different: BTreeSet<&String> = values.iter().collect();
        assert_eq!(different.len(), JOBS, "{name} comes again: {values:#?}");
    }
}

fn assert_all_are_equal(said: &Said) {
    assert!(!said.is_empty(), "nothing was said");
    for (name, values) in said {
        let different: BTreeSet<&String> = values.iter().collect();
        assert_eq!((values.len(), different.len()), (JOBS, 1), "{name} differs, so these are no copies: {values:#?}");
    }
}

#[test]
fn copies_share_what_is_documented_and_draw_everything_else_anew() {
    let said = said("python", PYTHON, false);
    assert_all_are_equal(&said["shared"]);
    assert_all_differ(&said["drawn"]);
}

#[test]
fn jobs_that_ask_for_a_fresh_seed_share_nothing() {
    let said = said("python", PYTHON, true);
    assert_all_differ(&said["shared"]);
    assert_all_differ(&said["drawn"]);
}

#[test]
fn random_numbers_that_a_tool_keeps_for_later_are_no_copies_own() {
    let tool = StandIn::build("python3", "tests/seeds/keeps_random_numbers.c", &[]);
    let directory = temp_dir();
    let code = directory.path().join("code");
    std::fs::write(&code, "tell").expect("a file");
    let outside = Command::new(tool.program()).arg(&code).output().expect("it starts");
    if !String::from_utf8_lossy(&outside.stdout).contains("\"state\": 1") {
        return skip("random numbers that a tool keeps", "this kernel keeps none in a process");
    }

    let asking = requests(&["python"]).with_programs_in(&tool.bin());
    let said = said_to(asking, &json!({"lang": "python", "code": "tell"}));
    assert_all_are_equal(&said["shared"]);
    assert_all_differ(&said["drawn"]);
}

#[test]
fn a_single_run_can_be_asked_for_a_fresh_seed() {
    let host = HostInventory::take();
    let outcome = job("bash", "echo hello").arg("--fresh-seed").outcome();
    assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "hello\n"), "{outcome}");
    host.assert_nothing_left();
}

#[test]
fn a_compiler_shares_its_layout_with_others_but_for_jobs_that_ask_for_a_fresh_seed() {
    assert_all_are_equal(&said("rust", RUST, false)["shared"]);
    assert_all_differ(&said("rust", RUST, true)["shared"]);
}
