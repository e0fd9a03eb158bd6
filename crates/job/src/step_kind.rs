//! The two kinds of step that plans are made of.

/// What a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepKind {
    /// Makes a program out of the sources; held to the operator's limits for building.
    Build,
    /// Runs the program; held to the job's limits.
    Run,
}
