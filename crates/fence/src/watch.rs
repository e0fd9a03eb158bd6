//! Watching one cell: what its processes and files take, against what a step was granted.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use firebox_confine::Layer;
use firebox_warden::{Seen, Watching};
use firebox_wire::warden::{Measured, Past, StepLimits};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, WaitOptions, getrlimit, pidfd_open, prlimit, waitpid};

use crate::room::Room;
use crate::tree::Taken;

/// Counting files takes this part of the time at most.
const SHARE_FOR_FILES: u32 = 10;

/// How long an agent may take to end its cell when its keeper has been killed.
const PATIENCE: Duration = Duration::from_secs(2);

/// The host's `/proc`.
pub(crate) fn host_proc() -> Result<OwnedFd, Errno> {
    openat(CWD, "/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// What is known of a cell, and of the step that runs in it.
pub(crate) struct StepWatch {
    watching: Watching,
    agent: Option<Pid>,
    limits: Option<StepLimits>,
    /// What was there before the step.
    before: Taken,
    files: Files,
    cpu: Duration,
}

/// What is known of its files.
#[derive(Default)]
struct Files {
    taken: Taken,
    /// When they may be counted again.
    next: Option<Instant>,
}

impl StepWatch {
    /// In this `/proc`.
    pub(crate) fn new(proc: &OwnedFd) -> Result<StepWatch, Errno> {
        Ok(StepWatch {
            watching: Watching::new(proc)?,
            agent: None,
            limits: None,
            before: Taken::default(),
            files: Files::default(),
            cpu: Duration::ZERO,
        })
    }

    /// Begins a step, whose process stands and waits below the agent.
    pub(crate) fn begin(&mut self, keeper: Pid, room: &Room, limits: &StepLimits) -> Result<(), Errno> {
        let agent = self.only_child(keeper)?;
        let step = self.only_child(agent)?;
        self.watching.begin(agent)?;
        self.limit_tasks(step, limits.tasks)?;
        self.before = room.taken(u64::MAX)?;
        self.files = Files { taken: self.before, next: None };
        (self.agent, self.limits, self.cpu) = (Some(agent), Some(*limits), Duration::ZERO);
        Ok(())
    }

    /// Looks at what the step takes now.
    pub(crate) fn look(&mut self, keeper: Pid, room: &Room) -> Result<Measured, Errno> {
        let (Some(agent), Some(limits)) = (self.agent, self.limits) else { return Err(Errno::SRCH) };
        let Seen { cpu, memory, memory_peak, tasks, others } = self.watching.look(agent)?;
        // When the cell has ended, what was seen last counts.
        self.cpu = self.cpu.max(cpu);
        self.count_files(room, &limits)?;
        let disk = limits.disk < self.files.taken.bytes.saturating_sub(self.before.bytes)
            || u64::from(limits.inodes) < self.files.taken.inodes.saturating_sub(self.before.inodes);
        let past = if Layer::Watching.is_left_out() {
            None
        } else if limits.memory < memory {
            Some(Past::Memory)
        } else if u64::from(limits.tasks) < tasks {
            Some(Past::Tasks)
        } else {
            disk.then_some(Past::Disk)
        };
        Ok(Measured {
            cpu_ns: u64::try_from(self.cpu.as_nanos()).unwrap_or(u64::MAX),
            past,
            memory_peak,
            oom_kills: 0,
            starved: false,
            disk_full: disk,
            // Beside the agent there is nobody, unless that has ended before its keeper.
            others: others || self.only_child(keeper) != Ok(agent),
        })
    }

    /// An agent that has lost its keeper becomes the warden's child and ends its cell; any other is nobody to wait for.
    pub(crate) fn wait_for_an_orphaned_agent(&self) {
        let Some(agent) = self.agent else { return };
        if !matches!(waitpid(Some(agent), WaitOptions::NOHANG), Ok(None)) {
            return;
        }
        let Ok(pidfd) = pidfd_open(agent, PidfdFlags::empty()) else { return };
        let patience = Timespec::try_from(PATIENCE).ok();
        let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], patience.as_ref());
        let _ = waitpid(Some(agent), WaitOptions::NOHANG);
    }

    /// The kernel counts tasks of the user, wherever they are: what there is of them now, and then the step's. To root it
    /// grants any number; then only watching is left.
    fn limit_tasks(&self, step: Pid, tasks: u32) -> Result<(), Errno> {
        let now = self.watching.tasks_of_user(rustix::process::getuid().as_raw())?;
        // The waiting process is among both.
        let most = now.saturating_add(tasks.into()).saturating_sub(1);
        let most = getrlimit(Resource::Nproc).maximum.unwrap_or(u64::MAX).min(most);
        prlimit(Some(step), Resource::Nproc, Rlimit { current: Some(most), maximum: Some(most) }).map(drop)
    }

    fn count_files(&mut self, room: &Room, limits: &StepLimits) -> Result<(), Errno> {
        let started = Instant::now();
        if self.files.next.is_some_and(|next| started < next) {
            return Ok(());
        }
        let most = self.before.inodes.saturating_add(limits.inodes.into());
        self.files.taken = room.taken(most)?;
        self.files.next = Some(Instant::now() + started.elapsed() * SHARE_FOR_FILES);
        Ok(())
    }

    fn only_child(&self, parent: Pid) -> Result<Pid, Errno> {
        let children = self.watching.children(parent)?;
        match children.as_slice() {
            [child] => Ok(*child),
            _ => Err(Errno::CHILD),
        }
    }
}
