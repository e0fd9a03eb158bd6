//! How a job's limits were held.

/// How a limit is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// The kernel refuses what goes past it.
    Enforced,
    /// We look now and then, and kill the cell when it is past it.
    Watched,
}

impl Protection {
    /// All of them, the best first.
    pub const ALL: [Protection; 2] = [Protection::Enforced, Protection::Watched];

    /// The word for it, everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Protection::Enforced => "enforced",
            Protection::Watched => "watched",
        }
    }
}

/// How each limit that the host may or may not be able to enforce was held for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enforcement {
    /// Memory of a step.
    pub memory: Protection,
    /// Live processes and threads of a step.
    pub tasks: Protection,
    /// CPUs that a step may use at once. CPU time is always measured from outside.
    pub cpu: Protection,
    /// Bytes and inodes of the cell's files.
    pub disk: Protection,
}

impl Enforcement {
    /// Whether nothing is merely watched.
    pub fn is_complete(self) -> bool {
        let Enforcement { memory, tasks, cpu, disk } = self;
        [memory, tasks, cpu, disk].iter().all(|held| *held == Protection::Enforced)
    }
}
