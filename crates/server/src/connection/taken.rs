//! A connection, and on whose thread it is attended to.

use std::sync::Arc;

use axum::Router;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::{Ended, Hangup, Lanes, Manners, Opening, Workers, attend, beginning};
use crate::answer::in_one_line;

/// A connection that was taken.
pub(crate) struct Taken {
    pub(crate) stream: TcpStream,
    pub(crate) hangup: Hangup,
    pub(crate) manners: Manners,
    pub(crate) router: Router,
    /// Its place among all connections.
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

impl Taken {
    /// Serves it, on a thread of its own if there is one: whoever speaks HTTP/1 in the clear gets it as soon as it has spoken.
    pub(crate) async fn attend(mut self, tls: Option<TlsAcceptor>, lanes: Arc<Lanes>) {
        let ended = match tls {
            Some(tls) => self.attend_in_secret(&tls).await,
            None => match Opening::read(&mut self.stream, &self.manners).await {
                Ok(None) => Ok(()),
                Ok(Some(opening)) if opening.is_two() => self.attend_to(opening, Workers::Here).await,
                Ok(Some(opening)) => {
                    let runtime = Handle::current();
                    let attend = |(taken, opening): (Taken, Opening)| async move {
                        note(taken.attend_alone(opening, runtime).await);
                    };
                    match lanes.take((self, opening), attend) {
                        Ok(()) => Ok(()),
                        Err((taken, opening)) => taken.attend_to(opening, Workers::Here).await,
                    }
                }
                Err(ended) => Err(ended),
            },
        };
        note(ended);
    }

    async fn attend_in_secret(self, tls: &TlsAcceptor) -> Result<(), Ended> {
        let Taken { stream, hangup, manners, router, place: _place } = self;
        let Some(mut stream) = beginning(tls.accept(stream), &manners).await? else { return Ok(()) };
        let Some(opening) = Opening::read(&mut stream, &manners).await? else { return Ok(()) };
        attend(opening, stream, hangup, manners, router, Workers::Here).await
    }

    /// On a thread that has nothing else to do, and where what comes is heard of by nobody else.
    async fn attend_alone(mut self, opening: Opening, runtime: Handle) -> Result<(), Ended> {
        self.stream = TcpStream::from_std(self.stream.into_std()?)?;
        self.attend_to(opening, Workers::Elsewhere(runtime)).await
    }

    async fn attend_to(self, opening: Opening, workers: Workers) -> Result<(), Ended> {
        let Taken { stream, hangup, manners, router, place: _place } = self;
        attend(opening, stream, hangup, manners, router, workers).await
    }
}

fn note(ended: Result<(), Ended>) {
    if let Err(error) = ended {
        debug!(error = in_one_line(&error), "a connection ended early");
    }
}
