//! What a client asks for.

use std::collections::BTreeMap;

use crate::{CellKind, Limits, Sources, TraceId};

/// What a client asks for; becomes exactly one outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The client's name for it.
    pub trace_id: TraceId,
    /// The language's name or alias, as the client wrote it.
    pub language: String,
    /// The code.
    pub sources: Sources,
    /// Arguments of the program, after its name. Reach the run step only.
    pub args: Vec<String>,
    /// Environment of the program, over what the language sets. Reaches the run step only.
    pub env: BTreeMap<String, String>,
    /// Options of the language, such as Rust's `edition`.
    pub options: BTreeMap<String, OptionValue>,
    /// What it may consume.
    pub limits: Limits,
    /// Where it may run.
    pub isolation: Isolation,
    /// Which protections it insists on.
    pub require: Require,
    /// What its tools may have in common with those of other jobs.
    pub seed: Seed,
}

/// The value of a language's option. Which options there are and what they take is in the language's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionValue {
    /// A word, such as `release`.
    Text(String),
    /// A number, such as `2024`.
    Number(i64),
    /// A switch.
    Switch(bool),
}

/// Where a job may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// The strongest kind of cell that this host can make.
    #[default]
    Auto,
    /// Only in a microVM.
    MicroVm,
    /// Only in a jail.
    Jail,
    /// Only in a fence.
    Fence,
}

/// Which protections a job insists on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Require {
    /// The required ones; the others are enforced where the host can, and else watched.
    #[default]
    Required,
    /// Every one of them enforced; a host that only watches refuses the job.
    Enforced,
}

/// What the tools of a job may have in common with those of other jobs: where things are in memory, the seeds of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Seed {
    /// What a template has settled, from which each of these jobs gets a copy of its tool.
    #[default]
    MayBeShared,
    /// Nothing: each tool is started from nothing in the job's own cell.
    Fresh,
}

impl Isolation {
    /// The word for it, everywhere.
    pub fn name(self) -> &'static str {
        match self.kind() {
            None => "auto",
            Some(kind) => kind.name(),
        }
    }

    /// The one kind of cell that is asked for; none when any will do.
    pub fn kind(self) -> Option<CellKind> {
        match self {
            Isolation::Auto => None,
            Isolation::MicroVm => Some(CellKind::MicroVm),
            Isolation::Jail => Some(CellKind::Jail),
            Isolation::Fence => Some(CellKind::Fence),
        }
    }
}
