//! Whose turn it is on a connection: ours while a request is worked on, the client's while it has to send or to take something.
//!
//! An answer is handed over in pieces, and each that is taken shows that the client is still there.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use crate::pieces::Pieces;

/// What is handed over of an answer at a time.
const PIECE: usize = 64 << 10;

/// Whose turn it is.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Of how many requests it is our turn.
    ours: usize,
    /// Since when nothing has happened.
    since: Instant,
}

/// A request that came in and was not answered whole yet.
#[derive(Debug)]
pub(crate) struct Work {
    activity: Arc<Activity>,
    is_ours: bool,
}

impl Activity {
    pub(crate) fn new() -> Activity {
        Activity { state: Mutex::new(State { ours: 0, since: Instant::now() }) }
    }

    /// A request has come, and it is our turn.
    pub(crate) fn begin(activity: &Arc<Activity>) -> Work {
        activity.state().ours += 1;
        Work { activity: Arc::clone(activity), is_ours: true }
    }

    /// How long the client has done nothing; none while there is something that we have to do.
    pub(crate) fn unused_for(&self) -> Option<Duration> {
        let state = self.state();
        (state.ours == 0).then(|| state.since.elapsed())
    }

    /// Begins to count anew.
    pub(crate) fn touch(&self) {
        self.state().since = Instant::now();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    fn is_ours(&mut self, ours: bool) {
        let mut state = self.activity.state();
        match (self.is_ours, ours) {
            (false, true) => state.ours += 1,
            (true, false) => state.ours -= 1,
            _ => {}
        }
        state.since = Instant::now();
        self.is_ours = ours;
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.is_ours(false);
    }
}

/// An answer on its way, piece by piece.
#[derive(Debug)]
pub(crate) struct Answering {
    body: Pieces,
    work: Work,
}

impl Answering {
    pub(crate) fn new(body: Body, mut work: Work) -> Answering {
        work.is_ours(false);
        Answering { body: Pieces::of(body, PIECE), work }
    }
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.work.is_ours(true);
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_ready() {
            self.work.is_ours(false);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn next(answering: &mut Answering) -> Option<usize> {
        let frame = poll_fn(|context| Pin::new(&mut *answering).poll_frame(context)).await?;
        frame.unwrap().into_data().ok().map(|data| data.len())
    }

    #[tokio::test]
    async fn while_a_request_is_worked_on_the_client_is_waited_for_by_nobody() {
        let activity = Arc::new(Activity::new());
        assert!(activity.unused_for().is_some());
        let work = Activity::begin(&activity);
        let other = Activity::begin(&activity);
        assert_eq!(activity.unused_for(), None);
        drop(other);
        assert_eq!(activity.unused_for(), None);
        drop(work);
        assert!(activity.unused_for().is_some());
    }

    #[tokio::test]
    async fn an_answer_is_handed_over_in_pieces_and_each_is_the_clients_turn() {
        let activity = Arc::new(Activity::new());
        let whole = vec![b'x'; PIECE * 2 + 1];
        let mut answering = Answering::new(Body::from(whole), Activity::begin(&activity));
        assert_eq!(answering.size_hint().exact(), Some(PIECE as u64 * 2 + 1));
        for length in [PIECE, PIECE, 1] {
            assert!(!answering.is_end_stream());
            assert!(activity.unused_for().is_some());
            assert_eq!(next(&mut answering).await, Some(length));
        }
        assert!(answering.is_end_stream());
        assert_eq!(next(&mut answering).await, None);
    }

    #[tokio::test]
    async fn an_answer_that_is_not_there_yet_is_our_turn() {
        let activity = Arc::new(Activity::new());
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let body = Body::new(Waiting(receiver));
        let mut answering = Answering::new(body, Activity::begin(&activity));
        let pending = poll_fn(|context| Poll::Ready(Pin::new(&mut answering).poll_frame(context).is_pending())).await;
        assert!(pending);
        assert_eq!(activity.unused_for(), None);
        drop(sender);
        assert_eq!(next(&mut answering).await, None);
        assert!(activity.unused_for().is_some());
    }

    /// Has nothing until its sender goes, and then ends.
    struct Waiting(tokio::sync::oneshot::Receiver<()>);

    impl HttpBody for Waiting {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
            Pin::new(&mut self.0).poll(context).map(|_| None)
        }
    }
}
