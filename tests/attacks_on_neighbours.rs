//! Channels out of a cell that need no file and no network: what two cells of one host, or a cell and the host, could
//! meet at. Each is one outside.

mod kit;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kit::Expectation::{HeldBy, Open};
use kit::{Attack, Control, bare, firebox, leaving_nothing, start_outside, words};
use rustix::process::{Flock, FlockType, Signal, fcntl_getlk};

/// What `channel.py` tries.
const CHANNELS: [&str; 16] = [
    "an abstract socket",
    "a port of the loopback",
    "System V memory",
    "a System V semaphore",
    "a POSIX queue",
    "a file in /dev/shm",
    "a file in /tmp",
    "a lock on a shared file",
    "a POSIX lock on a shared file",
    "a process to signal",
    "a watch on a shared directory",
    "a fifo in /tmp",
    "a lock on a device",
    "a name in its directory",
    "a file in its directory",
    "a process to see",
];

#[test]
fn two_cells_at_the_same_time_do_not_meet() {
    let mark = std::process::id().to_string();
    let (hold, meet) = (words(["hold", &mark]), words(["meet", &mark]));
    leaving_nothing(|| {
        let one = start_outside("channel.py", &hold, Control::Bare);
        one.wait_for_stdout("holding ");
        let other = bare("channel.py", &with_place(&meet, &one.stdout()), Control::Bare);
        one.signal(Signal::TERM);
        one.wait();
        for channel in CHANNELS {
            assert!(other.stdout().contains(&format!("ESCAPED: {channel}\n")), "not even outside: {channel}\n{other}");
        }
    });

    let attack = Attack {
        name: "sixteen channels between two cells at the same time",
        layer: "namespaces, a tmpfs and a layer of its own",
        user_jail: Open(&["a lock on a device"]),
        fence: Open(&[
            "a lock on a shared file",
            "a POSIX lock on a shared file",
            "a name in its directory",
            "a process to see",
            "a lock on a device",
        ]),
        microvm: HeldBy("the machine"),
        ..Attack::PLAIN
    };
    attack.check_by(|setting| {
        let one = setting.run().args(["--run-time", "60s"]).attack("channel.py").program_args(hold.clone()).start();
        one.wait_for_stdout("holding ");
        let other = setting.attack("channel.py").program_args(with_place(&meet, &one.stdout())).outcome();
        one.signal(Signal::TERM);
        let one = one.wait();
        let met: Vec<&str> = other.stdout().lines().filter_map(|line| line.strip_prefix("ESCAPED: ")).collect();
        assert_eq!(met, attack.open_in(setting), "two cells meet\n{other}\n{one}");
        assert_eq!(other.stdout().matches("blocked: ").count() + met.len(), CHANNELS.len(), "{other}");
    });
}

/// With the process that holds and its directory, as it tells them.
fn with_place(words: &[OsString], said: &str) -> Vec<OsString> {
    let place = said.lines().find_map(|line| line.strip_prefix("holding as ")?.split_once(" in "));
    let (pid, directory) = place.unwrap_or_else(|| panic!("it does not say where it is: {said}"));
    words.iter().cloned().chain([pid.into(), directory.into()]).collect()
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
    let files = [interpreter(), PathBuf::from("/usr/bin/env")];
    let args: Vec<OsString> = files.iter().map(OsString::from).collect();
    leaving_nothing(|| {
        let outside = start_outside("locks.py", &args, Control::Bare);
        outside.wait_for_stdout("locked");
        for file in &files {
            assert_eq!(locks_met(file), ["flock", "posix"], "not even outside: {}", file.display());
        }
        outside.end();
    });

    let attack = Attack {
        name: "locks on files of the toolchain",
        layer: "layer over the host's directories",
        fence: Open(&["flock", "posix"]),
        microvm: HeldBy("the machine"),
        ..Attack::PLAIN
    };
    attack.check_by(|setting| {
        let inside = setting.run().attack("locks.py").program_args(args.iter().cloned()).start();
        inside.wait_for_stdout("locked ");
        // The last one is there for everybody; an ordinary user may have another interpreter.
        let met = locks_met(&files[1]);
        inside.signal(Signal::TERM);
        let inside = inside.wait();
        assert_eq!(met, attack.open_in(setting), "a job locks {files:?} for the host\n{inside}");
    });
}

#[test]
fn no_file_of_a_job_is_on_a_file_system_of_the_host() {
    // On one that is, it could be locked and watched, and a job could have the host's disk flushed.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("the tests need /proc");
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    let places = points.chain([interpreter(), PathBuf::from("/usr"), PathBuf::from("/etc")]);
    let devices: BTreeSet<u64> = places.filter_map(|place| Some(place.metadata().ok()?.dev())).collect();
    Attack {
        name: "inodes of the host's file systems",
        layer: "layer over the host's directories",
        source: "file_systems.py",
        args: devices.iter().map(|device| device.to_string().into()).collect(),
        limits: &["--run-time", "30s"],
        succeeds_outside: &["a file of the host's file systems", "a device of the host's"],
        // Only root can make a device: the others are shown the host's.
        user_jail: Open(&["a device of the host's"]),
        fence: Open(&["a file of the host's file systems", "a device of the host's"]),
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn nobody_is_kept_waiting_by_leases() {
    Attack {
        name: "keeping others waiting by leases on files",
        layer: "seccomp",
        source: "leases.py",
        succeeds_outside: &[
            "a lease on a file that nobody else may write to meanwhile",
            "a lease on a file that nobody else may open meanwhile",
        ],
        ..Attack::PLAIN
    }
    .check();
}
