//! One connection: which version of HTTP is spoken on it, and when it has lasted long enough.
//!
//! ```text
//! taken --first bytes--> version known --> requests and answers --asked to end, or nothing happens--> ending --> closed
//! ```
//!
//! Whoever sends nothing, half of anything, or takes nothing of what is sent to it is let go after a time; and sooner when
//! others wait for a connection. A connection on which *we* have something to do is left alone, unless its client has gone.

mod activity;
mod hangup;
mod lanes;
mod prefixed;
mod taken;

use std::future::{pending, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use firebox_engine::Cancel;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{interval, sleep, timeout};
use tower::ServiceExt;

use activity::{Activity, Answering};
pub(crate) use hangup::Hangup;
use hangup::Listening;
pub(crate) use lanes::Lanes;
use prefixed::Prefixed;
pub(crate) use taken::Taken;

use crate::afterwards::{PutOff, Reminder};
use crate::execute;
use crate::visit::Seat;

/// What a head may hold, all its lines together.
const HEAD_BYTES: usize = 64 << 10;
/// How many requests one connection of HTTP/2 may have on their way.
const STREAMS: u32 = 128;
/// With this a client begins that speaks HTTP/2, and no other.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a connection may be unused when others wait for one.
const UNUSED_WHEN_CROWDED: Duration = Duration::from_secs(1);
/// How soon a connection is looked at whose client has gone, and ever less often as long as it takes an answer.
const GONE_FOR: Duration = Duration::from_millis(20);
/// How often a connection is looked at, in parts of the time it may be unused.
const LOOKS: u32 = 4;

/// What all connections have in common.
#[derive(Debug, Clone)]
pub(crate) struct Manners {
    /// How long a client may take for whatever is its turn.
    pub(crate) within: Duration,
    /// Told when somebody waits for a connection and all are taken.
    pub(crate) crowded: Arc<Notify>,
    /// Said when whatever still goes on is to stop.
    pub(crate) everything: Cancel,
    /// Becomes true when no more requests are to be taken.
    pub(crate) closing: watch::Receiver<bool>,
}

/// Goes along with a request for which its connection waits: until it is answered, whoever has the connection may do nothing else.
#[derive(Debug, Clone)]
pub(crate) struct Alone {
    /// Said when nobody waits for the answer any more.
    pub(crate) cancel: Cancel,
    /// What is done when the answer is on its way.
    pub(crate) put_off: PutOff,
}

/// Why a connection ended, other than by both sides being through with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    /// The client did nothing, and it was its turn.
    #[error("the client did nothing for too long")]
    Unused,
    /// Whatever the client sent was not HTTP, or it went away in the middle.
    #[error("the connection broke off")]
    Http(#[from] hyper::Error),
    /// There was an end before there was a beginning.
    #[error("nothing came")]
    Io(#[from] io::Error),
}

/// What a client has said first.
#[derive(Debug)]
pub(crate) struct Opening(Vec<u8>);

impl Opening {
    /// Waits for it. None when nothing comes any more, or nothing more is wanted.
    pub(crate) async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        manners: &Manners,
    ) -> Result<Option<Opening>, Ended> {
        let first = beginning(first_bytes(stream), manners).await?;
        Ok(first.filter(|first| !first.is_empty()).map(Opening))
    }

    /// Whether many requests at a time will come.
    pub(crate) fn is_two(&self) -> bool {
        self.0 == PREFACE
    }
}

/// Whose threads work on requests.
#[derive(Debug, Clone)]
pub(crate) enum Workers {
    /// The runtime's that we are on, whatever it is.
    Here,
    /// We are on a thread that has this connection alone: what is not done there, or may go on longer, is for these.
    Elsewhere(Handle),
}

/// Serves a connection, as long as it lasts.
pub(crate) async fn attend<S>(
    opening: Opening,
    stream: S,
    hangup: Hangup,
    manners: Manners,
    router: Router,
    workers: Workers,
) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let is_two = opening.is_two();
    let stream = TokioIo::new(Prefixed::new(opening.0, stream));
    let activity = Arc::new(Activity::new());
    let (here, seat) = (Arc::clone(&activity), Seat::default());
    let put_off = PutOff::default();
    let alone = (!is_two).then(|| Alone { cancel: hangup.cancel().or(&manners.everything), put_off: put_off.clone() });
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(seat.clone());
        let is_done_alone = execute::waits_for_its_outcome(&request);
        if let Some(alone) = alone.as_ref().filter(|_| is_done_alone) {
            request.extensions_mut().insert(alone.clone());
        }
        let (router, workers) = (router.clone(), workers.clone());
        let work = Activity::begin(&here);
        async move {
            let answer = match workers {
                Workers::Elsewhere(runtime) if !is_done_alone => {
                    // A set of one, because whoever drops it ends what is in it: that is what happens when the client leaves.
                    let mut answering = JoinSet::new();
                    answering.spawn_on(router.oneshot(request), &runtime);
                    match answering.join_next().await {
                        Some(answer) => answer?,
                        None => pending().await,
                    }
                }
                _ => router.oneshot(request).await,
            };
            let answer = answer.unwrap_or_else(|never| match never {});
            Ok::<_, JoinError>(answer.map(|body| Answering::new(body, work)))
        }
    });
    let hangup = hangup.listen()?;
    if is_two {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_header_list_size(HEAD_BYTES as u32)
            .max_concurrent_streams(STREAMS)
            .keep_alive_interval(manners.within)
            .keep_alive_timeout(manners.within);
        watch_over(builder.serve_connection(stream, service), &hangup, &activity, put_off, manners).await
    } else {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(manners.within).max_buf_size(HEAD_BYTES);
        watch_over(builder.serve_connection(stream, service), &hangup, &activity, put_off, manners).await
    }
}

/// Waits for what a client begins with, no longer than it may take for that; none when no more is wanted of it.
pub(crate) async fn beginning<T>(
    first: impl Future<Output = io::Result<T>>,
    manners: &Manners,
) -> Result<Option<T>, Ended> {
    let mut closing = manners.closing.clone();
    tokio::select! {
        // What has come while we had no time to look came in time.
        biased;
        first = timeout(manners.within, first) => Ok(Some(first.map_err(|_| Ended::Unused)??)),
        () = crowded_out(&manners.crowded) => Err(Ended::Unused),
        // It has said nothing yet that would have to be answered.
        _ = closing.wait_for(|closing| *closing) => Ok(None),
    }
}

/// As many bytes as it takes to know which version is spoken; none when the client has gone.
async fn first_bytes(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut first = [0; PREFACE.len()];
    let mut length = 0;
    while length < first.len() && PREFACE.starts_with(&first[..length]) {
        match stream.read(&mut first[length..]).await? {
            0 => break,
            more => length += more,
        }
    }
    Ok(first[..length].to_vec())
}

/// Returns when somebody has been waiting for a connection for a while.
async fn crowded_out(crowded: &Notify) {
    sleep(UNUSED_WHEN_CROWDED).await;
    crowded.notified().await;
}

async fn watch_over<C>(
    connection: C,
    hangup: &Listening,
    activity: &Activity,
    put_off: PutOff,
    manners: Manners,
) -> Result<(), Ended>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let Manners { within, crowded, mut closing, everything: _ } = manners;
    let (mut connection, mut reminder) = (pin!(connection), Reminder::of(put_off));
    let mut looks = interval((within / LOOKS).max(Duration::from_millis(1)));
    let (mut ending, mut gone) = (false, false);
    loop {
        let may_be_unused = tokio::select! {
            // A request that came while we had no time to look has come before anything else.
            biased;
            done = poll_fn(|context| {
                let polled = connection.as_mut().poll(context);
                reminder.poll(context);
                polled
            }) => return Ok(done?),
            () = hangup.came(), if !gone => {
                gone = true;
                continue;
            }
            // What it sent last may not have been read yet, and may be a request.
            () = sleep(GONE_FOR.max(activity.unused_for().unwrap_or_default() / LOOKS)), if gone => match activity.unused_for() {
                Some(unused) if unused < within => continue,
                _ => return Ok(()),
            },
            _ = closing.wait_for(|closing| *closing), if !ending => {
                connection.as_mut().graceful_shutdown();
                ending = true;
                continue;
            }
            _ = looks.tick() => within,
            () = crowded.notified() => within.min(UNUSED_WHEN_CROWDED),
        };
        match activity.unused_for() {
            Some(unused) if may_be_unused <= unused && !ending => {
                // A polite word first: a client of HTTP/2 hears that it has to connect anew.
                connection.as_mut().graceful_shutdown();
                ending = true;
                activity.touch();
            }
            Some(unused) if may_be_unused <= unused => return Err(Ended::Unused),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn first(sent: &[u8]) -> Vec<u8> {
        first_bytes(&mut &sent[..]).await.unwrap()
    }

    #[tokio::test]
    async fn the_first_bytes_say_which_version_is_spoken() {
        assert_eq!(first(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore").await, PREFACE);
        assert_ne!(first(b"PRI * HTTP/1.1\r\n\r\n").await, PREFACE);
        assert_eq!(first(b"").await, b"");
        let head = first(b"POST / HTTP/1.1\r\n\r\n").await;
        assert!(!head.is_empty() && b"POST / HTTP/1.1\r\n\r\n".starts_with(&head));
    }
}
