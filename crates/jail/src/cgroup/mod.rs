//! Control groups: one border, two versions of the kernel's interface behind it.
//!
//! ```text
//! <place, see `detect`>/firebox-<instance>/            made at the start, removed at the end
//!                              c7.agent/               a cell's agent, with little of everything
//!                              c7.1/  c7.2/            its steps, siblings: none eats another's memory or time
//! ```
//!
//! Owns the groups from creation to removal: writes their limits, moves processes in, reads what they used. Starts
//! no process and decides no limit. Called only by the warden.
//!
//! Limits come before the first member: a process already inside could have gone past them.

mod delegated;
mod detect;
mod directory;
mod v1;
mod v2;

use std::io;
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::Pid;

pub(crate) use delegated::{Delegated, Site};
use detect::DetectError;
pub(crate) use detect::{Place, version};

/// The groups of one firebox instance.
pub(crate) enum Groups {
    V1(v1::Hierarchies),
    V2(v2::Tree),
}

/// One group, in every hierarchy that it takes.
pub(crate) enum Group {
    V1(v1::Group),
    V2(v2::Group),
}

/// What a group may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes, files in memory included: the kernel counts both together.
    pub(crate) memory: u64,
    pub(crate) tasks: u32,
    /// CPUs at once; none for as many as there are.
    pub(crate) cpus: Option<NonZeroU32>,
}

/// What a group has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Used {
    pub(crate) cpu: Duration,
    pub(crate) memory_peak: Option<u64>,
    pub(crate) oom_kills: u64,
}

/// What the kernel calls pages of files that were let go of and soon wanted again. Where it does not count them, nobody is
/// found to have read anything back.
const READ_BACK: &str = "workingset_refault_file";

/// How long to go on asking the kernel to remove a group whose last process has just ended.
const REMOVAL: Duration = Duration::from_secs(2);

impl Groups {
    /// Makes a group.
    pub(crate) fn group(&self, name: &str, limits: &Limits) -> Result<Group, Errno> {
        match self {
            Groups::V1(hierarchies) => hierarchies.group(name, limits).map(Group::V1),
            Groups::V2(tree) => tree.group(name, limits).map(Group::V2),
        }
    }

    /// Makes groups for later, where it helps to have them: see [`Group::doors`].
    pub(crate) fn groups_for_later(&self, names: &[String], limits: &Limits) -> Result<Vec<Group>, Errno> {
        match self {
            Groups::V1(hierarchies) => {
                let mut made = Vec::new();
                for name in names {
                    match hierarchies.group_for_later(name, limits) {
                        Ok(group) => made.push(Group::V1(group)),
                        Err(errno) => {
                            for group in &made {
                                let _ = group.remove();
                            }
                            return Err(errno);
                        }
                    }
                }
                Ok(made)
            }
            Groups::V2(_) => Ok(Vec::new()),
        }
    }

    /// Removes the instance's own groups, once all others are gone.
    pub(crate) fn remove(&self) -> Result<(), Errno> {
        match self {
            Groups::V1(hierarchies) => hierarchies.remove(),
            Groups::V2(tree) => tree.remove(),
        }
    }
}

impl Group {
    /// What to clone a process into, where the kernel can do that.
    pub(crate) fn clone_target(&self) -> Option<rustix::fd::BorrowedFd<'_>> {
        match self {
            Group::V1(_) => None,
            Group::V2(group) => Some(group.descriptor()),
        }
    }

    /// Holds a group that was made for later to its own limits.
    pub(crate) fn limit(&self, limits: &Limits) -> Result<(), Errno> {
        match self {
            Group::V1(group) => group.limit(limits),
            Group::V2(group) => group.limit(limits),
        }
    }

    /// Ways in for a process that moves itself, one per hierarchy; none where there is no such way.
    pub(crate) fn doors(&self) -> Result<Vec<OwnedFd>, Errno> {
        match self {
            Group::V1(group) => group.doors(),
            Group::V2(_) => Ok(Vec::new()),
        }
    }

    /// Moves a process in, with all its threads.
    pub(crate) fn admit(&self, pid: Pid) -> Result<(), Errno> {
        match self {
            Group::V1(group) => group.admit(pid),
            Group::V2(group) => group.admit(pid),
        }
    }

    /// Who is in it now.
    pub(crate) fn members(&self) -> Result<Vec<Pid>, Errno> {
        match self {
            Group::V1(group) => group.members(),
            Group::V2(group) => group.members(),
        }
    }

    /// What it has used so far.
    pub(crate) fn used(&self) -> Result<Used, Errno> {
        match self {
            Group::V1(group) => group.used(),
            Group::V2(group) => group.used(),
        }
    }

    /// From here on its peak of memory is that of what is still to come, where the kernel can forget the one before.
    pub(crate) fn forget_peak(&mut self) -> Result<(), Errno> {
        match self {
            Group::V1(group) => group.forget_peak(),
            Group::V2(group) => group.forget_peak(),
        }
    }

    /// How many tasks are in it, also such as have ended and nobody has taken leave of. One number of the kernel's: unlike a
    /// list, it has no gap that somebody who forks and ends could fall into.
    pub(crate) fn tasks(&self) -> Result<u64, Errno> {
        match self {
            Group::V1(group) => group.tasks(),
            Group::V2(group) => group.tasks(),
        }
    }

    /// How much memory is counted for it.
    pub(crate) fn memory(&self) -> Result<u64, Errno> {
        match self {
            Group::V1(group) => group.memory(),
            Group::V2(group) => group.memory(),
        }
    }

    /// Bytes of files that its tasks have read again since the kernel let go of them for want of room.
    pub(crate) fn read_back(&self) -> Result<u64, Errno> {
        let pages = match self {
            Group::V1(group) => group.pages_read_back(),
            Group::V2(group) => group.pages_read_back(),
        };
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(u64::MAX);
        pages.map(|pages| pages.saturating_mul(page))
    }

    /// Removes it. Nobody may be left in it.
    pub(crate) fn remove(&self) -> Result<(), Errno> {
        match self {
            Group::V1(group) => group.remove(),
            Group::V2(group) => group.remove(),
        }
    }
}

/// Removes the groups of an instance that is dead, with everything in them. An error means that some are still there:
/// whoever knows where they are must not forget it.
pub(crate) fn sweep(instance: &[PathBuf]) -> Result<(), Errno> {
    // Together: a host on which something does not die is not to hold up every start for each of them.
    let until = Instant::now() + REMOVAL;
    let swept = instance.iter().map(|directory| sweep_directory(directory, until));
    // Each of them, whatever became of the others.
    swept.fold(Ok(()), Result::and)
}

fn sweep_directory(instance: &Path, until: Instant) -> Result<(), Errno> {
    let entries = match std::fs::read_dir(instance).map_err(raw) {
        Err(Errno::NOENT) => return Ok(()),
        entries => entries?,
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            for pid in members_of(&path) {
                // Its warden is dead, so it is dying anyway; a stopped one may need to be told.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            // One that stays makes itself felt below.
            let _ = patiently_until(until, || std::fs::remove_dir(&path).map_err(raw));
        }
    }
    patiently_until(until, || std::fs::remove_dir(instance).map_err(raw))
}

fn members_of(group: &Path) -> Vec<Pid> {
    let procs = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    procs.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
}

fn raw(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// Tries again while the kernel is still taking leave of a process that has ended. It has no event for that which
/// both versions know, so this asks, ever less often.
fn patiently(remove: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    patiently_until(Instant::now() + REMOVAL, remove)
}

fn patiently_until(until: Instant, mut remove: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    let mut pause = Duration::from_micros(50);
    loop {
        match remove() {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY) if Instant::now() < until => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(10));
            }
            Err(errno) => return Err(errno),
        }
    }
}
