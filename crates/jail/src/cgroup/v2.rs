//! Version 2: one hierarchy for all controllers.

use std::path::Path;
use std::time::Duration;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use rustix::process::Pid;

use super::directory::Directory;
use super::{Limits, Used, patiently};

/// The controllers that an instance needs for its groups.
pub(super) const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// CPU time is dealt out per this many microseconds.
const PERIOD_US: u64 = 100_000;

/// The directory of an instance.
pub(crate) struct Tree {
    above: Directory,
    instance: Directory,
    name: String,
}

/// One group.
pub(crate) struct Group {
    directory: Directory,
    above: Directory,
    name: String,
}

impl Tree {
    /// Makes the instance's directory below this one, and hands the controllers down to it and to its groups.
    ///
    /// Processes live only in the groups below, never in the instance's own directory: the kernel allows a directory
    /// members or controllers for its children, not both.
    pub(super) fn create(place: &Path, name: &str) -> Result<Tree, Errno> {
        let above = Directory::open(place)?;
        hand_down(&above)?;
        let instance = above.make(name)?;
        let tree = Tree { above, instance, name: name.to_owned() };
        match hand_down(&tree.instance) {
            Ok(()) => Ok(tree),
            Err(errno) => {
                let _ = tree.remove();
                Err(errno)
            }
        }
    }

    pub(super) fn group(&self, name: &str, limits: &Limits) -> Result<Group, Errno> {
        let above = self.instance.again()?;
        let group = Group { directory: above.make(name)?, above, name: name.to_owned() };
        match limit(&group.directory, limits) {
            Ok(()) => Ok(group),
            Err(errno) => {
                let _ = group.remove();
                Err(errno)
            }
        }
    }

    pub(super) fn remove(&self) -> Result<(), Errno> {
        patiently(|| self.above.remove(&self.name))
    }
}

/// Enables our controllers for the children of a directory. One that is enabled already is enabled again for nothing.
fn hand_down(directory: &Directory) -> Result<(), Errno> {
    let wanted = CONTROLLERS.map(|controller| format!("+{controller}")).join(" ");
    directory.write("cgroup.subtree_control", wanted)
}

fn limit(directory: &Directory, limits: &Limits) -> Result<(), Errno> {
    directory.write("memory.max", limits.memory)?;
    // Absent on kernels without swap.
    match directory.write("memory.swap.max", 0) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    directory.write("pids.max", limits.tasks)?;
    match limits.cpus {
        None => Ok(()),
        Some(cpus) => directory.write("cpu.max", format!("{} {PERIOD_US}", PERIOD_US * u64::from(cpus.get()))),
    }
}

impl Group {
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    pub(super) fn admit(&self, pid: Pid) -> Result<(), Errno> {
        self.directory.write("cgroup.procs", pid.as_raw_nonzero())
    }

    pub(super) fn members(&self) -> Result<Vec<Pid>, Errno> {
        let procs = self.directory.read("cgroup.procs")?;
        Ok(procs.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect())
    }

    pub(super) fn used(&self) -> Result<Used, Errno> {
        Ok(Used {
            cpu: Duration::from_micros(self.directory.keyed("cpu.stat", "usage_usec")?),
            // Since Linux 5.19.
            memory_peak: self.directory.number("memory.peak").ok(),
            oom_kills: self.directory.keyed("memory.events", "oom_kill")?,
        })
    }

    pub(super) fn remove(&self) -> Result<(), Errno> {
        patiently(|| self.above.remove(&self.name))
    }
}
