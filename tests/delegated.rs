//! Control groups that were handed to an ordinary user: then the kernel holds every limit for that user as it does for
//! root.

mod kit;

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use kit::{HostInventory, NOBODY, Ordinary, Outcome, firebox, job, skip};
use rustix::process::Signal;
use serde_json::{Value, json};

/// A group in each hierarchy of version 1 that firebox needs, handed to a user. Gone when this is dropped.
struct Handed(Vec<PathBuf>);

impl Handed {
    /// None where this host has no such hierarchies, or where we may not make groups in them.
    fn over(uid: u32) -> Option<Handed> {
        let mut handed = Handed(Vec::new());
        for controller in ["memory", "pids", "cpu", "cpuacct"] {
            let group = Path::new("/sys/fs/cgroup").join(controller).join(format!("handed-{}", std::process::id()));
            match fs::create_dir(&group) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                made => made.ok()?,
            }
            handed.0.push(group.clone());
            for path in [group.clone(), group.join("tasks"), group.join("cgroup.procs")] {
                chown(path, Some(uid), Some(uid)).ok()?;
            }
        }
        Some(handed)
    }

    /// Words of a shell that has moved into them.
    fn enter(&self) -> String {
        self.0.iter().map(|group| format!("echo $$ > {}/cgroup.procs && ", group.display())).collect()
    }

    /// What of firebox is in them.
    fn left(&self) -> Vec<PathBuf> {
        let entries = self.0.iter().flat_map(|group| fs::read_dir(group).into_iter().flatten().flatten());
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        for group in &self.0 {
            for entry in fs::read_dir(group).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
                let _ = fs::remove_dir(entry.path());
            }
            let _ = fs::remove_dir(group);
        }
    }
}

/// Runs with such groups, or says why not.
fn with_groups(test: &str, check: impl FnOnce(&Ordinary, &Handed)) {
    let host = HostInventory::take();
    match Handed::over(NOBODY) {
        Some(handed) => check(&Ordinary::new(NOBODY), &handed),
        None => skip(test, "no control groups of version 1 can be handed to a user here"),
    }
    host.assert_nothing_left();
}

fn run(user: &Ordinary, handed: &Handed, code: &str, limits: &[&str]) -> Outcome {
    user.call_after(&handed.enter(), job("bash", code).args(limits)).outcome()
}

#[test]
fn every_limit_is_enforced_in_groups_that_were_handed_over() {
    with_groups("every_limit_is_enforced_in_groups_that_were_handed_over", |user, handed| {
        let outcome = run(user, handed, "echo hello", &["--require", "enforced"]);
        assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "hello\n"), "{outcome}");
        for limit in ["memory", "tasks", "cpu", "disk"] {
            assert_eq!(outcome.json()["enforcement"][limit], "enforced", "{limit}\n{outcome}");
        }
        let outcome = run(user, handed, "head -c 300M /dev/zero | tail", &["--memory", "64M"]);
        assert_eq!(outcome.verdict(), ("memory_limit", "run", 137, None), "{outcome}");
        assert_eq!(handed.left(), Vec::<PathBuf>::new());
    });
}

#[test]
fn what_a_killed_firebox_left_in_them_goes_with_the_next_start() {
    with_groups("what_a_killed_firebox_left_in_them_goes_with_the_next_start", |user, handed| {
        let living = firebox().args(["run", "--lang", "bash", "--code", "echo before; sleep 1000"]);
        let living = user.call_after(&handed.enter(), living).start();
        living.wait_for_stdout("before");
        let of_the_living = handed.left();
        // A dead one's are like these, and nobody holds their lock.
        for group in &handed.0 {
            for below in ["firebox-user-0000000000000000", "firebox-user-0000000000000000/c1.1"] {
                fs::create_dir(group.join(below)).expect("a group");
                chown(group.join(below), Some(NOBODY), Some(NOBODY)).expect("chown");
            }
        }

        let next = run(user, handed, "echo hello", &[]);

        assert_eq!((next.verdict(), next.stdout()), (("ok", "run", 0, None), "hello\n"), "{next}");
        assert_eq!(handed.left(), of_the_living, "only what is somebody's stays");
        living.signal(Signal::INT);
        assert_eq!(living.wait().code(), 130);
        assert_eq!(handed.left(), Vec::<PathBuf>::new());
    });
}

#[test]
fn tools_that_wait_and_their_jobs_are_held_in_them_too() {
    with_groups("tools_that_wait_and_their_jobs_are_held_in_them_too", |user, handed| {
        let code = "print('firebox-template' in open('/proc/self/maps').read())";
        let request = json!({"lang": "python", "code": code});
        let much = "held = b'x' * (100 << 20)\nprint('it holds them')";
        let less = json!({"lang": "python", "code": much, "limits": {"memory_mb": 32, "disk_mb": 1}});
        let call = firebox().args(["answer", "--lang", "python", "--keep-mb", "0", "--warm", "1"]);
        let call = user.call_after(&handed.enter(), call.stdin(format!("\t{request}\n\t{request}\n\t{less}\n"))).run();
        assert_eq!(call.code(), 0, "{call}");
        let stdout = call.stdout();
        let answers: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let said: Vec<_> =
            answers.iter().map(|answer| (answer["status"].as_str(), answer["stdout"].as_str())).collect();
        let thawed = (Some("ok"), Some("True\n"));
        assert_eq!(said, [thawed, thawed, (Some("memory_limit"), Some(""))], "{call}");
        for limit in ["memory", "tasks", "cpu", "disk"] {
            assert!(answers.iter().all(|answer| answer["enforcement"][limit] == "enforced"), "{limit}\n{call}");
        }
        assert_eq!(handed.left(), Vec::<PathBuf>::new());
    });
}
