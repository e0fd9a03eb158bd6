//! What an edge gives the engine besides the job: where input comes from and where output goes.

use std::io;
use std::os::fd::OwnedFd;

use firebox_job::StepKind;

use crate::Cancel;

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

    /// A step has begun, and nobody waits for the thread that says so: what takes a moment and can be done at any time is best done now.
    fn begun(&mut self) {}
}

/// Nobody listens; the outcome has it all.
impl Sink for () {
    fn output(&mut self, _: StepKind, _: Stream, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// What an edge has to do with a job while it runs.
pub(crate) struct Listeners<'a> {
    pub(crate) sink: &'a mut dyn Sink,
    pub(crate) cancel: &'a Cancel,
}
