//! The two files that a machine is frozen into. Whoever asked for the machine has them made, and sends them when it is time.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use crate::handover::{self, HandoverError};

/// Two files to be written to, both empty.
#[derive(Debug)]
pub struct FrozenFiles<F = File> {
    /// For the state of processors and devices.
    pub state: F,
    /// For the memory.
    pub memory: F,
}

/// What comes along with them.
const WORD: handover::Word = *b"FBF1";

impl FrozenFiles<BorrowedFd<'_>> {
    /// Has the machine at the other end of the stream frozen into them.
    pub fn send(&self, stream: BorrowedFd<'_>) -> Result<(), HandoverError> {
        handover::send(stream, WORD, [self.state, self.memory])
    }
}

impl FrozenFiles {
    /// Waits for them.
    pub fn receive(stream: impl AsFd) -> Result<FrozenFiles, HandoverError> {
        let [state, memory] = handover::receive(stream.as_fd(), WORD)?.map(File::from);
        Ok(FrozenFiles { state, memory })
    }
}
