//! Attacks on the walls of a cell: writing, namespaces, mounts, system calls, privileges, the kernel's own files. Each
//! succeeds outside.

mod kit;

use kit::Expectation::{HeldBy, Open};
use kit::{Attack, Control, words};

#[test]
fn nothing_outside_its_own_directories_can_be_written() {
    Attack {
        name: "writing outside of its own directories",
        layer: "read-only root, Landlock",
        source: "outside_writes.py",
        args: words(["/", "/etc", "/usr", "/usr/bin", "/var", "/dev", "/proc", "/opt"]),
        control: Control::OwnNamespaces,
        succeeds_outside: &[
            "a file in /",
            "a link in /",
            "a file in /etc",
            "a file in /usr",
            "a file in /usr/bin",
            "a file in /dev",
            "/etc/passwd opened to write",
            "/usr/bin/env opened to write",
            "/proc/sys/kernel/core_pattern opened to write",
            "/proc/1/oom_score_adj opened to write",
            "the mode of /usr",
            "the owner of /usr",
            "a lower oom score",
            "a higher priority",
        ],
        fence: HeldBy("Landlock"),
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn no_namespace_no_mount_and_no_other_root_can_be_had() {
    let mut succeeds = Vec::new();
    for kind in ["user", "mount", "pid", "net", "ipc", "uts", "cgroup"] {
        succeeds.extend(["unshare", "clone", "clone3"].map(|call| format!("{call} {kind}")));
    }
    let others =
        ["setns", "mount tmpfs", "mount proc", "bind mount", "remount", "umount", "open_tree", "fsopen", "chroot"];
    succeeds.extend(others.map(str::to_owned));
    succeeds.extend(["pivot_root", "sethostname"].map(str::to_owned));
    let succeeds: Vec<&str> = succeeds.iter().map(String::as_str).collect();
    Attack {
        name: "new namespaces, mounts and roots",
        layer: "seccomp, detached root",
        source: "namespaces.c",
        control: Control::OwnNamespaces,
        succeeds_outside: &succeeds,
        fence: HeldBy("seccomp"),
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn system_calls_that_no_program_needs_are_refused() {
    Attack {
        name: "system calls that no program needs",
        layer: "seccomp",
        source: "syscalls.c",
        control: Control::OwnNamespaces,
        // Those that every kernel has; the others are tried too.
        succeeds_outside: &[
            "keyctl",
            "add_key",
            "open_by_handle_at",
            "swapon",
            "settimeofday",
            "syslog",
            "mount_setattr",
            "fsconfig",
            "int 0x80",
            "i386 through a socket",
            "personality without randomised addresses",
            "io_uring",
            "TIOCSTI",
            "TIOCLINUX",
            "a writable key of the session",
        ],
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn a_job_has_no_privilege_and_six_devices() {
    Attack {
        name: "capabilities, set-user-id, devices",
        layer: "no capabilities, no new privileges",
        source: "privileges.py",
        control: Control::OwnNamespaces,
        succeeds_outside: &[
            "capabilities in CapPrm",
            "capabilities in CapEff",
            "capabilities in CapBnd",
            "may gain privileges by exec",
            "no system call filter",
            "set-user-id counts on /",
            "set-user-id counts on /usr",
            "set-user-id counts on /tmp",
            "make a character device",
            "make a block device",
            "become another user",
            "open /dev/kmsg",
            "other device nodes",
        ],
        // Without a namespace of its own nobody gives these up; that no new privileges can be had makes them worthless.
        fence: Open(&[
            "capabilities in CapBnd",
            "set-user-id counts on /",
            "set-user-id counts on /usr",
            "set-user-id counts on /tmp",
            "other device nodes",
        ]),
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn the_kernels_own_files_are_out_of_reach() {
    Attack {
        name: "kallsyms, sysrq, core_pattern, kcore and their like",
        layer: "/proc of processes alone, no /sys",
        source: "kernel_files.py",
        control: Control::OwnNamespaces,
        succeeds_outside: &[
            "addresses in /proc/kallsyms",
            "/proc/sys/kernel/core_pattern opened to write",
            "/proc/sys/vm/drop_caches opened to write",
            "/proc/kmsg opened",
            "read /proc/keys",
            "read /proc/net/unix",
            "read /proc/interrupts",
            "read /proc/cmdline",
            "read /proc/mounts of process 1",
            "list /sys/kernel",
        ],
        fence: HeldBy("Landlock"),
        ..Attack::PLAIN
    }
    .check();
}
