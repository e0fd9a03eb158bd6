//! A warden of machines, and what the host sees of it and of its monitors.

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroU8;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use firebox_job::ByteSize;
use firebox_microvm::{Beginning, Blueprint, Kernel, MONITOR, Machine, start};
use firebox_warden::{Cells, Warden};

/// Nothing in here takes longer.
pub(crate) const PLENTY: Duration = Duration::from_secs(30);

/// Guests have little of it, and one amount that nothing else has.
pub(crate) const MEMORY: ByteSize = ByteSize::mib(24);

pub(crate) struct Host {
    warden: Warden,
    pid: u32,
    at_rest: Seen,
    _files: Files,
}

/// What machines are made of.
struct Files(tempfile::TempDir);

/// What a warden holds, as the host sees it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    descriptors: usize,
    children: Vec<u32>,
    groups: BTreeSet<PathBuf>,
}

/// A monitor, as the host sees it.
pub(crate) struct Monitor {
    pub(crate) pid: u32,
}

impl Host {
    /// One whose machines have these kernels, each with that many processors, and this program as their monitor.
    pub(crate) fn start(kernels: &[(Vec<u8>, u8)], monitor: &'static [u8]) -> Host {
        let files = Files::new();
        let blueprint = |(number, (kernel, vcpus)): (usize, &(Vec<u8>, u8))| {
            files.blueprint(Beginning::Boot(files.kernel(&format!("kernel{number}"), kernel)), *vcpus)
        };
        let blueprints: Vec<Blueprint> = kernels.iter().enumerate().map(blueprint).collect();
        Host::of(&blueprints, files, monitor)
    }

    /// One with a machine that can be frozen.
    pub(crate) fn start_to_freeze(kernel: &[u8], vcpus: u8) -> Host {
        let files = Files::new();
        let blueprint = files.blueprint(Beginning::Freeze(files.kernel("kernel", kernel)), vcpus);
        Host::of(&[blueprint], files, MONITOR)
    }

    /// One whose machines go on from here.
    pub(crate) fn start_to_go_on(state: &Path, memory: &Path, vcpus: u8) -> Host {
        let files = Files::new();
        let beginning = Beginning::GoOn { state: state.to_owned(), memory: memory.to_owned() };
        let blueprint = files.blueprint(beginning, vcpus);
        Host::of(&[blueprint], files, MONITOR)
    }

    fn of(blueprints: &[Blueprint], files: Files, monitor: &'static [u8]) -> Host {
        let warden = start(blueprints, monitor).expect("a warden");
        let [pid] = children(std::process::id())[..] else { panic!("one warden") };
        // Whatever becomes of the first machine, which a monitor that crashes does not wait for: the warden has moved in by then.
        let _ = Machine::boot(warden.cells(), 0).and_then(Machine::remove);
        Host { warden, pid, at_rest: Seen::at_last(pid), _files: files }
    }

    pub(crate) fn cells(&self) -> &Cells {
        self.warden.cells()
    }

    pub(crate) fn boot(&self, blueprint: u16) -> (Machine, Monitor) {
        let before = children(self.pid);
        let machine = Machine::boot(self.warden.cells(), blueprint).expect("a machine");
        let new = children(self.pid).into_iter().find(|child| !before.contains(child));
        (machine, Monitor { pid: new.expect("a monitor") })
    }

    /// A monitor whose owner has sent no doors yet: its stream, and its socket to the warden.
    pub(crate) fn make_a_bare_one(&self) -> (OwnedFd, OwnedFd) {
        self.warden.cells().make_for_another(0).expect("a monitor")
    }

    /// What its control group says in the file of one of these names, one for each version; none where there are no groups.
    pub(crate) fn in_group_of(&self, monitor: &Monitor, names: &[&str]) -> Option<String> {
        let pid = monitor.pid.to_string();
        let is_its = |group: &&PathBuf| {
            fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|pids| pids.lines().any(|line| line == pid))
        };
        let groups = groups_of(self.pid);
        let files = groups.iter().filter(is_its).flat_map(|group| names.iter().map(|name| group.join(name)));
        files.filter_map(|file| fs::read_to_string(file).ok()).next().map(|said| said.trim().to_owned())
    }

    /// Waits until the warden holds no more than it did before its first machine.
    pub(crate) fn assert_at_rest(&self) {
        let until = Instant::now() + PLENTY;
        while Seen::of(self.pid) != self.at_rest {
            assert!(Instant::now() < until, "left: {:?}\nbefore: {:?}", Seen::of(self.pid), self.at_rest);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().expect("a directory"))
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("a file");
        path
    }

    fn kernel(&self, name: &str, kernel: &[u8]) -> Kernel {
        Kernel { kernel: self.write(name, kernel), initramfs: self.write("initramfs", b"nothing") }
    }

    fn blueprint(&self, beginning: Beginning, vcpus: u8) -> Blueprint {
        Blueprint {
            beginning,
            disk: Some(self.write("disk", &[0; 4096])),
            memory: MEMORY,
            vcpus: NonZeroU8::new(vcpus).expect("a processor"),
        }
    }
}

impl Monitor {
    /// What `/proc` says of it.
    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file} of a monitor: {error}"))
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.pid.to_string()).join(file)
    }

    /// What a line of its status says, and of each of its threads'.
    pub(crate) fn status_of_all(&self, field: &str) -> Vec<(String, String)> {
        let tasks = fs::read_dir(self.path("task")).expect("threads").flatten();
        let said = tasks.map(|task| {
            let status = fs::read_to_string(task.path().join("status")).expect("a thread's status");
            let line =
                |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim().to_owned();
            (line("Name:"), line(field))
        });
        // One of the kernel's own, which some put beside a machine.
        said.filter(|(name, _)| !name.starts_with("kvm-")).collect()
    }

    /// Waits until its guest runs.
    /// Each thread begins by taking rights away from itself, so those that are there may have more for a moment.
    pub(crate) fn wait_for_its_processor(&self) {
        let filters = |threads: &[(String, String)], wanted: &str| {
            threads.iter().find(|(name, _)| name == wanted).map(|(_, filters)| filters.clone())
        };
        wait_until("the guest runs", || {
            let threads = self.status_of_all("Seccomp_filters:");
            let (main, vcpu) = (filters(&threads, "monitor"), filters(&threads, "vcpu0"));
            // Kernels before 5.11 do not count them.
            main.is_some() && vcpu.is_some_and(|vcpu| vcpu.is_empty() || Some(vcpu) != main)
        });
    }

    pub(crate) fn is_gone(&self) -> bool {
        !self.path("stat").exists()
    }
}

impl Seen {
    /// When nothing changes any more: a warden says that a machine is gone just before it lets go of the last that it holds for it.
    fn at_last(pid: u32) -> Seen {
        let (mut seen, mut looks) = (Seen::of(pid), 0);
        while looks < 20 {
            std::thread::sleep(Duration::from_millis(1));
            let now = Seen::of(pid);
            looks = if now == seen { looks + 1 } else { 0 };
            seen = now;
        }
        seen
    }

    fn of(pid: u32) -> Seen {
        Seen { descriptors: descriptors_of(pid).count(), children: children(pid), groups: groups_of(pid) }
    }
}

fn descriptors_of(pid: u32) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("a live warden").flatten().map(|entry| entry.path())
}

/// The groups of machines. A warden has those of its instance open, whose place is out of its own sight.
fn groups_of(pid: u32) -> BTreeSet<PathBuf> {
    let is_instances = |link: &PathBuf| fs::read_link(link).is_ok_and(|to| to.to_string_lossy().contains("/firebox-"));
    let inside = descriptors_of(pid).filter(is_instances).flat_map(|link| fs::read_dir(link).into_iter().flatten());
    inside.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + PLENTY;
    // There is no event for what happens in another process.
    while !holds() {
        assert!(Instant::now() < until, "it does not come to this: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("a live process");
    children.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}
