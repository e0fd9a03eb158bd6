//! Whether a client has gone, also where something that it sent before lies unread.
//!
//! Whoever serves HTTP/1 looks for the end of what comes only while nothing of it waits: a single byte behind a request, and a client
//! that leaves would not be noticed until its job has ended. The kernel says it all the same, unless so much lies unread that it does
//! not hear of the end itself.

use std::future::pending;
use std::io;
use std::net::TcpStream as StdStream;
use std::os::fd::AsFd;

use tokio::io::Interest;
use tokio::net::TcpStream;

/// Hears of the end of a connection, and reads nothing from it.
#[derive(Debug)]
pub(crate) struct Hangup(TcpStream);

impl Hangup {
    /// It has a descriptor of its own, since the stream's is read by others.
    pub(crate) fn of(stream: &TcpStream) -> io::Result<Hangup> {
        TcpStream::from_std(StdStream::from(stream.as_fd().try_clone_to_owned()?)).map(Hangup)
    }

    /// Returns when the client sends no more: it has closed, or broken off.
    pub(crate) async fn came(&self) {
        while let Ok(ready) = self.0.ready(Interest::READABLE).await {
            if ready.is_read_closed() {
                return;
            }
            // What has come is for others to read. We ask to be told when there is more.
            let _ = self.0.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
        // The runtime ends.
        pending().await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_end_is_heard_over_whatever_lies_unread() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let hangup = Hangup::of(&stream).unwrap();
        for _ in 0..3 {
            client.write_all(b"unread").await.unwrap();
            assert!(timeout(Duration::from_millis(20), hangup.came()).await.is_err());
        }
        drop(client);
        timeout(Duration::from_secs(10), hangup.came()).await.unwrap();
    }
}
