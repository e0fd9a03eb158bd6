//! Attacks on what the kernel keeps for everybody: open files, watches, timers, queues; and descriptors that somebody
//! forgot to close. Each succeeds outside.

mod kit;

use std::ffi::OsString;
use std::process::Command;

use kit::Expectation::HeldBy;
use kit::{Attack, attacks, leaving_nothing, tool};

#[test]
fn no_more_files_can_be_open_than_tasks_may_open() {
    Attack {
        name: "open files by the thousand",
        layer: "rlimits, control group: tasks",
        source: "open_files.c",
        succeeds_outside: &["more than 1024 files of one process", "more than 64 x 1024 files at once"],
        user_jail: HeldBy("rlimits"),
        fence: HeldBy("rlimits, watching"),
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn no_kind_of_kernel_object_can_be_had_without_end() {
    Attack {
        name: "epoll, inotify, eventfds, queues, timers, pending signals in bulk",
        layer: "rlimits, control group: memory",
        source: "objects.c",
        limits: &["--memory", "64M", "--run-time", "20s"],
        succeeds_outside: &["8192 epoll instances", "8192 eventfds"],
        fence: HeldBy("rlimits, seccomp"),
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn only_the_three_streams_are_open() {
    let python = [tool("python3").into_os_string(), attacks("descriptors.py").into_os_string()];
    let leak = ["-c", "exec 7</etc/passwd 8</ 9>/dev/null; exec \"$@\"", "sh"].map(OsString::from);
    let outside = leaving_nothing(|| Command::new(tool("sh")).args(&leak).args(python).output().expect("python"));
    let outside = String::from_utf8_lossy(&outside.stdout).into_owned();
    assert!(outside.contains("ESCAPED: an inherited descriptor"), "not even outside: {outside}");

    let attack =
        Attack { name: "descriptors that the caller left open", layer: "closing all but three", ..Attack::PLAIN };
    attack.check_by(|setting| {
        let through = [tool("sh").into_os_string()].into_iter().chain(leak.clone());
        let inside = setting.attack("descriptors.py").through(through).outcome();
        assert_eq!(inside.stdout(), "blocked: an inherited descriptor: none is open\n", "{inside}");
    });
}
