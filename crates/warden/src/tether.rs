//! What ties an engine and its warden together: a socket, and the duty to wait for the end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};

/// The engine's end. Dropping it lets the warden go and waits until that has removed everything, so that a process
/// which is about to exit leaves nothing, whichever way it came to its exit.
///
/// The fields are in the order of their end: first the warden hears that its engine is gone, then it is waited for.
#[derive(Debug)]
pub(crate) struct Tether {
    socket: OwnedFd,
    warden: Waited,
}

impl Tether {
    pub(crate) fn new(socket: OwnedFd, warden: Pid) -> Tether {
        Tether { socket, warden: Waited(warden) }
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The same as dropping it, but says so when the warden could not be waited for.
    pub(crate) fn release(self) -> Result<(), Errno> {
        let Tether { socket, warden } = self;
        drop(socket);
        let waited = warden.wait();
        // Waited for already.
        std::mem::forget(warden);
        waited
    }
}

/// A child that is waited for when this is dropped.
#[derive(Debug)]
struct Waited(Pid);

impl Waited {
    fn wait(&self) -> Result<(), Errno> {
        loop {
            match waitpid(Some(self.0), WaitOptions::empty()) {
                Ok(_) | Err(Errno::CHILD) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl Drop for Waited {
    fn drop(&mut self) {
        // A drop has nobody to tell; whoever wants to know calls `release`.
        let _ = self.wait();
    }
}
