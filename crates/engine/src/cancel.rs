//! The way to stop a job.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

/// The engine's end of "stop this job": readable once somebody has said so.
#[derive(Debug, Clone)]
pub struct Cancel {
    said: Arc<OwnedFd>,
    /// Somebody else may say so too.
    also: Option<Arc<OwnedFd>>,
}

/// The other end. Saying it twice is saying it once.
#[derive(Debug, Clone)]
pub struct Canceller(Arc<OwnedFd>);

impl Cancel {
    /// Both ends.
    pub fn new() -> io::Result<(Cancel, Canceller)> {
        let event = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        Ok((Cancel::when_readable(Arc::clone(&event)), Canceller(event)))
    }

    /// Whatever somebody has that becomes readable, and stays so, once the job is to stop.
    pub fn when_readable(said: Arc<OwnedFd>) -> Cancel {
        Cancel { said, also: None }
    }

    /// The same when either is said. Of more than two, the last two count.
    pub fn or(&self, other: &Cancel) -> Cancel {
        Cancel { said: Arc::clone(&self.said), also: Some(Arc::clone(&other.said)) }
    }

    /// One of these becomes readable, and stays so, once the job is to stop. Where there is only one, it is both.
    pub(crate) fn either(&self) -> [BorrowedFd<'_>; 2] {
        [self.said.as_fd(), self.also.as_ref().unwrap_or(&self.said).as_fd()]
    }
}

impl Canceller {
    /// Stops the job, wherever it is.
    pub fn cancel(&self) -> io::Result<()> {
        rustix::io::write(&self.0, &1u64.to_ne_bytes()).map(|_| ()).map_err(io::Error::from)
    }
}
