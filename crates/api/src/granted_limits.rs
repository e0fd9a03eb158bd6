//! The limits that applied to a job, under the names a request uses for them.

use firebox_job::Limits;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Number;

/// The limits that applied. The names are those of a request, so that an answer can be asked for again.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct GrantedLimits {
    /// Seconds of wall time for the whole job, from admission.
    pub timeout: Number,
    /// Memory of the run, in MiB.
    pub memory_mb: Number,
    /// CPUs that the run could use at once.
    pub vcpus: u32,
    /// Live processes and threads of the run.
    pub tasks: u32,
    /// Files of the run, in MiB.
    pub disk_mb: Number,
    /// What was kept of each output stream, in KiB.
    pub output_kb: Number,
    /// Seconds of wall time for building.
    pub compile_seconds: Number,
    /// Seconds of wall time for the run.
    pub run_seconds: Number,
    /// Seconds of CPU time for the run.
    pub cpu_seconds: Number,
}

impl From<Limits> for GrantedLimits {
    fn from(limits: Limits) -> GrantedLimits {
        // Two limits have no name in a request and are not shown: the number of files is the operator's and part of
        // what `disk_mb` means, and the input was within its limit or there would be no outcome.
        let Limits { timeout, compile, run, cpu, memory, tasks, disk, inodes: _, output, vcpus, input: _ } = limits;
        GrantedLimits {
            timeout: Number::seconds(timeout),
            memory_mb: Number::mib(memory),
            vcpus: vcpus.get(),
            tasks: tasks.get(),
            disk_mb: Number::mib(disk),
            output_kb: Number::kib(output),
            compile_seconds: Number::seconds(compile),
            run_seconds: Number::seconds(run),
            cpu_seconds: Number::seconds(cpu),
        }
    }
}
