//! Standard input on its way to a program: never more of it in our hands than one chunk.

use std::os::fd::{AsFd, BorrowedFd};

use firebox_wire::{Order, StepStdin};
use rustix::io::Errno;

use crate::{RunError, Stdin, session::Session};

/// How much is passed on at once.
const CHUNK: usize = 32 * 1024;

/// What is still to be passed on.
pub(crate) struct Input {
    source: Source,
    /// The agent still holds a chunk that the program has not read.
    under_way: bool,
}

enum Source {
    Bytes {
        bytes: Vec<u8>,
        at: usize,
    },
    Fd {
        fd: std::os::fd::OwnedFd,
        chunk: Vec<u8>,
    },
    /// The program has been told that there is no more, or never had any.
    Ended,
}

impl Input {
    pub(crate) fn new(stdin: Stdin) -> Input {
        let source = match stdin {
            Stdin::Empty => Source::Ended,
            Stdin::Bytes(bytes) => Source::Bytes { bytes, at: 0 },
            Stdin::Fd(fd) => Source::Fd { fd, chunk: vec![0; CHUNK] },
        };
        Input { source, under_way: false }
    }

    /// How the step is to be told of it.
    pub(crate) fn announced(&self) -> StepStdin {
        match self.source {
            Source::Ended => StepStdin::Empty,
            Source::Bytes { .. } | Source::Fd { .. } => StepStdin::Frames,
        }
    }

    /// What to wait for, if there is something to pass on once it is there.
    pub(crate) fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        match &self.source {
            Source::Fd { fd, .. } if !self.under_way => Some(fd.as_fd()),
            _ => None,
        }
    }

    /// The program has taken what was under way.
    pub(crate) fn taken(&mut self) {
        self.under_way = false;
    }

    /// Passes the next chunk on, if the last has been taken and there is one. `readable` says that the descriptor
    /// which it waits for has become ready.
    pub(crate) fn pass_on(&mut self, session: &mut Session, readable: bool) -> Result<(), RunError> {
        const DOING: &str = "pass on standard input";
        if self.under_way {
            return Ok(());
        }
        let chunk: &[u8] = match &mut self.source {
            Source::Ended => return Ok(()),
            Source::Bytes { bytes, at } => {
                let next = &bytes[*at..bytes.len().min(*at + CHUNK)];
                *at += next.len();
                next
            }
            Source::Fd { .. } if !readable => return Ok(()),
            Source::Fd { fd, chunk } => match rustix::io::read(&*fd, chunk.as_mut_slice()) {
                Ok(read) => &chunk[..read],
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                // An input that cannot be read is at its end, as for any program whose terminal is gone.
                Err(_) => &[],
            },
        };
        if chunk.is_empty() {
            session.order(DOING, &Order::StdinEnd)?;
            self.source = Source::Ended;
        } else {
            session.order(DOING, &Order::Stdin(chunk))?;
            self.under_way = true;
        }
        Ok(())
    }
}
