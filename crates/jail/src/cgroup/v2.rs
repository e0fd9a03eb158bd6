//! Version 2: one hierarchy for all controllers.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use firebox_confine::Layer;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use rustix::process::Pid;

use super::directory::{self, Directory};
use super::{Limits, READ_BACK, Used, patiently};

/// The controllers that an instance needs for its groups.
pub(super) const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// CPU time is dealt out per this many microseconds.
const PERIOD_US: u64 = 100_000;

/// The directory of an instance.
pub(crate) struct Tree {
    above: Directory,
    instance: Rc<Directory>,
    name: String,
}

/// One group.
pub(crate) struct Group {
    directory: Directory,
    above: Rc<Directory>,
    name: String,
    /// The peak of memory since it was last to be forgotten.
    peak: Option<OwnedFd>,
}

impl Tree {
    /// Makes the instance's directory below this one, and hands the controllers down to it and to its groups.
    ///
    /// Processes live only in the groups below, never in the instance's own directory: the kernel allows a directory
    /// members or controllers for its children, not both.
    pub(super) fn create(place: &Path, name: &str) -> Result<Tree, Errno> {
        let above = Directory::open(place)?;
        hand_down(&above)?;
        let instance = Rc::new(above.make(name)?);
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
        let above = Rc::clone(&self.instance);
        let group = Group { directory: above.make(name)?, above, name: name.to_owned(), peak: None };
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
pub(super) fn hand_down(directory: &Directory) -> Result<(), Errno> {
    let wanted = CONTROLLERS.map(|controller| format!("+{controller}")).join(" ");
    directory.write("cgroup.subtree_control", wanted)
}

/// Takes our controllers back from the children of a directory.
pub(super) fn take_back(directory: &Directory) -> Result<(), Errno> {
    let unwanted = CONTROLLERS.map(|controller| format!("-{controller}")).join(" ");
    directory.write("cgroup.subtree_control", unwanted)
}

fn limit(directory: &Directory, limits: &Limits) -> Result<(), Errno> {
    if !Layer::MemoryGroup.is_left_out() {
        limit_memory(directory, limits.memory)?;
    }
    if !Layer::Tasks.is_left_out() {
        directory.write("pids.max", limits.tasks)?;
    }
    match limits.cpus {
        Some(cpus) if !Layer::CpuGroup.is_left_out() => {
            directory.write("cpu.max", format!("{} {PERIOD_US}", PERIOD_US * u64::from(cpus.get())))
        }
        Some(_) | None => Ok(()),
    }
}

fn limit_memory(directory: &Directory, memory: u64) -> Result<(), Errno> {
    directory.write("memory.max", memory)?;
    // Absent on kernels without swap.
    match directory.write("memory.swap.max", 0) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

impl Group {
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    pub(super) fn limit(&self, limits: &Limits) -> Result<(), Errno> {
        limit(&self.directory, limits)
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
            memory_peak: self.memory_peak(),
            oom_kills: self.directory.keyed("memory.events", "oom_kill")?,
        })
    }

    /// Since Linux 5.19 there is a file for it; since 6.12 who writes to it is from then on told of a peak of their own, for as
    /// long as they have it open.
    pub(super) fn forget_peak(&mut self) -> Result<(), Errno> {
        self.peak = match self.directory.open_to_change("memory.peak") {
            Ok(peak) => rustix::io::write(&peak, b"0").is_ok().then_some(peak),
            Err(_) => None,
        };
        Ok(())
    }

    fn memory_peak(&self) -> Option<u64> {
        match &self.peak {
            Some(peak) => directory::number_of(peak).ok(),
            None => self.directory.number("memory.peak").ok(),
        }
    }

    pub(super) fn memory(&self) -> Result<u64, Errno> {
        self.directory.number("memory.current")
    }

    pub(super) fn pages_read_back(&self) -> Result<u64, Errno> {
        self.directory.keyed("memory.stat", READ_BACK)
    }

    pub(super) fn tasks(&self) -> Result<u64, Errno> {
        self.directory.number("pids.current")
    }

    pub(super) fn remove(&self) -> Result<(), Errno> {
        patiently(|| self.above.remove(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::num::NonZeroU32;

    use super::*;

    /// A directory with the files that the kernel would put into a group. A fixture keeps what is written to it; what
    /// the kernel would do about it is tested where there is such a kernel.
    fn fixture(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (file, content) in files {
            fs::write(directory.path().join(file), content).unwrap();
        }
        directory
    }

    fn group(directory: &tempfile::TempDir) -> Group {
        let open = || Directory::open(directory.path()).unwrap();
        Group { directory: open(), above: Rc::new(open()), name: "c1.1".to_owned(), peak: None }
    }

    fn content(directory: &tempfile::TempDir, file: &str) -> String {
        fs::read_to_string(directory.path().join(file)).unwrap()
    }

    #[test]
    fn every_limit_is_written_in_the_kernels_words() {
        let files = fixture(&[("memory.max", ""), ("memory.swap.max", ""), ("pids.max", ""), ("cpu.max", "")]);

        let limits = Limits { memory: 1 << 30, tasks: 64, cpus: NonZeroU32::new(2) };
        limit(&group(&files).directory, &limits).unwrap();

        for (file, expected) in
            [("memory.max", "1073741824"), ("memory.swap.max", "0"), ("pids.max", "64"), ("cpu.max", "200000 100000")]
        {
            assert_eq!(content(&files, file), expected, "{file}");
        }
    }

    #[test]
    fn a_limit_that_the_kernel_does_not_have_is_an_error_but_for_swap() {
        let without_swap = fixture(&[("memory.max", ""), ("pids.max", "")]);
        let limits = Limits { memory: 1, tasks: 1, cpus: None };
        assert_eq!(limit(&group(&without_swap).directory, &limits), Ok(()));

        let without_pids = fixture(&[("memory.max", "")]);
        assert_eq!(limit(&group(&without_pids).directory, &limits), Err(Errno::NOENT));
    }

    #[test]
    fn what_was_used_is_read_from_the_kernels_files() {
        let files = fixture(&[
            ("cpu.stat", "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n"),
            ("memory.peak", "4096\n"),
            ("memory.events", "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n"),
        ]);

        let used = group(&files).used().unwrap();

        let expected = Used { cpu: Duration::from_millis(1500), memory_peak: Some(4096), oom_kills: 2 };
        assert_eq!(used, expected);
    }

    #[test]
    fn what_was_read_back_is_counted_by_the_page() {
        let files = fixture(&[("memory.stat", "file 4096\nworkingset_refault_anon 7\nworkingset_refault_file 3\n")]);

        assert_eq!(group(&files).pages_read_back(), Ok(3));
    }

    #[test]
    fn a_kernel_without_a_memory_peak_is_told_apart_from_one_that_saw_none() {
        let files = fixture(&[("cpu.stat", "usage_usec 0\n"), ("memory.events", "oom 0\noom_kill 0\n")]);

        assert_eq!(group(&files).used().unwrap().memory_peak, None);
    }

    #[test]
    fn members_are_read_and_admitted_by_their_numbers() {
        let files = fixture(&[("cgroup.procs", "12\n345\n")]);
        let members = group(&files).members().unwrap();
        assert_eq!(members.iter().map(|pid| pid.as_raw_nonzero().get()).collect::<Vec<_>>(), [12, 345]);

        let empty = fixture(&[("cgroup.procs", "")]);
        group(&empty).admit(Pid::from_raw(77).unwrap()).unwrap();
        assert_eq!(content(&empty, "cgroup.procs"), "77");
    }

    #[test]
    fn controllers_are_handed_down_to_the_children() {
        let files = fixture(&[("cgroup.subtree_control", "")]);

        hand_down(&Directory::open(files.path()).unwrap()).unwrap();

        assert_eq!(content(&files, "cgroup.subtree_control"), "+cpu +memory +pids");
    }
}
