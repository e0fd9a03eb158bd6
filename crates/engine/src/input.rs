//! Standard input on its way to a program: never more of it in our hands than one chunk.

use std::os::fd::BorrowedFd;

use firebox_wire::{Order, StepStdin};

use crate::reader::Reader;
use crate::{RunError, Stdin, session::Session};

/// How much is passed on at once.
pub(crate) const CHUNK: usize = 32 * 1024;

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
    /// A chunk has been asked for whenever none is under way.
    Read(Reader),
    /// The program has been told that there is no more, or never had any.
    Ended,
}

impl Input {
    pub(crate) fn new(stdin: Stdin) -> Result<Input, RunError> {
        let source = match stdin {
            Stdin::Empty => Source::Ended,
            Stdin::Bytes(bytes) => Source::Bytes { bytes, at: 0 },
            Stdin::Fd(fd) => {
                let reader = Reader::start(fd).map_err(RunError::Wait)?;
                reader.want();
                Source::Read(reader)
            }
        };
        Ok(Input { source, under_way: false })
    }

    /// How the step is to be told of it.
    pub(crate) fn announced(&self) -> StepStdin {
        match self.source {
            Source::Ended => StepStdin::Empty,
            Source::Bytes { .. } | Source::Read(_) => StepStdin::Frames,
        }
    }

    /// What to wait for, if there is something to pass on once it is there.
    pub(crate) fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        match &self.source {
            Source::Read(reader) if !self.under_way => Some(reader.as_fd()),
            _ => None,
        }
    }

    /// The program has taken what was under way. Nothing more is read for an agent that says so without having been given
    /// anything: it could say so for ever.
    pub(crate) fn taken(&mut self) -> Result<(), RunError> {
        if !self.under_way {
            let answer = "that it took input which it was not given".to_owned();
            return Err(RunError::OutOfTurn { doing: "run a step", answer });
        }
        self.under_way = false;
        if let Source::Read(reader) = &self.source {
            reader.want();
        }
        Ok(())
    }

    /// Passes the next chunk on, if the last has been taken and there is one.
    pub(crate) fn pass_on(&mut self, session: &mut Session) -> Result<(), RunError> {
        if self.under_way {
            return Ok(());
        }
        let read;
        let chunk: &[u8] = match &mut self.source {
            Source::Ended => return Ok(()),
            Source::Bytes { bytes, at } => {
                let next = &bytes[*at..bytes.len().min(*at + CHUNK)];
                *at += next.len();
                next
            }
            Source::Read(reader) => match reader.take() {
                None => return Ok(()),
                Some(chunk) => {
                    read = chunk;
                    &read
                }
            },
        };
        if chunk.is_empty() {
            session.pass_on(&Order::StdinEnd)?;
            self.source = Source::Ended;
        } else {
            session.pass_on(&Order::Stdin(chunk))?;
            self.under_way = true;
        }
        Ok(())
    }
}
