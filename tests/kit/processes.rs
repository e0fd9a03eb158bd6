//! The processes of this host as `/proc` tells them, and which of them can be ours.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

/// The user ids that Firebox, started as root, leases to cells.
pub(crate) const UIDS: RangeInclusive<u32> = 1_900_000_000..=1_900_065_535;

/// Whether a user id is one of a cell's, or of the account that was made for these tests.
pub(crate) fn is_ours(uid: u32) -> bool {
    UIDS.contains(&uid) || super::user::account() == Some(uid)
}

/// A process.
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) name: String,
    pub(crate) uid: u32,
    /// Its number in each PID namespace, from ours inwards.
    pub(crate) inner: Vec<u32>,
    /// It has a user id or a name of Firebox's, or is in a control group of Firebox's.
    pub(crate) marked: bool,
}

/// All processes of this host.
pub(crate) struct Processes(BTreeMap<u32, Process>);

impl Processes {
    pub(crate) fn now() -> Processes {
        let entries = fs::read_dir("/proc").expect("the tests need /proc");
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Processes(pids.filter_map(Process::read).map(|process| (process.pid, process)).collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Process> {
        self.0.values()
    }

    /// Those that can be ours. Somebody else's descends from a living process that is neither Firebox's nor this test:
    /// another call of Firebox from a shell, say. What Firebox leaves behind has lost its parents.
    pub(crate) fn possibly_ours(&self) -> impl Iterator<Item = &Process> {
        self.iter().filter(|process| !self.is_somebody_elses(process))
    }

    pub(crate) fn is_somebody_elses(&self, process: &Process) -> bool {
        let mut next = process;
        while let Some(parent) = self.0.get(&next.parent).filter(|parent| parent.pid > 2) {
            if parent.pid == std::process::id() {
                return false;
            }
            if !parent.marked {
                return true;
            }
            next = parent;
        }
        false
    }
}

impl Process {
    /// None for one that has gone, or of which only the exit code is left, which process 1 has yet to fetch. A zombie
    /// with any other parent is somebody's neglect.
    pub(crate) fn read(pid: u32) -> Option<Process> {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
        let (status, cgroup) = (read("status").ok()?, read("cgroup").ok()?);
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        let numbers = |name: &str| -> Vec<u32> {
            field(name).split_whitespace().filter_map(|number| number.parse().ok()).collect()
        };
        let parent = *numbers("PPid:").first()?;
        let ended = field("State:").starts_with('X') || (field("State:").starts_with('Z') && parent == 1);
        let name = field("Name:").to_owned();
        let ids = [numbers("Uid:"), numbers("Gid:")].concat();
        let executable = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let marked = ids.iter().any(|id| is_ours(*id))
            || matches!(name.as_str(), "firebox" | "firebox-agent" | "firebox-warden" | "agent" | "warden")
            || executable == Path::new(env!("CARGO_BIN_EXE_firebox"))
            || executable.to_string_lossy().contains("memfd:firebox")
            || cgroup.lines().any(|line| line.split('/').any(|part| part.starts_with("firebox-")));
        let process = Process { pid, parent, name, uid: *ids.first()?, inner: numbers("NSpid:"), marked };
        (!ended).then_some(process)
    }
}
