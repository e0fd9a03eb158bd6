//! What an edge gives the engine besides the job: where input comes from, where output goes, and a way to stop.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use firebox_job::StepKind;
use rustix::event::{EventfdFlags, eventfd};

/// Where the standard input of the run comes from.
#[derive(Debug)]
pub enum Stdin {
    /// It is at its end from the start.
    Empty,
    /// These bytes.
    Bytes(Vec<u8>),
    /// Whatever this descriptor gives, as it comes.
    Fd(OwnedFd),
}

/// One of the two output streams of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Where output goes as it comes, before the outcome is known.
pub trait Sink {
    /// Some bytes of a stream, as they come and in order. No more of one stream than the output limit: what comes after
    /// that, of a stream that was cut, is in the outcome.
    fn output(&mut self, step: StepKind, stream: Stream, bytes: &[u8]) -> io::Result<()>;
}

/// Nobody listens; the outcome has it all.
impl Sink for () {
    fn output(&mut self, _: StepKind, _: Stream, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// The engine's end of "stop this job": readable once somebody has said so.
#[derive(Debug, Clone)]
pub struct Cancel(Arc<OwnedFd>);

/// The other end. Saying it twice is saying it once.
#[derive(Debug, Clone)]
pub struct Canceller(Arc<OwnedFd>);

/// What an edge has to do with a job while it runs.
pub(crate) struct Company<'a> {
    pub(crate) sink: &'a mut dyn Sink,
    pub(crate) cancel: &'a Cancel,
}

impl Cancel {
    /// Both ends.
    pub fn new() -> io::Result<(Cancel, Canceller)> {
        let event = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        Ok((Cancel(Arc::clone(&event)), Canceller(event)))
    }

    /// Becomes readable, and stays so, once the job is to stop.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Canceller {
    /// Stops the job, wherever it is.
    pub fn cancel(&self) -> io::Result<()> {
        rustix::io::write(&self.0, &1u64.to_ne_bytes()).map(|_| ()).map_err(io::Error::from)
    }

    /// The descriptor that a signal handler may write eight non-zero bytes to.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
