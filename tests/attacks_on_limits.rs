//! Attacks on what a job may take: tasks, memory, disk, files, sockets, output. Each succeeds outside, under a guard of its own.

mod kit;

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use kit::{
    Allowance, Attack, Control, Guard, HostInventory, attacks, bare, firebox, job, skip, start_inside, start_outside,
    tool, words,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

#[test]
fn processes_and_threads_are_refused_at_the_task_limit() {
    Attack {
        source: "tasks.py",
        limits: &["--tasks", "16"],
        succeeds_outside: &["200 processes", "200 threads"],
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn a_fork_bomb_ends_with_its_job() {
    const GRANTED: usize = 32;
    let host = HostInventory::take();
    let guard = Guard::new(Allowance::CONTROL);
    let bounded = guard.bounds_tasks();
    if bounded {
        check_that_the_bomb_grows_outside(guard, 3 * GRANTED);
    } else {
        skip("a fork bomb outside, and its count inside", "no control group can be made that bounds its tasks");
    }

    // The first process ends at once and leaves the bomb behind, unless a fork of its own is already refused.
    let left = firebox().arg("run").arg(attacks("bomb.sh")).args([
        "--json",
        "--run-time",
        "3s",
        "--tasks",
        &GRANTED.to_string(),
    ]);
    let left = left.outcome();
    assert!([("ok", "run", 0, None), ("timeout", "run", 124, None)].contains(&left.verdict()), "{left}");
    assert_eq!(left.stdout(), "before the bomb\n", "{left}");

    // One that stays gives the bomb all of its time.
    let bomb = std::fs::read_to_string(attacks("bomb.sh")).expect("the attack is a text") + "exec sleep 30\n";
    let inside = job("bash", &bomb).args(["--run-time", "3s", "--tasks", &GRANTED.to_string()]).start();
    let processes = || inside.contents().iter().filter(|line| line.ends_with("bash main.sh ")).count();
    let most = bounded.then(|| most_at_once(processes));
    let inside = inside.outcome();
    if let Some(most) = most {
        assert!(GRANTED / 2 < most, "the bomb did not go off in the jail: {most} processes\n{inside}");
        assert!(most <= GRANTED, "the bomb came to {most} processes\n{inside}");
    }
    assert_eq!(inside.verdict(), ("timeout", "run", 124, None), "{inside}");
    assert_eq!(inside.stdout(), "before the bomb\n", "{inside}");
    assert!(inside.call.wall < Duration::from_secs(20), "the bomb held us up\n{inside}");
    host.assert_nothing_left();
}

/// Lets the bomb go off where only the guard bounds it, until there are more than `enough` processes.
fn check_that_the_bomb_grows_outside(guard: Guard, enough: usize) {
    let mut bomb = guard.command(tool("bash"));
    let mut bomb = bomb.arg(attacks("bomb.sh")).stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("bash");
    let until = Instant::now() + Duration::from_secs(10);
    let mut grown = 0;
    while grown <= enough && Instant::now() < until {
        grown = guard.contents().len();
        std::thread::yield_now();
    }
    guard.kill();
    bomb.wait().expect("a child can be waited for");
    assert!(enough < grown, "not even outside: {grown} processes");
    assert!(guard.contents().is_empty(), "left of the control: {:#?}", guard.contents());
}

/// Counts again and again, from when there is something to count until there is nothing any more.
fn most_at_once(count: impl Fn() -> usize) -> usize {
    let until = Instant::now() + Duration::from_secs(30);
    let mut most = 0;
    loop {
        let now = count();
        if now == 0 && 0 < most {
            return most;
        }
        assert!(Instant::now() < until, "after 30 s there are {now}, and were {most}");
        most = most.max(now);
        std::thread::yield_now();
    }
}

/// Takes 256 MiB in one way, with 64 MiB granted: what happens must be `verdict`.
fn check_memory(way: &str, verdict: (&str, &str, i64, Option<i64>)) {
    let host = HostInventory::take();
    let outside = bare(&attacks("memory.c"), &words([way]), Control::Bare);
    assert!(outside.stdout().contains("ESCAPED: 256 MiB"), "not even outside\n{outside}");

    let inside = firebox().arg("run").arg(attacks("memory.c")).args(["--json", "--memory", "64M", "--disk", "64M"]);
    let inside = inside.program_args([way]).outcome();
    assert_eq!(inside.verdict(), verdict, "{inside}");
    assert!(inside.stdout().starts_with("before taking memory"), "{inside}");
    assert!(!inside.stdout().contains("ESCAPED"), "{inside}");
    host.assert_nothing_left();
}

#[test]
fn memory_is_bounded_by_whatever_way_it_is_taken() {
    for way in ["heap", "shared", "memfd", "sysv", "children"] {
        check_memory(way, ("memory_limit", "run", 137, None));
    }
}

#[test]
fn memory_of_a_tmpfs_is_bounded_as_disk() {
    check_memory("tmpfs", ("ok", "run", 0, None));
}

#[test]
fn disk_is_bounded_in_bytes_and_in_files() {
    // Outside, every place that a job has is a directory on a host that has room.
    let places = ["/tmp", "/dev/shm"];
    Attack {
        source: "disk.py",
        args: words(places),
        limits: &["--disk", "64M", "--run-time", "60s"],
        succeeds_outside: &[
            "one_file in /tmp",
            "allocated in /tmp",
            "many_files in /tmp",
            "one_file in /dev/shm",
            "allocated in /dev/shm",
            "many_files in /dev/shm",
        ],
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn the_work_directory_is_bounded_too() {
    let host = HostInventory::take();
    // In an empty directory of its own, which goes with it.
    let outside = bare(&attacks("disk.py"), &words(["."]), Control::Bare);
    assert_eq!(outside.stdout().matches("ESCAPED:").count(), 3, "not even outside\n{outside}");

    let inside = firebox().arg("run").arg(attacks("disk.py")).args(["--json", "--run-time", "60s"]);
    let inside = inside.program_args(["."]).outcome();
    assert_eq!(inside.verdict(), ("ok", "run", 0, None), "{inside}");
    assert_eq!(inside.stdout().matches("blocked:").count(), 3, "{inside}");
    host.assert_nothing_left();
}

#[test]
fn a_flood_of_output_is_drained_and_costs_no_memory() {
    let host = HostInventory::take();
    let outside = bare(&attacks("flood.c"), &[], Control::Bare);
    assert_eq!(outside.stdout.len(), 200 << 20, "not even outside: {}", outside.stderr());

    // Far less than the flood, for the whole product.
    let inside = firebox().arg("run").arg(attacks("flood.c")).args(["--json", "--output", "64K", "--memory", "16M"]);
    let inside = inside.memory_mib(160).outcome();
    assert_eq!(inside.verdict(), ("ok", "run", 0, None), "{inside}");
    let (dropped, _) = inside.truncated("stdout").unwrap_or_else(|| panic!("nothing was cut\n{inside}"));
    assert_eq!(inside.stdout().len() as u64 + dropped, 200 << 20, "{inside}");
    host.assert_nothing_left();
}

#[test]
fn no_more_files_can_be_open_than_tasks_may_open() {
    Attack {
        source: "open_files.c",
        succeeds_outside: &["more than 1024 files of one process", "more than 64 x 1024 files at once"],
        ..Attack::PLAIN
    }
    .check();
}

/// Whether a program that has sent its output pipe over a socket and ended has left that pipe open.
fn stays_open_outside(source: &str) -> bool {
    let guard = Guard::new(Allowance::CONTROL);
    let mut command = guard.command(tool("python3"));
    let mut child = command.arg(attacks(source)).stdout(Stdio::piped()).spawn().expect("python");
    child.wait().expect("a child can be waited for");
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let mut hello = [0; 5];
    stdout.read_exact(&mut hello).expect("it says that it has sent");
    assert_eq!(&hello, b"sent\n");
    let closes_within = |seconds| {
        let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
        poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&timeout)).expect("poll on a pipe") == 1
    };
    let open = !closes_within(0);
    // A socket that is closed, anybody's, has the kernel collect.
    drop(UnixStream::pair().expect("two sockets"));
    assert!(closes_within(5), "the kernel does not collect");
    open
}

#[test]
fn streams_that_are_on_their_way_between_sockets_hold_no_job_up() {
    let host = HostInventory::take();
    // More than once, because anybody on this host may close a socket in between.
    assert!((0..5).any(|_| stays_open_outside("in_flight.py")), "not even outside");

    let inside = firebox().arg("run").arg(attacks("in_flight.py")).arg("--json").outcome();
    assert_eq!(inside.verdict(), ("ok", "run", 0, None), "{inside}");
    assert_eq!(inside.stdout(), "sent\n", "{inside}");
    assert!(inside.call.wall < Duration::from_secs(5), "it was waited for\n{inside}");
    host.assert_nothing_left();
}

/// The memory that the buffers of all sockets of this host hold, in pages, whichever network they are of.
fn buffered_pages(protocol: &str) -> i64 {
    let statistics = std::fs::read_to_string("/proc/net/sockstat").expect("the tests need /proc/net");
    let line = statistics.lines().find(|line| line.starts_with(&format!("{protocol}:")));
    let pages = line.and_then(|line| line.split(" mem ").nth(1)?.split(' ').next()?.parse().ok());
    pages.unwrap_or_else(|| panic!("no pages of {protocol} in {statistics}"))
}

/// Fills 100 MiB, with 64 MiB granted for everything together.
fn check_sockets(protocol: &str) {
    const GRANTED: i64 = 16_384;
    let host = HostInventory::take();
    let args = words([&protocol.to_lowercase()]);
    let before = buffered_pages(protocol);

    let outside = start_outside("sockets.py", &args);
    outside.wait_for_stdout("filled");
    let grown = buffered_pages(protocol) - before;
    outside.end();
    assert!(GRANTED < grown, "not even outside: {grown} pages");
    let until = Instant::now() + Duration::from_secs(10);
    while GRANTED / 8 < buffered_pages(protocol) - before {
        assert!(Instant::now() < until, "the control is still there");
        std::thread::yield_now();
    }

    let inside = start_inside("sockets.py", &args, &["--memory", "64M"]);
    inside.wait_for_stdout("filled");
    let grown = buffered_pages(protocol) - before;
    inside.signal(Signal::TERM);
    let inside = inside.wait();
    assert!(grown <= GRANTED, "the buffers of {protocol} took {grown} pages\n{inside}");
    host.assert_nothing_left();
}

#[test]
fn buffers_of_sockets_are_bounded() {
    check_sockets("TCP");
    check_sockets("UDP");
}
