//! Threads that wait for what happens to a device on the host's side, while the guest runs.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;

use crate::virtio::Transport;

/// The threads, each for one device. Dropping this ends them.
pub(crate) struct Wakers {
    /// Written once, and read by nobody: then it is readable for all of them, for good.
    end: Arc<OwnedFd>,
    threads: Vec<JoinHandle<()>>,
    /// Of each, that it has begun; or it has ended.
    begun: Vec<Receiver<()>>,
}

impl Wakers {
    pub(crate) fn new() -> io::Result<Wakers> {
        Ok(Wakers { end: Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?), threads: Vec::new(), begun: Vec::new() })
    }

    /// Wakes this device whenever that descriptor is readable, in a thread that is confined as it says, or else has ended; and that first does this with it.
    pub(crate) fn start(
        &mut self,
        device: Arc<Mutex<Transport>>,
        wakes: Arc<OwnedFd>,
        confined: impl FnOnce() -> bool + Send + 'static,
        first: fn(&mut Transport),
    ) -> io::Result<()> {
        let end = self.end.clone();
        let (begins, begun) = channel();
        let body = move || {
            if !confined() {
                return;
            }
            first(&mut device.lock().unwrap_or_else(PoisonError::into_inner));
            // Nobody waits for it where the machine could not be started.
            _ = begins.send(());
            while let Next::Wake = wait(&wakes, &end) {
                device.lock().unwrap_or_else(PoisonError::into_inner).wake();
            }
        };
        self.threads.push(std::thread::Builder::new().name("waker".to_owned()).spawn(body)?);
        self.begun.push(begun);
        Ok(())
    }

    /// Waits until each has done what it does first, or has ended.
    pub(crate) fn have_begun(&self) {
        self.begun.iter().for_each(|begun| _ = begun.recv());
    }
}

enum Next {
    Wake,
    End,
}

fn wait(wakes: &OwnedFd, end: &OwnedFd) -> Next {
    let both =
        [PollFd::from_borrowed_fd(end.as_fd(), PollFlags::IN), PollFd::from_borrowed_fd(wakes.as_fd(), PollFlags::IN)];
    let mut waited = both;
    loop {
        match poll(&mut waited, None) {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            // Nothing could be waited for any more, and asking again would take all of a processor.
            Err(_) => return Next::End,
        }
    }
    let [end, _] = waited;
    if end.revents().is_empty() { Next::Wake } else { Next::End }
}

impl Drop for Wakers {
    fn drop(&mut self) {
        // It has room for one.
        _ = rustix::io::write(&*self.end, &1_u64.to_ne_bytes());
        for thread in self.threads.drain(..) {
            _ = thread.join();
        }
    }
}
