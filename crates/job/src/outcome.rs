//! What happened to a job.

use std::time::Duration;

use crate::{ByteSize, Captured, CellKind, Enforcement, Limits, Stages, StepKind, TraceId, Verdict};

/// What happened to a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The job's name, echoed.
    pub trace_id: TraceId,
    /// What is said of the program.
    pub verdict: Verdict,
    /// The step that the verdict is about: the last one that started.
    pub step: String,
    /// What the program wrote to its standard output; empty when it never ran.
    pub stdout: Captured,
    /// What the program wrote to its standard error, or the compiler's words when the build failed.
    pub stderr: Captured,
    /// How long it took.
    pub timing: Timing,
    /// What the run step consumed; zero when it never ran.
    pub usage: Usage,
    /// The limits that applied.
    pub limits: Limits,
    /// The kind of cell it ran in.
    pub isolation: CellKind,
    /// How the limits were held.
    pub enforcement: Enforcement,
    /// Every step that started, in order.
    pub steps: Vec<StepReport>,
}

/// What happened in one step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Its name in the plan.
    pub name: String,
    /// What it was for.
    pub kind: StepKind,
    /// What a shell would have seen of it.
    pub exit_code: i32,
    /// Whether what it makes, and its words, were kept from an earlier job: then it did not run for this one.
    pub kept: bool,
    /// How long it took.
    pub wall: Duration,
    /// What it consumed.
    pub usage: Usage,
    /// What it wrote to its standard output.
    pub stdout: Captured,
    /// What it wrote to its standard error.
    pub stderr: Captured,
}

/// How long the parts of a job took, from admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// Waiting for a free place; not part of the job's timeout.
    pub queue: Duration,
    /// All build steps.
    pub compile: Duration,
    /// The run step.
    pub run: Duration,
    /// Everything from admission to the outcome, the queue included.
    pub total: Duration,
    /// The same, by what the engine was doing.
    pub stages: Stages,
}

/// What a step consumed, measured from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// CPU time, user and system, of all its tasks.
    pub cpu: Duration,
    /// The most memory it held at once, its files in memory included; none where the host cannot tell.
    pub memory_peak: Option<ByteSize>,
}
