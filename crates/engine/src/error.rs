//! Why a job became no outcome.

use firebox_cell::{CellError, StreamError};
use firebox_job::{ByteSize, CellKind};
use firebox_lang::PlanError;
use firebox_wire::{MAX_PAYLOAD, MOST_STRINGS, Refusal};

/// Why a job became no outcome. Says nothing about its program.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The job asks its language for something that it does not have.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// This engine has no such language.
    #[error("language `{0}` is not among those that this engine was started with")]
    NotInstalled(String),
    /// More code, files and input than the limit.
    #[error("code, files and stdin have {size} together, more than the limit of {limit}; send less, or raise it")]
    InputTooLarge {
        /// What was sent.
        size: ByteSize,
        /// What may be sent.
        limit: ByteSize,
    },
    /// More arguments and environment than fit into one frame.
    #[error(
        "the {step} step has too many arguments and variables; at most {MOST_STRINGS} of each, and less than {} in all",
        ByteSize::bytes(MAX_PAYLOAD as u64)
    )]
    ArgumentsTooLarge {
        /// The step they are for.
        step: String,
    },
    /// This kind of cell cannot be had.
    #[error("isolation `{asked}` is not available here; leave it out or ask for `{there_is}`")]
    Isolation {
        /// The kind that was asked for.
        asked: CellKind,
        /// The kind that can be had.
        there_is: CellKind,
    },
    /// A protection is only watched, and the job insists.
    #[error("this host can only watch a limit that the job wants enforced")]
    NotEnforced,
    /// A file of the job does not fit into its cell.
    #[error("cannot store {path:?} in the cell")]
    Store {
        /// The file.
        path: String,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// A tool that was found on the host cannot be started in a cell.
    #[error("cannot start `{program}` in the cell")]
    Exec {
        /// The program.
        program: String,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// A cell could not be made, limited, measured or removed.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// The stream to the agent broke.
    #[error("lost the agent of a cell while it was to {doing}")]
    Agent {
        /// What it was to do.
        doing: &'static str,
        /// What was seen.
        source: StreamError,
    },
    /// The agent refused what it must be able to do.
    #[error("the agent of a cell could not {}", refusal_text(*.what))]
    Refused {
        /// What it could not do.
        what: Refusal,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// The agent answered something else than it was asked.
    #[error("the agent of a cell was to {doing} and answered {answer}")]
    OutOfTurn {
        /// What it was to do.
        doing: &'static str,
        /// What it said.
        answer: String,
    },
    /// The agent did not answer in time.
    #[error("the agent of a cell was to {doing} and did not answer in time")]
    Silent {
        /// What it was to do.
        doing: &'static str,
    },
    /// What a process was when it was frozen cannot be kept.
    #[error("cannot keep the image of a process")]
    Image(#[source] std::io::Error),
    /// The thread that keeps cells waiting could not be started.
    #[error("cannot start a thread that keeps cells waiting for jobs")]
    Filler(#[source] std::io::Error),
    /// The kernel refused the engine something.
    #[error("cannot wait for a cell")]
    Wait(#[source] std::io::Error),
}

impl RunError {
    /// Whether asking differently would help, rather than another host or a mended Firebox.
    pub fn is_request(&self) -> bool {
        match self {
            RunError::Plan(_) | RunError::NotInstalled(_) | RunError::InputTooLarge { .. } => true,
            RunError::ArgumentsTooLarge { .. } | RunError::Store { .. } => true,
            RunError::Isolation { .. } | RunError::NotEnforced | RunError::Exec { .. } | RunError::Cell(_) => false,
            RunError::Agent { .. } | RunError::Refused { .. } | RunError::OutOfTurn { .. } => false,
            RunError::Silent { .. } | RunError::Image(_) | RunError::Filler(_) | RunError::Wait(_) => false,
        }
    }
}

fn refusal_text(what: Refusal) -> &'static str {
    match what {
        Refusal::Confine => "confine itself",
        Refusal::Store => "store a file",
        Refusal::Fork => "make a process",
        Refusal::Exec => "start a program",
        Refusal::Order => "do what it was told at that time",
        Refusal::Ahead => "start a program ahead",
        Refusal::Fetch => "hand a file out",
    }
}
