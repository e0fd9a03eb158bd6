//! The outer guard: what a test may cost this machine, whatever the jail under test does.
//!
//! A guard is a control group of its own, below the caller's, in every hierarchy that can hold tasks and memory; where
//! none can be made, resource limits and `timeout` take its place. Everything started through it stays in it, however
//! it forks and detaches. Dropping it kills all of it and removes the groups.
//!
//! ```text
//! made --command--> populated --kill--> empty --drop--> removed
//! ```

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// What everything under one guard may use together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) memory_mib: u64,
    pub(crate) tasks: u32,
    pub(crate) wall: Duration,
}

impl Allowance {
    /// For the product: more than any job of these tests is granted, far less than would hurt.
    pub(crate) const PRODUCT: Allowance = Allowance { memory_mib: 3072, tasks: 1500, wall: Duration::from_secs(60) };
    /// For an attack that runs without a jail: on a disk that may be slow.
    pub(crate) const CONTROL: Allowance = Allowance { memory_mib: 512, tasks: 400, wall: Duration::from_secs(120) };
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Guard {
    allowance: Allowance,
    /// The groups that count and limit, outermost; empty where none could be made.
    groups: Vec<PathBuf>,
    /// Where a process enters: the groups themselves, or below them where v2 wants processes in leaves only.
    entrances: Vec<PathBuf>,
}

impl Guard {
    pub(crate) fn new(allowance: Allowance) -> Guard {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("guard-{}-{number}", std::process::id());
        let mut guard = Guard { allowance, groups: Vec::new(), entrances: Vec::new() };
        for parent in own_groups() {
            remove_guards_of_the_dead(&parent);
            if let Some((group, entrance)) = make_group(&parent.join(&name), allowance) {
                guard.groups.push(group);
                guard.entrances.push(entrance);
            }
        }
        guard
    }

    /// A command that enters the guard before it becomes `program`. It keeps its process id on the way.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let Allowance { memory_mib, tasks, wall } = self.allowance;
        let mut enter = String::from("set -e; ");
        for entrance in &self.entrances {
            enter.push_str(&format!("echo 0 > '{}/cgroup.procs'; ", entrance.display()));
        }
        if self.entrances.is_empty() {
            enter.push_str(&format!("ulimit -v {}; ulimit -u {tasks}; ", memory_mib * 1024));
            enter.push_str(&format!("exec timeout --signal=KILL {} \"$@\"", wall.as_secs() + 1));
        } else {
            enter.push_str("exec \"$@\"");
        }
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(enter).arg("guard").arg(program);
        command
    }

    /// Its control groups, one in each hierarchy; none where resource limits take their place.
    pub(crate) fn groups(&self) -> &[PathBuf] {
        &self.groups
    }

    /// Whether a control group bounds its tasks. The resource limit that stands in for one does not bind root, so that a
    /// program which forks without end must not start then.
    pub(crate) fn bounds_tasks(&self) -> bool {
        let allowed = self.allowance.tasks.to_string();
        let bound = |group: &PathBuf| fs::read_to_string(group.join("pids.max"));
        self.groups.iter().any(|group| bound(group).is_ok_and(|bound| bound.trim() == allowed))
    }

    pub(crate) fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// Live processes in it, and groups that were made inside it: what the guarded program has left behind.
    ///
    /// Who has a command line here was alive at the moment when the last one was found, so no more are ever told of than
    /// there were at once.
    pub(crate) fn contents(&self) -> Vec<String> {
        let mut contents = Vec::new();
        for pid in self.processes() {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            contents.push(format!("process {pid}: {}", String::from_utf8_lossy(&command).replace('\0', " ")));
        }
        for group in &self.groups {
            let below = subtree(group).into_iter().filter(|path| path != group && !self.entrances.contains(path));
            contents.extend(below.map(|path| format!("cgroup {}", path.display())));
        }
        contents
    }

    /// Kills everything in it; returns once nothing lives there.
    pub(crate) fn kill(&self) {
        for group in &self.groups {
            // Nothing new is born from here on, so the loop below ends.
            let _ = fs::write(group.join("pids.max"), "0");
        }
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let pids = self.processes();
            if pids.is_empty() {
                return;
            }
            assert!(Instant::now() < until, "these outlive SIGKILL in {:?}: {pids:?}", self.groups);
            for pid in pids.into_iter().filter_map(|pid| Pid::from_raw(pid as i32)) {
                let Ok(watched) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
                let _ = kill_process(pid, Signal::KILL);
                let timeout = Timespec { tv_sec: 1, tv_nsec: 0 };
                let _ = poll(&mut [PollFd::new(&watched, PollFlags::IN)], Some(&timeout));
            }
        }
    }

    /// Waits until no process is in it; past `until`, says who is.
    pub(crate) fn wait_until_empty(&self, until: Instant) -> Result<(), Vec<String>> {
        loop {
            let Some(pid) = self.processes().into_iter().find_map(|pid| Pid::from_raw(pid as i32)) else {
                return Ok(());
            };
            if until <= Instant::now() {
                return Err(self.contents());
            }
            let Ok(watched) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            let _ = poll(&mut [PollFd::new(&watched, PollFlags::IN)], Some(&timeout));
        }
    }

    pub(crate) fn processes(&self) -> BTreeSet<u32> {
        self.groups.iter().flat_map(|group| subtree(group)).flat_map(|group| pids_in(&group)).collect()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.kill();
        for group in &self.groups {
            remove_group(group);
        }
    }
}

/// The caller's own group in every hierarchy that can hold memory or tasks: v1's two, and v2's.
fn own_groups() -> Vec<PathBuf> {
    let memberships = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut groups = Vec::new();
    for line in memberships.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let wanted = controllers.is_empty() || controllers.split(',').any(|name| matches!(name, "memory" | "pids"));
        let Some(mount) = wanted.then(|| mount_point(&mounts, controllers)).flatten() else { continue };
        groups.push(mount.join(path.trim_start_matches('/')));
    }
    groups
}

/// Where the hierarchy with these controllers is mounted; none at all stand for v2.
fn mount_point(mounts: &str, controllers: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let (kind, options) = (after.next()?, after.nth(1)?);
        let matches = match controllers {
            "" => kind == "cgroup2",
            some => kind == "cgroup" && some.split(',').all(|name| options.split(',').any(|option| option == name)),
        };
        matches.then(|| PathBuf::from(before.split(' ').nth(4).unwrap_or_default()))
    })
}

/// A group with its limits set, and where processes enter; none where this hierarchy cannot hold them.
fn make_group(group: &Path, allowance: Allowance) -> Option<(PathBuf, PathBuf)> {
    let Allowance { memory_mib, tasks, wall: _ } = allowance;
    let bytes = (memory_mib << 20).to_string();
    let v2 = group.parent()?.join("cgroup.controllers");
    if v2.exists() {
        // The parent may only pass its controllers on while no process is in it, which we cannot arrange from here.
        let passed = fs::read_to_string(group.parent()?.join("cgroup.subtree_control")).ok()?;
        if !["memory", "pids"].iter().all(|name| passed.split_whitespace().any(|passed| passed == *name)) {
            return None;
        }
    }
    fs::create_dir(group).ok()?;
    let limits = [("memory.limit_in_bytes", bytes.as_str()), ("memory.max", &bytes), ("pids.max", &tasks.to_string())];
    let held = limits.iter().filter(|(file, limit)| fs::write(group.join(file), limit).is_ok()).count();
    let inside = if v2.exists() { group.join("inside") } else { group.to_path_buf() };
    if held == 0 || (inside != group && fs::create_dir(&inside).is_err()) {
        remove_group(group);
        return None;
    }
    Some((group.to_path_buf(), inside))
}

/// A test binary that was killed could not remove its guards; its successor does.
fn remove_guards_of_the_dead(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix("guard-").and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let allowance = Allowance::CONTROL;
            drop(Guard { allowance, groups: vec![entry.path()], entrances: Vec::new() });
        }
    }
}

fn remove_group(group: &Path) {
    let until = Instant::now() + Duration::from_secs(5);
    for path in subtree(group).into_iter().rev() {
        // The kernel answers EBUSY for as long as a killed process is on its way out.
        while fs::remove_dir(&path).is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound) {
            if Instant::now() >= until {
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// A group and all below it, parents before children.
fn subtree(group: &Path) -> Vec<PathBuf> {
    let mut found = vec![group.to_path_buf()];
    let mut next = 0;
    while next < found.len() {
        let entries = fs::read_dir(&found[next]).into_iter().flatten().flatten();
        let below: Vec<PathBuf> =
            entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect();
        found.extend(below);
        next += 1;
    }
    found
}

fn pids_in(group: &Path) -> Vec<u32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}
