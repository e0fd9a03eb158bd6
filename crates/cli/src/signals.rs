//! Ctrl-C and a polite kill end the job; a second one ends firebox.
//!
//! A thread waits on a socket that the signal handlers write to, and passes the word on to the engine. The second
//! signal does what it would have done without us: whoever is in a hurry is not made to wait, and the kernel and the
//! warden clear up after a firebox that is gone.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};

use firebox_engine::Canceller;
use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};

/// While it lives, signals cancel the job.
pub(crate) struct SignalWatch {
    registered: Vec<SigId>,
    thread: Option<JoinHandle<()>>,
}

impl SignalWatch {
    /// Starts watching. Not before privileges were dropped: credentials are each thread's own.
    pub(crate) fn start(canceller: Canceller) -> io::Result<SignalWatch> {
        let (mut heard, told) = UnixStream::pair()?;
        let seen = Arc::new(AtomicBool::new(false));
        let mut watch = SignalWatch { registered: Vec::new(), thread: None };
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag unset, sets it, and wakes the thread.
            let condition = Arc::clone(&seen);
            watch.registered.push(signal_hook::flag::register_conditional_default(signal, condition)?);
            watch.registered.push(signal_hook::flag::register(signal, Arc::clone(&seen))?);
            watch.registered.push(pipe::register(signal, told.try_clone()?)?);
        }
        drop(told);
        watch.thread = Some(thread::Builder::new().name("signals".to_owned()).spawn(move || {
            // An end without a byte is the watch being dropped.
            if matches!(heard.read(&mut [0]), Ok(1)) {
                // Failing means that it has been said already.
                let _ = canceller.cancel();
            }
        })?);
        Ok(watch)
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            unregister(id);
        }
        // The last writing end is closed now, so the thread has ended or is about to.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
