//! Attacks on what a job may take: tasks, memory, disk, output. Each succeeds outside, under a guard of its own.

mod kit;

use std::time::Duration;

use kit::{Attack, Control, HostInventory, attacks, bare, firebox, words};

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
    let host = HostInventory::take();
    let bomb = firebox().arg("run").arg(attacks("bomb.sh")).args(["--json", "--run-time", "3s", "--tasks", "32"]);
    let outcome = bomb.outcome();
    assert!(outcome.stdout().starts_with("before the bomb\n"), "{outcome}");
    assert!(outcome.call.wall < Duration::from_secs(20), "the bomb held us up\n{outcome}");
    host.assert_nothing_left();
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
