//! Whether a client has gone, said by the kernel and to whoever wants to know.
//!
//! Whoever serves HTTP/1 looks for the end of what comes only while nothing of it waits: a single byte behind a request, and a client
//! that leaves would not be noticed until its job has ended. The kernel says it all the same, unless so much lies unread that it does
//! not hear of the end itself. A job that runs on the connection's own thread hears it where it waits for its cell.

use std::future::pending;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use firebox_engine::Cancel;
use rustix::event::epoll;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Hears of the end of a connection, and reads nothing from it.
#[derive(Debug)]
pub(crate) struct Hangup {
    /// Readable once there is one.
    heard: Arc<OwnedFd>,
}

/// Where somebody waits for it.
#[derive(Debug)]
pub(crate) struct Listening(AsyncFd<Arc<OwnedFd>>);

impl Hangup {
    /// When the client sends no more on this, because it has closed or broken off.
    pub(crate) fn of(stream: impl AsFd) -> io::Result<Hangup> {
        let heard = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&heard, stream, epoll::EventData::new_u64(0), epoll::EventFlags::RDHUP)?;
        Ok(Hangup { heard: Arc::new(heard) })
    }

    /// Listens for it, with the runtime that we are on.
    pub(crate) fn listen(&self) -> io::Result<Listening> {
        #[expect(
            deprecated,
            reason = "sound for what owns its descriptor; what is new asks for `unsafe`, for what may not"
        )]
        AsyncFd::with_interest(Arc::clone(&self.heard), Interest::READABLE).map(Listening)
    }

    /// What a job listens to that nobody else can stop.
    pub(crate) fn cancel(&self) -> Cancel {
        Cancel::when_readable(Arc::clone(&self.heard))
    }
}

impl Listening {
    /// Returns when it has come.
    pub(crate) async fn came(&self) {
        match self.0.readable().await {
            Ok(mut ready) => ready.retain_ready(),
            // The runtime ends.
            Err(_) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;

    fn is_heard_by_a_job(hangup: &Hangup) -> bool {
        let mut fds = [PollFd::new(&hangup.heard, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[tokio::test]
    async fn the_end_is_heard_over_whatever_lies_unread() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let hangup = Hangup::of(&stream).unwrap();
        let listening = hangup.listen().unwrap();
        for _ in 0..3 {
            client.write_all(b"unread").await.unwrap();
            assert!(timeout(Duration::from_millis(20), listening.came()).await.is_err());
            assert!(!is_heard_by_a_job(&hangup));
        }
        drop(client);
        for _ in 0..2 {
            timeout(Duration::from_secs(10), listening.came()).await.unwrap();
            assert!(is_heard_by_a_job(&hangup));
        }
    }
}
