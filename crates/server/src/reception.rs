//! Where connections are taken in: how many there may be, and what each of them gets.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{interval, sleep};
use tracing::warn;

use crate::Tls;
use crate::connection::{Hangup, Lanes, Manners, Taken};

/// How long to leave a listener alone that cannot take a connection, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the others hear of somebody who waits for a connection.
const REMINDER: Duration = Duration::from_millis(100);

/// Takes connections in.
pub(crate) struct Reception {
    pub(crate) places: Places,
    pub(crate) manners: Manners,
    pub(crate) router: Router,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) lanes: Arc<Lanes>,
}

impl Reception {
    /// Takes whoever comes, for as long as this is awaited. Whoever finds no place waits, and the next in the kernel's own queue.
    pub(crate) async fn open(&self, listener: &TcpListener) {
        loop {
            let taken = match listener.accept().await {
                Ok((stream, _)) => self.take(stream, self.places.one().await),
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                warn!(%error, "cannot take a connection");
                sleep(PAUSE).await;
            }
        }
    }

    /// Takes whoever is connected already, as far as there are places, and nobody after: the kernel breaks off, in the middle of what
    /// they say, the connections that nobody has taken when the listener goes.
    pub(crate) fn close(&self, listener: TcpListener) -> io::Result<()> {
        let listener = listener.into_std()?;
        while let Some(place) = self.places.one_now() {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            self.take(TcpStream::from_std(stream)?, Some(place))?;
        }
        Ok(())
    }

    fn take(&self, stream: TcpStream, place: Option<OwnedSemaphorePermit>) -> io::Result<()> {
        let hangup = Hangup::of(&stream)?;
        // An answer is written at once, and waits for no acknowledgement.
        let _ = stream.set_nodelay(true);
        let taken = Taken { stream, hangup, manners: self.manners.clone(), router: self.router.clone(), place };
        tokio::spawn(taken.attend(self.tls.as_ref().map(|tls| tls.acceptor()), Arc::clone(&self.lanes)));
        Ok(())
    }
}

/// How many connections there may be, and what is done when there are as many.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    most: u32,
    crowded: Arc<Notify>,
}

impl Places {
    pub(crate) fn new(most: usize) -> Places {
        let most =
            u32::try_from(most).unwrap_or(u32::MAX).min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        Places { free: Arc::new(Semaphore::new(most as usize)), most, crowded: Arc::default() }
    }

    /// Tells who has a place and does not use it that somebody waits for one.
    pub(crate) fn crowded(&self) -> Arc<Notify> {
        Arc::clone(&self.crowded)
    }

    /// Waits for a place for a connection; those that are unused make room.
    async fn one(&self) -> Option<OwnedSemaphorePermit> {
        let mut place = pin!(Arc::clone(&self.free).acquire_owned());
        let mut reminders = interval(REMINDER);
        loop {
            tokio::select! {
                biased;
                place = &mut place => return place.ok(),
                _ = reminders.tick() => self.crowded.notify_waiters(),
            }
        }
    }

    fn one_now(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// Returns when there is no connection left.
    pub(crate) async fn all_free(&self) {
        // It is never closed.
        let _ = self.free.acquire_many(self.most).await;
    }
}
