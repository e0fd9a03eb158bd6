//! What an operator grants: defaults and ceilings of the limits, and what building may take.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::{Ask, ByteSize, Limits};

/// The operator's word on limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What applies where a job asks for nothing.
    pub default: Limits,
    /// What no job may exceed. A request above it is refused, never clamped.
    pub ceiling: Limits,
    /// What a build step may take; the operator's own limits, a job cannot ask for them.
    pub building: Building,
}

/// Limits of build steps, where they differ from those of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Building {
    /// Memory of a whole build step.
    pub memory: ByteSize,
    /// Live processes and threads of a build step.
    pub tasks: NonZeroU32,
    /// CPUs that a build step may use at once: what it uses is bounded by its time.
    pub vcpus: NonZeroU32,
    /// What a build may put on the cell's disk.
    pub disk: ByteSize,
    /// How many files and directories a build may make.
    pub inodes: u32,
}

const TASKS: NonZeroU32 = NonZeroU32::new(64).unwrap();
const MOST_TASKS: NonZeroU32 = NonZeroU32::new(1024).unwrap();
const BUILD_TASKS: NonZeroU32 = NonZeroU32::new(256).unwrap();

impl Policy {
    /// The policy without any configuration, for a host with so many CPUs and so much memory.
    pub fn for_host(cpus: NonZeroU32, memory: ByteSize) -> Policy {
        let longest = Duration::from_secs(600);
        Policy {
            default: Limits {
                timeout: Duration::from_secs(60),
                compile: Duration::from_secs(30),
                run: Duration::from_secs(10),
                cpu: Duration::from_secs(10),
                // A host may have less than that in all.
                memory: ByteSize::mib(512).min(memory),
                tasks: TASKS,
                disk: ByteSize::mib(64),
                inodes: 10_000,
                output: ByteSize::mib(1),
                vcpus: NonZeroU32::MIN,
                input: ByteSize::mib(8),
            },
            ceiling: Limits {
                timeout: longest,
                compile: longest,
                run: longest,
                cpu: longest * cpus.get(),
                memory,
                tasks: MOST_TASKS,
                disk: ByteSize::gib(4),
                inodes: 1_000_000,
                output: ByteSize::mib(64),
                vcpus: cpus,
                input: ByteSize::mib(64),
            },
            building: Building {
                memory: ByteSize::gib(1),
                tasks: BUILD_TASKS,
                vcpus: cpus,
                disk: ByteSize::mib(512),
                inodes: 20_000,
            },
        }
    }

    /// The same for somebody who is granted no more than this, where that is less.
    pub fn at_most(&self, most: &Ask) -> Policy {
        // Exhaustive: a new limit must be decided here.
        let Ask { timeout, compile, run, cpu, memory, tasks, disk, output, vcpus, input } = *most;
        let at_most = |limits: Limits| Limits {
            timeout: lesser(limits.timeout, timeout),
            compile: lesser(limits.compile, compile),
            run: lesser(limits.run, run),
            cpu: lesser(limits.cpu, cpu),
            memory: lesser(limits.memory, memory),
            tasks: lesser(limits.tasks, tasks.and_then(NonZeroU32::new)),
            disk: lesser(limits.disk, disk),
            inodes: limits.inodes,
            output: lesser(limits.output, output),
            vcpus: lesser(limits.vcpus, vcpus.and_then(NonZeroU32::new)),
            input: lesser(limits.input, input),
        };
        Policy { default: at_most(self.default), ceiling: at_most(self.ceiling), building: self.building }
    }
}

fn lesser<T: Ord>(limit: T, most: Option<T>) -> T {
    match most {
        Some(most) => limit.min(most),
        None => limit,
    }
}
