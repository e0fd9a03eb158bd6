//! How a cell is held to its limits, and measured: by control groups, or by watching its processes.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use firebox_confine::Layer;
use firebox_warden::{Seen, Watching};
use firebox_wire::warden::{Held, Measured, Past, StepLimits};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::process::Pid;

use crate::cgroup::{Group, Limits, Used};
use crate::doors::Doors;
use crate::rights::{self, Rights};

/// What an agent may hold: its own few pages, and the job's files until the first step takes them over.
const AGENT_MEMORY: u64 = 128 << 20;
/// The agent, and a process of a step before it is moved to that step's group.
const AGENT_TASKS: u32 = 8;

/// Who has read back this many times all it may hold, at least, had no use of its memory any more.
const STARVED: u64 = 4;

/// Most plans have no more than a step that builds and one that runs. Groups for these stand before they are needed.
const MOST_STEPS_AHEAD: usize = 2;

/// How a cell is held to its limits.
pub(crate) enum Holding {
    /// The kernel refuses what goes past them.
    Grouped {
        number: u32,
        agent: Group,
        /// Those of steps that have begun, and after them those that were made for later.
        steps: Vec<Group>,
        begun: usize,
        /// What had been used in the present step's group when that step began.
        before: Used,
        /// What its group may hold.
        memory: u64,
        since: Instant,
    },
    /// We look when asked, and the engine ends the step that is past its memory.
    Watched { watching: Watching, memory: u64 },
}

impl Holding {
    /// For a cell that is about to be made, and whose job will take so many steps.
    pub(crate) fn new(rights: &Rights, number: u32, steps: usize) -> Result<Holding, Errno> {
        match rights.holding() {
            rights::Holding::Groups(groups) => {
                let limits = Limits { memory: AGENT_MEMORY, tasks: AGENT_TASKS, cpus: None };
                let agent = groups.group(&format!("c{number}.agent"), &limits)?;
                let names: Vec<String> =
                    (1..=steps.min(MOST_STEPS_AHEAD)).map(|step| format!("c{number}.{step}")).collect();
                match groups.groups_for_later(&names, &limits) {
                    Ok(steps) => Ok(Holding::Grouped {
                        number,
                        agent,
                        steps,
                        begun: 0,
                        before: Used::default(),
                        memory: 0,
                        since: Instant::now(),
                    }),
                    Err(errno) => {
                        let _ = agent.remove();
                        Err(errno)
                    }
                }
            }
            rights::Holding::Watched(proc) => Ok(Holding::Watched { watching: Watching::new(proc)?, memory: 0 }),
        }
    }

    /// What to clone the agent into, where the kernel can do that.
    pub(crate) fn clone_target(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Holding::Grouped { agent, .. } => agent.clone_target(),
            Holding::Watched { .. } => None,
        }
    }

    /// The ways into the agent's group and into those of the steps, for a process that moves itself.
    pub(crate) fn doors(&self) -> Result<Doors, Errno> {
        match self {
            Holding::Grouped { agent, steps, .. } => {
                Ok(Doors { agent: agent.doors()?, steps: steps.iter().map(Group::doors).collect::<Result<_, _>>()? })
            }
            Holding::Watched { .. } => Ok(Doors::default()),
        }
    }

    /// Begins a step: every process but the agent is held to these limits, and measuring starts from zero. Who stands and waits
    /// for that may not be more already: such a step has not begun.
    pub(crate) fn begin(&mut self, agent: Pid, limits: &StepLimits, rights: &Rights) -> Result<Held, Errno> {
        match self {
            Holding::Grouped { number, agent: agents, steps, begun, before, memory, since } => {
                let limits = group_limits(limits);
                (*memory, *since) = (limits.memory, Instant::now());
                if steps.len() == *begun {
                    let rights::Holding::Groups(groups) = rights.holding() else { return Err(Errno::NODEV) };
                    steps.push(groups.group(&format!("c{number}.{}", *begun + 1), &limits)?);
                } else {
                    are_not_more(&steps[*begun], &limits)?;
                    steps[*begun].limit(&limits)?;
                }
                let step = &mut steps[*begun];
                *begun += 1;
                // The step's process has come in by the door, where there is one. Whoever has not is brought.
                let members = agents.members()?;
                members.into_iter().filter(|pid| *pid != agent).try_for_each(|pid| step.admit(pid))?;
                // Who stood and waited in there may have worked before, which is not this step's doing.
                step.forget_peak()?;
                *before = step.used()?;
                Ok(Held { memory: true, tasks: true, cpu: true, disk: true })
            }
            Holding::Watched { watching, memory } => {
                let Seen { tasks, memory: taken, .. } = watching.begin(agent)?;
                if u64::from(limits.tasks) < tasks || limits.memory < taken {
                    return Err(Errno::BUSY);
                }
                *memory = limits.memory;
                // The agent sets the rlimit for tasks, and the kernel holds it for the whole user namespace.
                Ok(Held { memory: false, tasks: true, cpu: false, disk: true })
            }
        }
    }

    /// What the step has consumed.
    pub(crate) fn measure(&mut self, agent: Pid, disk_full: bool) -> Result<Measured, Errno> {
        match self {
            Holding::Grouped { agent, steps, begun, before, memory, since, .. } => {
                let step = begun.checked_sub(1).and_then(|last| steps.get(last)).ok_or(Errno::SRCH)?;
                let Used { cpu, memory_peak, oom_kills } = step.used()?;
                let cpu_ns = u64::try_from(cpu.saturating_sub(before.cpu).as_nanos()).unwrap_or(u64::MAX);
                let oom_kills = oom_kills.saturating_sub(before.oom_kills);
                let starved = memory_peak.is_some_and(|peak| is_starved(step, peak, *memory, since.elapsed()));
                let others = are_there_others(agent, steps)?;
                Ok(Measured { cpu_ns, past: None, memory_peak, oom_kills, starved, disk_full, others })
            }
            Holding::Watched { watching, memory } => {
                let seen = watching.look(agent)?;
                let cpu_ns = u64::try_from(seen.cpu.as_nanos()).unwrap_or(u64::MAX);
                let past = (*memory < seen.memory && !Layer::Watching.is_left_out()).then_some(Past::Memory);
                let Seen { memory_peak, others, .. } = seen;
                Ok(Measured { cpu_ns, past, memory_peak, oom_kills: 0, starved: false, disk_full, others })
            }
        }
    }

    /// Removes what was made for it. Nobody may be left in the cell.
    pub(crate) fn remove(&self) -> Result<(), Errno> {
        match self {
            Holding::Watched { .. } => Ok(()),
            Holding::Grouped { agent, steps, .. } => {
                let removed = steps.iter().map(Group::remove);
                // Each of them, whatever became of the others.
                removed.fold(agent.remove(), Result::and)
            }
        }
    }
}

/// Refuses to hold those who stand and wait in a group to less than they are. A kernel would refuse that for memory, or end
/// them for it, and would let them have their tasks. Until now the group was held to the agent's limits, and most steps are
/// granted more.
fn are_not_more(step: &Group, limits: &Limits) -> Result<(), Errno> {
    let tasks = limits.tasks < AGENT_TASKS && u64::from(limits.tasks) < step.tasks()?;
    let memory = limits.memory < AGENT_MEMORY && limits.memory < step.memory()?;
    if tasks || memory { Err(Errno::BUSY) } else { Ok(()) }
}

/// Whether a step at its limit has spent its time on reading back what it could not keep: many times over, and all that it may
/// hold in each second. Only what is at its limit is looked at for it: the kernel takes its time to sum this up.
fn is_starved(step: &Group, memory_peak: u64, memory: u64, took: Duration) -> bool {
    let at_its_limit = memory - memory / 8 <= memory_peak;
    let much = memory.saturating_mul(took.as_secs().max(STARVED));
    at_its_limit && step.read_back().is_ok_and(|read_back| much < read_back)
}

/// Whether there is anybody but the agent, in whichever group. Nobody gets from one into another while this looks: only the
/// agent has the ways in.
fn are_there_others(agent: &Group, steps: &[Group]) -> Result<bool, Errno> {
    if agent.tasks()? > 1 {
        return Ok(true);
    }
    for step in steps {
        if step.tasks()? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

fn group_limits(limits: &StepLimits) -> Limits {
    let StepLimits { memory, tasks, vcpus, disk, inodes: _, wall_ms: _ } = *limits;
    Limits {
        // The kernel counts files in memory and memory as one. What a job writes is to be its disk, so there is room
        // for both.
        memory: memory.saturating_add(disk),
        tasks,
        // Also where that is all there are: the mask of CPUs that firebox was started with does not bind a job.
        cpus: NonZeroU32::new(vcpus),
    }
}
