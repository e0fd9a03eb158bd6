//! Attacks on the walls of the jail: writing, network, namespaces, the agent, system calls, privileges, signals, locks,
//! the schedule. Each succeeds outside.

mod kit;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use kit::{
    Allowance, Attack, Control, Guard, HostInventory, Running, attacks, firebox, start_inside, start_outside, temp_dir,
    tool, words,
};
use rustix::process::{Flock, FlockType, Signal, fcntl_getlk};

#[test]
fn nothing_outside_its_own_directories_can_be_written() {
    Attack {
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
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn no_listener_of_the_host_can_be_reached_and_no_odd_socket_made() {
    let hello = b"hello from the host";
    let directory = temp_dir();
    let path = directory.path().join("socket");
    let name = format!("e2e-abstract-{}", std::process::id());

    // Detached: each answers for as long as the tests run.
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let file = UnixListener::bind(&path).expect("a path that is ours");
    let address = SocketAddr::from_abstract_name(&name).expect("a short name");
    let abstract_name = UnixListener::bind_addr(&address).expect("a free name");
    let ports = [tcp.local_addr(), udp.local_addr()].map(|address| address.expect("it is bound").port().to_string());
    std::thread::spawn(move || tcp.incoming().flatten().for_each(|mut client| drop(client.write_all(hello))));
    for listener in [file, abstract_name] {
        std::thread::spawn(move || listener.incoming().flatten().for_each(|mut client| drop(client.write_all(hello))));
    }
    std::thread::spawn(move || {
        while let Ok((_, client)) = udp.recv_from(&mut [0; 64]) {
            let _ = udp.send_to(hello, client);
        }
    });

    Attack {
        source: "network.py",
        args: words([&ports[0], &ports[1], &name, path.to_str().expect("a path of ours is text")]),
        limits: &["--run-time", "60s"],
        succeeds_outside: &[
            "tcp to the host",
            "udp to the host",
            "abstract socket of the host",
            "socket file of the host",
            "raw socket",
            "packet socket",
            "netlink socket",
            "netfilter socket",
        ],
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
    Attack { source: "namespaces.c", control: Control::OwnNamespaces, succeeds_outside: &succeeds, ..Attack::PLAIN }
        .check();
}

#[test]
fn the_agent_can_be_neither_read_nor_traced_nor_changed() {
    Attack {
        source: "process_one.c",
        control: Control::OwnNamespaces,
        succeeds_outside: &[
            "memory of process 1",
            "maps of process 1",
            "environment of process 1",
            "auxiliary vector of process 1",
            "a descriptor of process 1",
            "the executable of process 1",
            "the executable of process 1 opened",
            "the root of process 1",
            "a copy of a descriptor of process 1",
            "process_vm_readv of process 1",
            "process_vm_writev of process 1",
            "kcmp with process 1",
            "limits of process 1",
            "new limits of process 1",
            "ptrace of process 1",
            "ptrace of an own child",
            "being traced",
        ],
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn system_calls_that_no_program_needs_are_refused() {
    Attack {
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
        ],
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn a_job_has_no_privilege_and_six_devices() {
    Attack {
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
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn signals_to_everyone_reach_nobody_outside_and_not_the_agent() {
    let host = HostInventory::take();
    // The bystander's number is a high one, so that it is nobody's in the jail.
    // Outside, in a PID namespace of its own: the shell is the parent, and a background process the bystander.
    let guard = Guard::new(Allowance::CONTROL);
    let mut command = guard.command(tool("unshare"));
    let script = "echo 3000 > /proc/sys/kernel/ns_last_pid; sleep 1000 & sh -c '\"$@\"; echo the parent lives' sh \"$1\" \"$2\" $!; wait $! && echo it slept on || echo killed; true";
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script, "sh"]);
    command.arg(tool("python3")).arg(attacks("signals.py"));
    let outside = Running::start(guard, command, None).wait();
    let said = outside.stdout();
    assert!(said.contains("killed") && !said.contains("the parent lives"), "not even outside\n{outside}");

    // Inside: the bystander is outside of the jail, and in a PID namespace of the test's own, should the jail fail.
    let script = "echo 3000 > /proc/sys/kernel/ns_last_pid; sleep 1000 & \"$@\" -- $!; code=$?; grep State: /proc/$!/status >&2; exit $code";
    let inside = firebox().contained_with(script).arg("run").arg(attacks("signals.py")).arg("--json").outcome();
    assert_eq!(inside.verdict(), ("ok", "run", 0, None), "{inside}");
    assert!(inside.stdout().ends_with("after the signals\n"), "{inside}");
    assert_eq!(inside.call.stderr(), "State:\tS (sleeping)\n", "the bystander does not just sleep\n{inside}");
    host.assert_nothing_left();
}

#[test]
fn the_agent_keeps_its_place_in_the_schedule() {
    Attack {
        source: "schedule.c",
        control: Control::OwnNamespaces,
        succeeds_outside: &[
            "setpriority",
            "setpriority with a high half",
            "setpriority of its group",
            "setpriority of its user",
            "sched_setaffinity",
            "sched_setaffinity with a high half",
            "sched_setparam",
            "sched_setparam with a high half",
            "sched_setscheduler",
            "sched_setscheduler with a high half",
            "sched_setattr",
            "ioprio_set",
        ],
        ..Attack::PLAIN
    }
    .check();
}

/// The interpreter that Python jobs run on, where the host has it.
fn interpreter() -> PathBuf {
    let languages = firebox().args(["languages", "--json"]).run();
    let listed: serde_json::Value = serde_json::from_slice(&languages.stdout).expect("a list of languages");
    let python = listed.as_array().into_iter().flatten().find(|language| language["name"] == "python");
    let program = python.and_then(|python| python["program"].as_str());
    PathBuf::from(program.unwrap_or_else(|| panic!("no Python\n{languages}")))
}

/// The locks of somebody else that would keep us from locking a file.
fn locks_met(path: &Path) -> Vec<&'static str> {
    let file = File::open(path).unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
    let mut met = Vec::new();
    if file.try_lock().is_err() {
        met.push("flock");
    }
    // Only asks: to lock for writing would take a file that is open to write.
    let posix = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock)).expect("the kernel can be asked");
    if posix.is_some() {
        met.push("posix");
    }
    met
}

#[test]
fn what_a_job_locks_is_not_locked_for_the_host() {
    let host = HostInventory::take();
    let files = [interpreter(), PathBuf::from("/usr/bin/env")];
    let args: Vec<OsString> = files.iter().map(OsString::from).collect();

    let outside = start_outside("locks.py", &args);
    outside.wait_for_stdout("locked");
    for file in &files {
        assert_eq!(locks_met(file), ["flock", "posix"], "not even outside: {}", file.display());
    }
    outside.end();

    let inside = start_inside("locks.py", &args, &[]);
    inside.wait_for_stdout("locked 2 files");
    let met = files.each_ref().map(|file| locks_met(file));
    inside.signal(Signal::TERM);
    let inside = inside.wait();
    assert!(met.iter().all(Vec::is_empty), "a job locks {files:?} for the host: {met:?}\n{inside}");
    host.assert_nothing_left();
}

#[test]
fn no_file_of_a_job_is_on_a_file_system_of_the_host() {
    // On one that is, it could be locked and watched, and a job could have the host's disk flushed.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("the tests need /proc");
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    let places = points.chain([interpreter(), PathBuf::from("/usr"), PathBuf::from("/etc")]);
    let devices: BTreeSet<u64> = places.filter_map(|place| Some(place.metadata().ok()?.dev())).collect();
    Attack {
        source: "file_systems.py",
        args: devices.iter().map(|device| device.to_string().into()).collect(),
        limits: &["--run-time", "30s"],
        succeeds_outside: &["a file of the host's file systems"],
        ..Attack::PLAIN
    }
    .check();
}
