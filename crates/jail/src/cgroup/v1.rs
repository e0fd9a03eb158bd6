//! Version 1: each controller may have a hierarchy of its own, so one group is several directories.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use firebox_confine::Layer;
use rustix::io::Errno;
use rustix::process::Pid;

use super::directory::Directory;
use super::{Limits, READ_BACK, REMOVAL, Used, patiently, patiently_until};

/// What a hierarchy is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Pids,
    Cpu,
    CpuAccounting,
}

impl Controller {
    pub(super) const ALL: [Controller; 4] =
        [Controller::Memory, Controller::Pids, Controller::Cpu, Controller::CpuAccounting];

    pub(super) fn name(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Pids => "pids",
            Controller::Cpu => "cpu",
            Controller::CpuAccounting => "cpuacct",
        }
    }
}

/// What all sockets of a group may buffer: plenty for a loopback, little of what the host has for all sockets.
const SOCKET_MEMORY: u64 = 32 << 20;

/// Time slices are dealt out per this many microseconds.
const PERIOD_US: u64 = 100_000;

/// One hierarchy: where our instance's directory is, and which of our controllers it has.
struct Hierarchy {
    above: Directory,
    instance: Rc<Directory>,
    controllers: Rc<[Controller]>,
}

/// The hierarchies in which an instance has its directory.
pub(crate) struct Hierarchies {
    hierarchies: Vec<Hierarchy>,
    name: String,
}

/// One group: a directory in every hierarchy.
pub(crate) struct Group {
    parts: Vec<Part>,
    name: String,
}

/// What a group is in one hierarchy.
struct Part {
    directory: Directory,
    controllers: Rc<[Controller]>,
    /// Where it is, for its removal. A warden has many groups, and this once.
    instance: Rc<Directory>,
}

impl Hierarchies {
    /// Makes the instance's directory in each of these places. An error names the place.
    pub(super) fn create(places: Vec<(PathBuf, Vec<Controller>)>, name: &str) -> Result<Hierarchies, (PathBuf, Errno)> {
        let mut made = Hierarchies { hierarchies: Vec::new(), name: name.to_owned() };
        for (place, controllers) in places {
            let opened = Directory::open(&place).and_then(|above| above.make(name).map(|instance| (above, instance)));
            match opened {
                Ok((above, instance)) => {
                    let (instance, controllers) = (Rc::new(instance), controllers.into());
                    made.hierarchies.push(Hierarchy { above, instance, controllers });
                }
                Err(errno) => {
                    let _ = made.remove();
                    return Err((place, errno));
                }
            }
        }
        Ok(made)
    }

    /// Makes a group for later: held to something from the start, and to its own limits when they are known.
    pub(super) fn group_for_later(&self, name: &str, limits: &Limits) -> Result<Group, Errno> {
        self.make(name, limits, Swap::Later)
    }

    pub(super) fn group(&self, name: &str, limits: &Limits) -> Result<Group, Errno> {
        self.make(name, limits, Swap::Now)
    }

    fn make(&self, name: &str, limits: &Limits, swap: Swap) -> Result<Group, Errno> {
        let mut group = Group { parts: Vec::new(), name: name.to_owned() };
        for Hierarchy { above: _, instance, controllers } in &self.hierarchies {
            let made = instance.make(name).and_then(|directory| {
                let part = Part { directory, controllers: Rc::clone(controllers), instance: Rc::clone(instance) };
                group.parts.push(part);
                group.parts.last().map_or(Ok(()), |part| part.limit(limits, swap))
            });
            if let Err(errno) = made {
                let _ = group.remove();
                return Err(errno);
            }
        }
        Ok(group)
    }

    pub(super) fn remove(&self) -> Result<(), Errno> {
        self.hierarchies.iter().try_for_each(|hierarchy| patiently(|| hierarchy.above.remove(&self.name)))
    }
}

/// When swap is limited. The kernel wants its limit above that of memory at all times, so one that is to be raised later
/// is set only then.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Swap {
    Now,
    Later,
}

fn limit(directory: &Directory, controller: Controller, limits: &Limits, swap: Swap) -> Result<(), Errno> {
    let held_by = match controller {
        Controller::Memory => Layer::MemoryGroup,
        Controller::Pids => Layer::Tasks,
        Controller::Cpu | Controller::CpuAccounting => Layer::CpuGroup,
    };
    if held_by.is_left_out() {
        return Ok(());
    }
    match controller {
        Controller::Memory => {
            directory.write("memory.limit_in_bytes", limits.memory)?;
            // Buffers of TCP and UDP, which are not counted at all before they have a limit of their own.
            match directory.write("memory.kmem.tcp.limit_in_bytes", SOCKET_MEMORY.min(limits.memory)) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
            if swap == Swap::Later {
                return Ok(());
            }
            // Memory and swap together: with the same number there is no swap. Absent where swap is not accounted.
            match directory.write("memory.memsw.limit_in_bytes", limits.memory) {
                Ok(()) | Err(Errno::NOENT | Errno::OPNOTSUPP) => Ok(()),
                Err(errno) => Err(errno),
            }
        }
        Controller::Pids => directory.write("pids.max", limits.tasks),
        Controller::Cpu => match limits.cpus {
            None => Ok(()),
            Some(cpus) => {
                directory.write("cpu.cfs_period_us", PERIOD_US)?;
                directory.write("cpu.cfs_quota_us", PERIOD_US * u64::from(cpus.get()))
            }
        },
        Controller::CpuAccounting => Ok(()),
    }
}

impl Part {
    fn limit(&self, limits: &Limits, swap: Swap) -> Result<(), Errno> {
        self.controllers.iter().try_for_each(|controller| limit(&self.directory, *controller, limits, swap))
    }
}

impl Group {
    fn with(&self, controller: Controller) -> Result<&Directory, Errno> {
        let found = self.parts.iter().find(|part| part.controllers.contains(&controller));
        found.map(|part| &part.directory).ok_or(Errno::NODEV)
    }

    /// Holds a group that was made for later to its own limits.
    pub(super) fn limit(&self, limits: &Limits) -> Result<(), Errno> {
        self.parts.iter().try_for_each(|part| part.limit(limits, Swap::Now))
    }

    /// Ways in: a process with a single thread that writes `0` to each of them has moved itself here.
    ///
    /// Moving another process makes the kernel wait until no process of the host is forking, which takes it some ten
    /// milliseconds after a quiet time. Moving oneself, as a thread, does not. The right to do it is that of whoever
    /// opened the way, not of who writes.
    pub(super) fn doors(&self) -> Result<Vec<OwnedFd>, Errno> {
        self.parts.iter().map(|part| part.directory.open_to_write("tasks")).collect()
    }

    pub(super) fn admit(&self, pid: Pid) -> Result<(), Errno> {
        self.parts.iter().try_for_each(|part| part.directory.write("cgroup.procs", pid.as_raw_nonzero()))
    }

    pub(super) fn members(&self) -> Result<Vec<Pid>, Errno> {
        let procs = self.with(Controller::Pids)?.read("cgroup.procs")?;
        Ok(procs.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect())
    }

    pub(super) fn used(&self) -> Result<Used, Errno> {
        let memory = self.with(Controller::Memory)?;
        Ok(Used {
            cpu: Duration::from_nanos(self.with(Controller::CpuAccounting)?.number("cpuacct.usage")?),
            memory_peak: memory.number("memory.max_usage_in_bytes").ok(),
            oom_kills: memory.keyed("memory.oom_control", "oom_kill")?,
        })
    }

    pub(super) fn forget_peak(&self) -> Result<(), Errno> {
        self.with(Controller::Memory)?.write("memory.max_usage_in_bytes", 0)
    }

    pub(super) fn memory(&self) -> Result<u64, Errno> {
        self.with(Controller::Memory)?.number("memory.usage_in_bytes")
    }

    pub(super) fn pages_read_back(&self) -> Result<u64, Errno> {
        self.with(Controller::Memory)?.keyed("memory.stat", READ_BACK)
    }

    pub(super) fn tasks(&self) -> Result<u64, Errno> {
        self.with(Controller::Pids)?.number("pids.current")
    }

    pub(super) fn remove(&self) -> Result<(), Errno> {
        // Each of them, whatever became of the others, but with one patience for all.
        let until = Instant::now() + REMOVAL;
        let removed = self.parts.iter().map(|part| patiently_until(until, || part.instance.remove(&self.name)));
        removed.fold(Ok(()), Result::and)
    }
}
