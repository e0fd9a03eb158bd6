//! Whoever of Firebox's processes dies at whichever of its system calls, nothing is left.
//!
//! Chance (`crashes`) seldom hits between two calls that belong together, such as writing a control group down and making
//! it. strace does every time: it kills a process as that enters its n-th call of a name, for each name and each n.

mod kit;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use kit::{Firebox, Guard, HostInventory, firebox, job};

/// Rounds that go on at once.
const AT_ONCE: usize = 4;
/// How long Firebox and the kernel may take to end what a killed process leaves.
const MOMENT: Duration = Duration::from_secs(2);

/// Calls that are made very often and leave the host as it was. Who dies there might as well have died at the next call.
const IDLE: [&str; 12] = [
    "brk",
    "close",
    "fcntl",
    "fstat",
    "mmap",
    "mprotect",
    "munmap",
    "prctl",
    "pread64",
    "readlink",
    "rt_sigaction",
    "statx",
];

/// The n-th call of a name.
type Moment = (String, usize);
/// How often each call was made.
type Counts = BTreeMap<String, usize>;

#[test]
fn the_engine_may_die_at_any_of_its_calls() {
    check("the_engine_may_die_at_any_of_its_calls", &[], |engine, _| moments(engine, &Counts::new()));
}

/// The processes of a call count for themselves, and the first that comes to n dies. Where that is the engine, the test
/// above has seen it.
#[test]
fn the_warden_and_the_agent_may_die_at_any_of_theirs() {
    check("the_warden_and_the_agent_may_die_at_any_of_theirs", &["-f"], |engine, others| moments(others, engine));
}

/// Kills at each of these moments, which are chosen from what the engine calls and what the other processes do.
fn check(name: &str, follow: &[&str], choose: impl FnOnce(&Counts, &Counts) -> Vec<Moment>) {
    if !kit::is_installed("strace") {
        return;
    }
    if !kit::is_root(name) {
        return;
    }
    let host = HostInventory::take();
    let (engine, others) = count();
    let moments = choose(&engine, &others);
    assert!(100 < moments.len(), "there must be more than these: {moments:?}");

    let (queue, kept) = (Mutex::new(moments.into_iter()), Mutex::new(Vec::new()));
    let next = || queue.lock().expect("nobody panicked").next();
    thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            threads.spawn(|| {
                while let Some(moment) = next() {
                    let left = kill_at(&moment, follow);
                    kept.lock().expect("nobody panicked").extend(left);
                }
            });
        }
    });

    // The one start that may still find something to sweep up.
    let next = job("bash", "echo hello").outcome();
    assert_eq!((next.verdict(), next.stdout()), (("ok", "run", 0, None), "hello\n"), "{next}");
    host.assert_nothing_left();
    drop(kept);
}

fn call() -> Firebox {
    firebox().args(["run", "--lang", "bash", "--code", "echo hello"])
}

/// Counts the calls of an engine's first thread, and of its warden and agent: what each of the two makes most.
fn count() -> (Counts, Counts) {
    let traces = kit::temp_dir();
    let output = traces.path().join("of");
    let strace = ["strace", "-ff", "-o", output.to_str().expect("a path that is text")];
    let call = call().through(strace).run();
    assert_eq!((call.code(), call.stdout().as_str()), (0, "hello\n"), "{call}");

    let (mut engine, mut others) = (Counts::new(), Counts::new());
    for file in fs::read_dir(traces.path()).expect("the traces").flatten() {
        let text = fs::read_to_string(file.path()).expect("strace writes text");
        let mut counts = Counts::new();
        for (call, _) in text.lines().filter_map(|line| line.split_once('(')) {
            *counts.entry(call.to_owned()).or_default() += 1;
        }
        // The engine is the process that starts as a program and forks one that does not. Threads and the job's program
        // are left out: no mount and no group is theirs.
        if text.starts_with("execve(") {
            engine = counts;
        } else if counts.contains_key("fsopen") {
            for (call, times) in counts {
                let most = others.entry(call).or_default();
                *most = times.max(*most);
            }
        }
    }
    assert!(!engine.is_empty() && !others.is_empty(), "strace saw nothing of them\n{call}");
    (engine, others)
}

/// Every call that is not idle, from the one after those that are `done` already.
fn moments(counts: &Counts, done: &Counts) -> Vec<Moment> {
    let worth = counts.iter().filter(|(call, _)| !IDLE.contains(&call.as_str()));
    let each = |(call, most): (&String, &usize)| {
        let first = 1 + done.get(call).copied().unwrap_or(0);
        (first..=*most).map(|n| (call.clone(), n)).collect::<Vec<_>>()
    };
    worth.flat_map(each).collect()
}

/// Runs a job of which somebody dies then. The guard comes back if there is still something in it.
fn kill_at((name, n): &Moment, follow: &[&str]) -> Option<Guard> {
    let inject = format!("inject={name}:signal=SIGKILL:when={n}");
    let strace = ["strace", "-qqq", "-o", "/dev/null", "-e", &inject];
    let (call, guard) = call().through(strace.iter().chain(follow).copied()).start().wait_keeping_guard();
    if let Err(left) = guard.wait_until_empty(Instant::now() + MOMENT) {
        panic!("{MOMENT:?} after a death at {name} {n} there is still {left:#?}\n{call}");
    }
    assert!(call.code() != 0 || call.stdout() == "hello\n", "a death at {name} {n} was taken for an outcome\n{call}");
    (!guard.contents().is_empty()).then_some(guard)
}
