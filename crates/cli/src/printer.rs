//! The thread that writes a job's output while the job runs.
//!
//! The engine keeps the time, so it must never wait for whoever reads our output: a pager that is not scrolled would
//! stop the clock. What the engine hands over is queued and written from a thread of its own. The queue is bounded by
//! what a job may put out, because the engine hands over no more than the output limit keeps.
//!
//! ```text
//! engine --chunks--> printer thread --> standard output, standard error
//!                         | reader gone, or disk full
//!                         +--> cancels the job
//! ```
//!
//! The thread is joined by [`Printer::finish`], and started only after privileges were dropped: credentials are each
//! thread's own.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use firebox_engine::{Canceller, Stream};

use crate::failure::Failure;
use crate::outlet;

type Chunk = (Stream, Vec<u8>);

/// Writes what it is given, in order.
pub(crate) struct Printer {
    chunks: Sender<Chunk>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Printer {
    /// Starts the thread. It cancels the job when its output can no longer be written.
    pub(crate) fn start(canceller: Canceller) -> io::Result<Printer> {
        let (chunks, incoming) = channel();
        let thread = thread::Builder::new().name("printer".to_owned()).spawn(move || {
            let written = write_out(&incoming);
            if written.is_err() {
                // The failure is told by whoever joins us. A job that cannot be cancelled runs into its own limits.
                let _ = canceller.cancel();
            }
            written
        })?;
        Ok(Printer { chunks, thread })
    }

    /// Hands over some bytes, without waiting.
    pub(crate) fn write(&self, stream: Stream, bytes: &[u8]) {
        // The thread has ended when writing failed; then nobody wants the rest either.
        let _ = self.chunks.send((stream, bytes.to_vec()));
    }

    /// Waits until everything is written.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let Printer { chunks, thread } = self;
        drop(chunks);
        thread.join().unwrap_or_else(|_| Err(Failure::host(anyhow::anyhow!("the printer thread ended early"))))
    }
}

fn write_out(incoming: &Receiver<Chunk>) -> Result<(), Failure> {
    for (stream, bytes) in incoming {
        let (fd, name) = match stream {
            Stream::Stdout => (rustix::stdio::stdout(), "standard output"),
            Stream::Stderr => (rustix::stdio::stderr(), "standard error"),
        };
        outlet::write_all(fd, &bytes).map_err(|error| outlet::failed(name, error))?;
    }
    Ok(())
}
