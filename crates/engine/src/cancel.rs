//! The way to stop a job.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

/// The engine's end of "stop this job": readable once somebody has said so.
#[derive(Debug, Clone)]
pub struct Cancel(Arc<OwnedFd>);

/// The other end. Saying it twice is saying it once.
#[derive(Debug, Clone)]
pub struct Canceller(Arc<OwnedFd>);

impl Cancel {
    /// Both ends.
    pub fn new() -> io::Result<(Cancel, Canceller)> {
        let event = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        Ok((Cancel(Arc::clone(&event)), Canceller(event)))
    }

    /// Whatever somebody has that becomes readable, and stays so, once the job is to stop.
    pub fn when_readable(said: Arc<OwnedFd>) -> Cancel {
        Cancel(said)
    }
}

/// Becomes readable, and stays so, once the job is to stop.
impl AsFd for Cancel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Canceller {
    /// Stops the job, wherever it is.
    pub fn cancel(&self) -> io::Result<()> {
        rustix::io::write(&self.0, &1u64.to_ne_bytes()).map(|_| ()).map_err(io::Error::from)
    }
}
