//! What clones of one machine share, and what they do not: jobs that go on where another machine was frozen, beside each other and one after the other.
//!
//! Where KVM runs kernels, which is in the lab: with the images and the kernel that are kept there.

#![expect(clippy::print_stdout, reason = "what was measured is told")]

mod kit;

use std::collections::BTreeSet;
use std::process::Command;

use kit::freezing::{clone, freezing, has_machines, has_snapshot, place_of, printed};
use kit::{HostInventory, Started, firebox, monitor_of};

/// A job that begins, and goes on for long enough to look at it.
fn lasting() -> Started {
    let call = clone("bash", "echo begun; sleep 15; echo over").start();
    call.wait_for_stdout("begun");
    call
}

#[test]
fn no_two_draw_the_same() {
    if !has_machines("no_two_draw_the_same") {
        return;
    }
    const CODE: &str = "import os, random, uuid
for drawn in os.urandom(16).hex(), os.getrandom(16).hex(), random.getrandbits(64), uuid.uuid4(), open('/dev/urandom', 'rb').read(16).hex():
    print(drawn)";
    assert_no_two_draw_the_same("python", CODE, 5);
}

/// Node draws when it starts, for whatever is drawn from it later.
#[test]
fn no_two_draw_the_same_in_node() {
    if !has_machines("no_two_draw_the_same_in_node") {
        return;
    }
    const CODE: &str = "const crypto = require('crypto');
console.log(crypto.randomBytes(16).toString('hex'));
console.log(crypto.webcrypto.getRandomValues(new Uint32Array(4)).join());
console.log(crypto.randomUUID());
console.log(Math.random());";
    assert_no_two_draw_the_same("javascript", CODE, 4);
}

/// By lines, each of which has something else that was drawn.
fn assert_no_two_draw_the_same(language: &str, code: &str, lines: usize) {
    let drawn: Vec<Vec<String>> =
        (0..3).map(|_| printed(clone(language, code)).lines().map(str::to_owned).collect()).collect();
    for line in 0..lines {
        let different: BTreeSet<&String> = drawn.iter().map(|clone| &clone[line]).collect();
        assert_eq!(different.len(), drawn.len(), "{line}: {drawn:?}");
    }
}

#[test]
fn what_a_runtime_settles_at_its_start_is_shared_unless_a_job_wants_its_own() {
    if !has_machines("what_a_runtime_settles_at_its_start_is_shared_unless_a_job_wants_its_own") {
        return;
    }
    let hash = |words: &[&str]| printed(clone("python", "print(hash('seed'))").args(words.iter().copied()));
    let (shared, own) = (hash(&[]), hash(&["--fresh-seed"]));
    assert_eq!(hash(&[]), shared, "it is not shared, so nothing stood in the machine");
    assert_ne!(own, shared);
    assert_ne!(own, hash(&["--fresh-seed"]));
}

/// By questions and answers: the clock in there is read between a question and its answer, so it has to be between them, but for an error.
const ASKS_FOR_THE_TIME: &str = "
import subprocess, sys, time
call = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
call.stdout.readline()
for _ in range(20):
    asked = time.time()
    call.stdin.write('?\\n'); call.stdin.flush()
    there, since = map(float, call.stdout.readline().split())
    answered = time.time()
    print(max(asked - there, there - answered, 0), answered - asked, since)
call.stdin.close()
sys.exit(call.wait())
";
/// How long after its own start something is told, which may have been before the machine was frozen: never before it.
const TELLS_THE_TIME: &str = "
import sys, time
started = int(open('/proc/self/stat').read().rsplit(') ', 1)[1].split()[19]) / 100
print('ready', flush=True)
for question in sys.stdin: print(time.time(), time.monotonic() - started, flush=True)
";

#[test]
fn a_clone_knows_what_time_it_is_and_its_own_goes_on() {
    if !has_machines("a_clone_knows_what_time_it_is_and_its_own_goes_on") {
        return;
    }
    let host = HostInventory::take();
    let asking = clone("python", TELLS_THE_TIME).args(["--stdin", "-"]);
    let call = asking.through(["python3", "-c", ASKS_FOR_THE_TIME]).run();
    assert_eq!(call.code(), 0, "{call}");
    let answers: Vec<[f64; 3]> = call
        .stdout()
        .lines()
        .map(|line| {
            let numbers: Vec<f64> = line.split_whitespace().map(|number| number.parse().expect("a number")).collect();
            numbers.try_into().expect("three of them")
        })
        .collect();
    assert_eq!(answers.len(), 20, "{call}");
    let (mut worst, mut before) = (0_f64, 0.0);
    for [error, _, since] in answers {
        assert!(error <= 0.05, "its clock is {error} s wrong: {call}");
        // A tick of the clock that the start of a process is counted in.
        assert!(before - 0.01 <= since, "its own time went back: {call}");
        (worst, before) = (worst.max(error), since);
    }
    println!("measured: a clone's clock is at most {:.1} ms before the question or after the answer", 1000.0 * worst);
    host.assert_nothing_left();
}

#[test]
fn one_that_dies_takes_nothing_with_it() {
    if !has_machines("one_that_dies_takes_nothing_with_it") {
        return;
    }
    has_snapshot("bash");
    let host = HostInventory::take();
    let (dies, lives) = (lasting(), lasting());
    assert!(monitor_of(dies.pid()).kill());
    let died = dies.wait();
    assert_eq!(died.code(), 125, "{died}");
    assert!(died.stderr().contains("its monitor was ended"), "{died}");
    assert_eq!(printed(clone("bash", "echo next")), "next\n");
    let lived = lives.wait();
    assert_eq!((lived.code(), lived.stdout().as_str()), (0, "begun\nover\n"), "{lived}");
    host.assert_nothing_left();
}

/// Neither of who makes it, nor of where it is made.
#[test]
fn a_snapshot_holds_nothing_of_the_host() {
    if !has_machines("a_snapshot_holds_nothing_of_the_host") {
        return;
    }
    let host = HostInventory::take();
    let secret = |what: &str| format!("{what}-{:032x}", rand_of_the_kernel());
    let (variable, file, argument) = (secret("variable"), secret("file"), secret("argument"));
    let call = freezing("bash", &["--mem", "80"]).env("A_SECRET", &variable).file("a_secret", &file);
    // One that its caller's shell has, and whoever looks at the processes of the host.
    let place = place_of(call.through(["sh", "-c", "\"$@\"; exit $?", &argument]));
    let is_in = |words: &str, file: &str| {
        let found = Command::new("grep").args(["-qaF", words]).arg(place.join(file)).status().expect("grep runs");
        assert!(found.code().is_some_and(|code| code < 2), "grep fails");
        found.success()
    };
    // So it is known that what is in there is found.
    assert!(is_in("Linux version", "memory"), "there is no kernel in it");
    let caller = std::env::current_exe().expect("a path").display().to_string();
    for secret in [&variable, &file, &argument, &caller] {
        for file in ["memory", "state", "record"] {
            assert!(!is_in(secret, file), "{secret} is in its {file}");
        }
    }
    assert_eq!(firebox().args(["snapshot", "remove", "bash-80-1"]).run().code(), 0);
    host.assert_nothing_left();
}

fn rand_of_the_kernel() -> u128 {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").expect("the kernel draws");
    u128::from_str_radix(&uuid.trim().replace('-', ""), 16).expect("a number")
}
