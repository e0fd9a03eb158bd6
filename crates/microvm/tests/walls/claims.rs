//! What is claimed of a monitor.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use firebox_cell::{FrozenInto, View};
use firebox_guest::Introduction;
use firebox_microvm::{MONITOR, Machine, MicroVms, Welcome, with_overhead};
use firebox_monitor::{Report, Whose};

use crate::guests::{
    faults, says_and_resets, says_and_spins, says_and_waits_and_says_and_resets, writes_to_all_memory_below,
};
use crate::host::{Host, MEMORY, Monitor, PLENTY, wait_until};
use crate::memory::Memory;

type Claim = fn();

pub(crate) const CLAIMS: [(&str, Claim); 12] = [
    ("a_guests_end_is_told_with_its_last_words", a_guests_end_is_told_with_its_last_words),
    ("a_guest_that_ends_before_it_has_a_cell_is_a_fault", a_guest_that_ends_before_it_has_a_cell_is_a_fault),
    ("what_is_no_kernel_is_not_the_guests_doing", what_is_no_kernel_is_not_the_guests_doing),
    (
        "a_machine_that_is_let_go_ends_at_once_and_nothing_is_left",
        a_machine_that_is_let_go_ends_at_once_and_nothing_is_left,
    ),
    (
        "a_monitor_whose_owner_sends_no_doors_waits_and_ends_with_them",
        a_monitor_whose_owner_sends_no_doors_waits_and_ends_with_them,
    ),
    ("a_monitor_stands_in_walls_of_its_own", a_monitor_stands_in_walls_of_its_own),
    ("a_monitors_own_memory_is_five_mib_at_most", a_monitors_own_memory_is_five_mib_at_most),
    ("a_monitor_that_is_taken_reaches_nothing", a_monitor_that_is_taken_reaches_nothing),
    ("the_walls_hold_without_the_filter", the_walls_hold_without_the_filter),
    ("a_frozen_machine_is_gone_and_goes_on_in_others", a_frozen_machine_is_gone_and_goes_on_in_others),
    ("what_is_no_snapshot_is_told_with_what_to_do", what_is_no_snapshot_is_told_with_what_to_do),
    ("a_thread_that_crashes_ends_its_monitor_at_once", a_thread_that_crashes_ends_its_monitor_at_once),
];

fn a_guests_end_is_told_with_its_last_words() {
    let host = Host::start(&[(says_and_resets("hello"), 1), (faults(), 1), (says_and_resets("of two"), 2)], MONITOR);
    // Also at the same time, from one file that all of them read.
    let machines = [0, 1, 2, 0, 0].map(|blueprint| host.boot(blueprint).0);
    let ends = machines.map(|machine| machine.end.wait(PLENTY).expect("a report").expect("an end"));
    let told = ends.map(|end| (end.whose, end.words, String::from_utf8_lossy(&end.last_words).into_owned()));
    let reset = |said: &str| (Whose::Guests, "the guest reset itself".to_owned(), said.to_owned());
    let gave_up = (Whose::Guests, "the guest's processor gave up (triple fault)".to_owned(), String::new());
    assert_eq!(told, [reset("hello"), gave_up, reset("of two"), reset("hello"), reset("hello")]);
    host.assert_at_rest();
}

fn a_guest_that_ends_before_it_has_a_cell_is_a_fault() {
    let host = Host::start(&[(says_and_resets("no such disk"), 1)], MONITOR);
    let introduction = Introduction { agent: Vec::new(), view: View::default() };
    let Err(fault) = MicroVms::one(host.cells(), 0, &Welcome::from(&introduction)) else { panic!("a cell") };
    assert_eq!(fault.to_string(), "a microVM cannot boot its guest: the guest reset itself");
    assert_eq!(fault.source().expect("its last words").to_string(), "its guest said last: no such disk");
    host.assert_at_rest();
}

fn what_is_no_kernel_is_not_the_guests_doing() {
    let host = Host::start(&[(b"#!/bin/sh".to_vec(), 1)], MONITOR);
    let (machine, _) = host.boot(0);
    let report = machine.end.wait(PLENTY).expect("a report").expect("an end");
    assert_eq!(report.whose, Whose::Ours);
    assert!(report.words.contains("no Linux kernel"), "{report:?}");
    drop(machine);
    host.assert_at_rest();
}

fn a_frozen_machine_is_gone_and_goes_on_in_others() {
    for vcpus in [1, 2] {
        let frozen = Frozen::of(&says_and_waits_and_says_and_resets("before", "after"), vcpus);
        let host = Host::start_to_go_on(&frozen.state, &frozen.memory, vcpus);
        // At the same time, and one later.
        for many in [2, 1] {
            let clones: Vec<Machine> = (0..many).map(|_| host.boot(0).0).collect();
            for clone in clones {
                let Report { whose, words, last_words } = clone.end.wait(PLENTY).expect("a report").expect("an end");
                assert_eq!((whose, words.as_str()), (Whose::Guests, "the guest reset itself"));
                // What it had said by then, it does not say again.
                let said = String::from_utf8_lossy(&last_words);
                assert!(said != "beforeafter" && "beforeafter".ends_with(&*said) && said.ends_with("after"), "{said}");
            }
        }
        host.assert_at_rest();
    }
}

fn what_is_no_snapshot_is_told_with_what_to_do() {
    let frozen = Frozen::of(&says_and_spins("here"), 1);
    let state = fs::read(&frozen.state).expect("a state");
    let place = |name: &str, bytes: &[u8]| {
        let path = frozen.files.path().join(name);
        fs::write(&path, bytes).expect("a file");
        path
    };
    let mut altered = state.clone();
    altered[state.len() / 2] ^= 1;
    let short = place("short", &[0; 4096]);
    for (state, memory, vcpus, words) in [
        (place("altered", &altered), &frozen.memory, 1, "altered since it was written"),
        (place("cut", &state[..state.len() - 1]), &frozen.memory, 1, "cut off"),
        (place("other", b"#!/bin/sh"), &frozen.memory, 1, "no snapshot"),
        (frozen.state.clone(), &short, 1, "make the snapshot, again"),
        (frozen.state.clone(), &frozen.memory, 2, "make it again"),
    ] {
        let host = Host::start_to_go_on(&state, memory, vcpus);
        let (machine, _) = host.boot(0);
        let report = machine.end.wait(PLENTY).expect("a report").expect("an end");
        assert!(report.whose == Whose::Ours && report.words.contains(words), "{words}: {report:?}");
        drop(machine);
        host.assert_at_rest();
    }
}

/// A machine that was frozen while it ran.
struct Frozen {
    state: PathBuf,
    memory: PathBuf,
    files: tempfile::TempDir,
}

impl Frozen {
    fn of(kernel: &[u8], vcpus: u8) -> Frozen {
        let files = tempfile::tempdir().expect("a directory");
        let [state, memory] = ["state", "memory"].map(|name| files.path().join(name));
        let host = Host::start_to_freeze(kernel, vcpus);
        let (machine, monitor) = host.boot(0);
        monitor.wait_for_its_processor();
        // It says a few words first.
        std::thread::sleep(Duration::from_millis(500));
        let [to_state, to_memory] = [&state, &memory].map(|path| File::create(path).expect("a file"));
        machine.freeze(FrozenInto { state: to_state.as_fd(), memory: to_memory.as_fd() }).expect("a frozen machine");
        host.assert_at_rest();
        Frozen { state, memory, files }
    }
}

fn a_machine_that_is_let_go_ends_at_once_and_nothing_is_left() {
    let host = Host::start(&[(says_and_spins("here"), 2)], MONITOR);
    for _ in 0..3 {
        let (machine, monitor) = host.boot(0);
        monitor.wait_for_its_processor();
        let let_go = Instant::now();
        drop(machine);
        wait_until("the monitor is gone", || monitor.is_gone());
        let took = let_go.elapsed();
        assert!(took < PLENTY / 10, "it took {took:?}");
        host.assert_at_rest();
    }
}

fn a_monitor_whose_owner_sends_no_doors_waits_and_ends_with_them() {
    let host = Host::start(&[(says_and_resets("hello"), 1)], MONITOR);
    let (stream, socket) = host.make_a_bare_one();
    let mut stream = UnixStream::from(stream);
    // Its owner hangs up on it: there will be no doors.
    stream.shutdown(std::net::Shutdown::Write).expect("half a stream");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).expect("its last words");
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("no doors"), "{said}");
    drop(socket);
    host.assert_at_rest();
}

fn a_monitor_stands_in_walls_of_its_own() {
    let host = Host::start(&[(says_and_spins("here"), 1)], MONITOR);
    let [(_one, first), (_other, second)] = [host.boot(0), host.boot(0)];
    [&first, &second].into_iter().for_each(Monitor::wait_for_its_processor);

    // Its user is nobody else's, and has no rights.
    let uid = |monitor: &Monitor| monitor.status_of_all("Uid:")[0].1.clone();
    assert_ne!(uid(&first), uid(&second));
    assert!(uid(&first).split_whitespace().all(|id| id.starts_with("19000")), "{}", uid(&first));
    for rights in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        for (name, said) in first.status_of_all(rights) {
            assert_eq!(said, "0000000000000000", "{rights} of {name}");
        }
    }
    for (name, said) in first.status_of_all("NoNewPrivs:") {
        assert_eq!(said, "1", "{name}");
    }
    // Every thread is under a filter, and those that meet the guest under one more.
    let filters: BTreeMap<String, String> = first.status_of_all("Seccomp_filters:").into_iter().collect();
    let filters: Vec<(&str, &str)> = filters.iter().map(|(name, count)| (name.as_str(), count.as_str())).collect();
    let expected = |main, others| [("monitor", main), ("vcpu0", others), ("waker", others)];
    // Kernels before 5.11 do not count them.
    assert!(filters == expected("1", "2") || filters == expected("", ""), "{filters:?}");
    for (name, said) in first.status_of_all("Seccomp:") {
        assert_eq!(said, "2", "{name}");
    }

    // Every namespace is its own.
    for namespace in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
        let of = |monitor: &Monitor| fs::read_link(monitor.path(&format!("ns/{namespace}"))).expect("a namespace");
        let ours = fs::read_link(format!("/proc/self/ns/{namespace}")).expect("a namespace");
        assert!(of(&first) != of(&second) || namespace == "cgroup", "two share their {namespace} namespace");
        assert_ne!(of(&first), ours, "it shares our {namespace} namespace");
    }
    // There is nothing to see: no mount, no file, no interface but one that is down, no variable of whoever started it.
    assert_eq!(first.read("mountinfo"), "");
    assert_eq!(fs::read_dir(first.path("root")).expect("its root").count(), 0);
    let interfaces = first.read("net/dev");
    assert_eq!(interfaces.lines().skip(2).count(), 1, "{interfaces}");
    assert_eq!(first.read("environ"), "");
    // What is open is what it was handed, and what it made of that.
    let open = fs::read_dir(first.path("fd")).expect("its descriptors").flatten();
    let open = open.map(|link| fs::read_link(link.path()).expect("a descriptor").to_string_lossy().into_owned());
    let kind = |path: String| path.split(':').next().unwrap_or_default().to_owned();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    open.map(kind).for_each(|kind| *kinds.entry(kind).or_default() += 1);
    let known = ["/dev/null", "socket", "/dev/kvm", "anon_inode", "/"];
    for kind in kinds.keys() {
        assert!(known.contains(&kind.as_str()) || kind.ends_with("/disk"), "it has {kind} open: {kinds:?}");
    }
    // The stream and three doors.
    assert_eq!((kinds["/dev/null"], kinds["socket"]), (3, 4), "{kinds:?}");

    // And a group that holds it, where the host has groups.
    let has_groups = firebox_jail::control_groups().is_ok();
    let held = |names: &[&str]| host.in_group_of(&first, names);
    let expected = |limit: String| has_groups.then_some(limit);
    let memory = with_overhead(MEMORY).as_u64().to_string();
    assert_eq!(held(&["memory.max", "memory.limit_in_bytes"]), expected(memory));
    // Of one processor: as much time as passes.
    let quota =
        held(&["cpu.max", "cpu.cfs_quota_us"]).map(|said| said.split(' ').next().unwrap_or_default().to_owned());
    let period =
        held(&["cpu.max", "cpu.cfs_period_us"]).map(|said| said.rsplit(' ').next().unwrap_or_default().to_owned());
    assert!(quota == period && quota.is_some() == has_groups, "{quota:?} of {period:?}");
    // One processor and eight threads beside.
    assert_eq!(held(&["pids.max"]), expected("9".to_owned()));

    // What it has taken from itself.
    let limits = first.read("limits");
    for (what, most) in [("Max file size", "0"), ("Max locked memory", "0"), ("Max open files", "512")] {
        let line = limits.lines().find(|line| line.starts_with(what)).unwrap_or_default();
        let said: Vec<&str> = line.trim_start_matches(what).split_whitespace().take(2).collect();
        assert_eq!(said, [most, most], "{limits}");
    }
}

fn a_monitors_own_memory_is_five_mib_at_most() {
    const MOST_KIB: u64 = 5 << 10;
    let host = Host::start(&[(writes_to_all_memory_below(MEMORY.as_u64() as u32), 1)], MONITOR);
    let (_machine, monitor) = host.boot(0);
    monitor.wait_for_its_processor();
    let guests = |own: &Memory| MEMORY.as_u64() / 1024 - 3 * 1024 < own.guest;
    // The guest's memory is a mapping of exactly that length, or its largest part.
    let own = || Memory::of(&monitor.read("smaps"), |mapping| mapping.end - mapping.start >= MEMORY.as_u64());
    wait_until("the guest has written to all of its memory", || guests(&own()));
    let own = own();
    #[allow(clippy::print_stdout, reason = "a measurement is told")]
    {
        println!("a monitor's own memory: {} KiB, {} KiB of them private", own.proportional, own.private);
    }
    assert!(0 < own.private && own.proportional <= MOST_KIB, "{own:?}");
}

/// What it may still do, by which it is seen to have tried.
const ALLOWED: [&str; 3] = ["read a clock", "ask KVM for its version", "thread: read a clock"];

static HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostile"));

fn a_monitor_that_is_taken_reaches_nothing() {
    let told = attempts(1);
    for (attempt, answer) in &told {
        let is_allowed = ALLOWED.contains(&attempt.as_str());
        let refused = ["errno 38", "errno 1", "errno 25"].contains(&answer.as_str());
        assert!(if is_allowed { answer.starts_with("done") } else { refused }, "{attempt}: {answer}");
    }
    assert!(30 < told.len(), "{told:?}");
}

fn the_walls_hold_without_the_filter() {
    let told = attempts(2);
    let answer = |attempt: &str| told.get(attempt).unwrap_or_else(|| panic!("{attempt}: {told:?}")).as_str();
    for (attempt, refusals) in [
        // Nothing is there.
        ("list the root", ["done 0"].as_slice()),
        ("open the parent of the root", &["done 0"]),
        ("open /proc", &["errno 2"]),
        ("open KVM by its name", &["errno 2"]),
        ("run a program", &["errno 2"]),
        // It cannot be made there.
        ("make a file", &["errno 30", "errno 13"]),
        ("mount", &["errno 1"]),
        ("begin a mount", &["errno 1"]),
        ("clone a tree", &["errno 1"]),
        ("change the root", &["errno 1"]),
        ("enter a user namespace", &["errno 1"]),
        ("enter a network namespace", &["errno 1"]),
        // Nobody is there.
        ("signal everybody", &["errno 3"]),
        ("connect to the loopback", &["errno 101"]),
        // It has no right to.
        ("become root", &["errno 1", "errno 22"]),
        ("become somebody", &["errno 1", "errno 22"]),
        ("name the host", &["errno 1"]),
        ("load a module", &["errno 1", "errno 38"]),
        // What only the filter keeps from it. An attempt that could not succeed would say nothing.
        ("make a Unix socket", &["done"]),
        ("fork", &["done 0"]),
        ("make memory a file", &["done"]),
        ("map memory to run", &["done"]),
        ("thread: make a machine", &["done"]),
        ("thread: make a descriptor", &["done"]),
    ] {
        let answer = answer(attempt);
        let is_one =
            refusals.iter().any(|refusal| answer == *refusal || *refusal == "done" && answer.starts_with("done"));
        assert!(is_one, "{attempt}: {answer}");
    }
}

fn a_thread_that_crashes_ends_its_monitor_at_once() {
    for way in [3, 4] {
        let host = Host::start(&[(says_and_resets("hello"), way)], HOSTILE);
        let (stream, socket) = host.make_a_bare_one();
        let mut stream = UnixStream::from(stream);
        stream.set_read_timeout(Some(PLENTY / 3)).expect("a time limit");
        let mut said = Vec::new();
        stream.read_to_end(&mut said).expect("its end");
        assert_eq!(String::from_utf8_lossy(&said), "", "{way}");
        drop((stream, socket));
        host.assert_at_rest();
    }
}

/// What came of each attempt.
fn attempts(cpus: u8) -> BTreeMap<String, String> {
    let host = Host::start(&[(says_and_resets("hello"), cpus)], HOSTILE);
    let (stream, socket) = host.make_a_bare_one();
    let mut stream = UnixStream::from(stream);
    stream.set_read_timeout(Some(PLENTY)).expect("a time limit");
    let mut said = Vec::new();
    while !said.ends_with(b"over\n") {
        let mut some = [0; 4096];
        let count = stream.read(&mut some).expect("what it says");
        assert!(0 < count, "it ended: {}", String::from_utf8_lossy(&said));
        said.extend(&some[..count]);
    }
    drop((stream, socket));
    // Also what it has forked is gone.
    host.assert_at_rest();
    let said = String::from_utf8(said).expect("text");
    let lines = said.lines().filter_map(|line| line.rsplit_once(": "));
    lines.map(|(attempt, answer)| (attempt.to_owned(), answer.to_owned())).collect()
}
