//! Reads a descriptor for a job in a thread of its own, a chunk at a time and only when asked.
//!
//! In a thread, because nothing that can block may stand in the loop that keeps a job's time: whoever else reads the
//! same pipe can take away what `poll` has just announced, and then a read waits. The thread owns nothing but the
//! descriptor. It ends when its reader is dropped; in the one case that it is stuck in a read at that moment, with
//! the next byte or the process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use crate::input::CHUNK;

/// How often to look whether a terminal is ours again. There is no event for that.
const BACKGROUND: Duration = Duration::from_millis(200);

/// A descriptor that is read elsewhere.
pub(crate) struct Reader {
    wanted: Sender<()>,
    chunks: Receiver<Vec<u8>>,
    /// Readable when a chunk is there.
    ready: Arc<OwnedFd>,
    /// Readable when nobody wants any more.
    stop: Arc<OwnedFd>,
}

/// The thread's side.
struct Source {
    fd: OwnedFd,
    wanted: Receiver<()>,
    chunks: Sender<Vec<u8>>,
    ready: Arc<OwnedFd>,
    stop: Arc<OwnedFd>,
}

impl Reader {
    /// Starts the thread. Nothing is read before it is wanted.
    pub(crate) fn start(fd: OwnedFd) -> io::Result<Reader> {
        let event = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map(Arc::new);
        let (ready, stop) = (event()?, event()?);
        let (want, wanted) = channel();
        let (give, chunks) = channel();
        let source = Source { fd, wanted, chunks: give, ready: Arc::clone(&ready), stop: Arc::clone(&stop) };
        thread::Builder::new().name("stdin".to_owned()).spawn(move || source.serve())?;
        Ok(Reader { wanted: want, chunks, ready, stop })
    }

    /// Asks for the next chunk.
    pub(crate) fn want(&self) {
        // A thread that is gone has said so with an empty chunk.
        let _ = self.wanted.send(());
    }

    /// What to wait for.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }

    /// The chunk that was asked for, if it has come; an empty one is the last.
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        let _ = rustix::io::read(&*self.ready, &mut [0; 8]);
        self.chunks.try_recv().ok()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Not joined: see the top of this file.
        let _ = rustix::io::write(&*self.stop, &1u64.to_ne_bytes());
    }
}

impl Source {
    fn serve(self) {
        while self.wanted.recv().is_ok() {
            let Some(chunk) = self.next() else { return };
            let last = chunk.is_empty();
            if self.chunks.send(chunk).is_err() || last {
                let _ = rustix::io::write(&*self.ready, &1u64.to_ne_bytes());
                return;
            }
            let _ = rustix::io::write(&*self.ready, &1u64.to_ne_bytes());
        }
    }

    /// The next chunk, empty at the end; none when nobody wants it any more.
    fn next(&self) -> Option<Vec<u8>> {
        let mut chunk = vec![0; CHUNK];
        loop {
            if self.is_anothers_terminal() {
                if self.wait(&self.stop, PollFlags::IN, Some(BACKGROUND)) {
                    return None;
                }
                continue;
            }
            let mut fds = [
                PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.fd.as_fd(), PollFlags::IN),
            ];
            let polled = poll(&mut fds, None);
            if !fds[0].revents().is_empty() {
                return None;
            }
            if polled == Err(Errno::INTR) {
                continue;
            }
            match rustix::io::read(&self.fd, chunk.as_mut_slice()) {
                Ok(read) => {
                    chunk.truncate(read);
                    return Some(chunk);
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                // A terminal that was taken from us between the question and the read.
                Err(Errno::IO) if self.is_anothers_terminal() => {}
                // An input that cannot be read is at its end, as for any program whose terminal is gone.
                Err(_) => return Some(Vec::new()),
            }
        }
    }

    /// Whether it is a terminal and somebody else is in its foreground: what is typed there is not for us.
    fn is_anothers_terminal(&self) -> bool {
        rustix::termios::tcgetpgrp(&self.fd).is_ok_and(|foreground| foreground != rustix::process::getpgrp())
    }

    fn wait(&self, fd: &OwnedFd, events: PollFlags, most: Option<Duration>) -> bool {
        let most = most.and_then(|most| Timespec::try_from(most).ok());
        poll(&mut [PollFd::new(fd, events)], most.as_ref()).is_ok_and(|ready| ready != 0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Instant;

    use super::*;

    fn await_chunk(reader: &Reader) -> Vec<u8> {
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            poll(
                &mut [PollFd::from_borrowed_fd(reader.as_fd(), PollFlags::IN)],
                Some(&Timespec { tv_sec: 1, tv_nsec: 0 }),
            )
            .unwrap();
            if let Some(chunk) = reader.take() {
                return chunk;
            }
            assert!(Instant::now() < until, "no chunk came");
        }
    }

    #[test]
    fn what_is_written_comes_and_then_the_end() {
        let (read, mut write) = io::pipe().unwrap();
        let reader = Reader::start(read.into()).unwrap();
        reader.want();
        write.write_all(b"hello").unwrap();
        assert_eq!(await_chunk(&reader), b"hello");
        drop(write);
        reader.want();
        assert_eq!(await_chunk(&reader), b"");
    }

    #[test]
    fn nothing_is_read_before_it_is_wanted_nor_after_the_end() {
        let (read, mut write) = io::pipe().unwrap();
        let ours = read.try_clone().unwrap();
        let reader = Reader::start(read.into()).unwrap();
        write.write_all(b"for somebody else").unwrap();
        drop(reader);
        let mut left = [0; 17];
        io::Read::read_exact(&mut &ours, &mut left).unwrap();
        assert_eq!(&left, b"for somebody else");
    }
}
