//! Why a cell could not be made, limited, measured or removed. Says nothing about the program in it.

use std::io;

use crate::StreamError;

/// Why something could not be done to a cell.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The warden, or a process becoming a cell, was refused something by the kernel.
    #[error("cannot {doing}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The stream to a new cell's agent cannot be used.
    #[error("cannot use the stream to a new cell")]
    Stream(#[from] StreamError),
    /// The process that makes cells is gone.
    #[error("the warden is gone; no cell can be made until firebox is started again")]
    WardenGone {
        /// What was seen of it.
        source: io::Error,
    },
    /// The process that makes cells answered something that is no answer.
    #[error("the warden answered out of turn: {0}")]
    Protocol(#[from] firebox_wire::DecodeError),
    /// The warden answered, but not to what was asked.
    #[error("the warden was asked to {asked} and answered {answered}")]
    Unexpected {
        /// What it was asked.
        asked: &'static str,
        /// What it answered.
        answered: String,
    },
}
