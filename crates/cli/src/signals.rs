//! Ctrl-C and a polite kill end the job; a second one ends firebox.
//!
//! A thread waits on a socket that the signal handlers write to, and passes the word on to the engine. The second
//! signal does what it would have done without us: whoever is in a hurry is not made to wait, and the kernel and the
//! warden clear up after a firebox that is gone.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use firebox_engine::Canceller;
use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};

/// A signal that takes a job back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// SIGINT.
    CtrlC,
    /// SIGTERM.
    Sigterm,
}

impl StopSignal {
    const ALL: [StopSignal; 2] = [StopSignal::CtrlC, StopSignal::Sigterm];

    fn number(self) -> i32 {
        match self {
            StopSignal::CtrlC => SIGINT,
            StopSignal::Sigterm => SIGTERM,
        }
    }
}

/// While it lives, signals cancel the job.
pub(crate) struct SignalWatch {
    registered: Vec<SigId>,
    thread: Option<JoinHandle<()>>,
    /// The number of the signal that came; zero before.
    came: Arc<AtomicUsize>,
}

impl SignalWatch {
    /// Starts watching. Not before privileges were dropped: credentials are each thread's own.
    pub(crate) fn start(canceller: Canceller) -> io::Result<SignalWatch> {
        let (mut heard, told) = UnixStream::pair()?;
        let seen = Arc::new(AtomicBool::new(false));
        let came = Arc::new(AtomicUsize::new(0));
        let mut watch = SignalWatch { registered: Vec::new(), thread: None, came: Arc::clone(&came) };
        for signal in StopSignal::ALL.map(StopSignal::number) {
            // In this order: the first signal finds the flag unset, sets it, says which it is, and wakes the thread.
            let condition = Arc::clone(&seen);
            watch.registered.push(signal_hook::flag::register_conditional_default(signal, condition)?);
            watch.registered.push(signal_hook::flag::register(signal, Arc::clone(&seen))?);
            let number = usize::try_from(signal).unwrap_or(0);
            watch.registered.push(signal_hook::flag::register_usize(signal, Arc::clone(&came), number)?);
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

    /// The signal that came, if one did.
    pub(crate) fn came(&self) -> Option<StopSignal> {
        let came = self.came.load(Ordering::SeqCst);
        StopSignal::ALL.into_iter().find(|signal| usize::try_from(signal.number()) == Ok(came))
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
