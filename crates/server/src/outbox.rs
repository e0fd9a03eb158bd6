//! Answers on their way: bounded together in memory, and let go of when nobody takes them.
//!
//! A client that reads nothing keeps its answer here, and one connection of HTTP/2 has many of these: whether it is in use tells
//! nothing about each. So an answer takes a share of a budget for as long as it is there, and goes out in pieces; of one of which no
//! piece was taken for too long, what is left is dropped, and the client sees it broken off. Where there are keys, nobody's answers
//! take more room than is left to others.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, interval};

use crate::admission::Owner;
use crate::answer::{Form, Refusing};
use crate::commons::{Commons, NoMore, Part};
use crate::gate;
use crate::pieces::Pieces;
use crate::visit::Visit;

/// What all answers may hold together.
const ALL: usize = 512 << 20;
/// What answers to nobody in particular may hold together: whoever has no key takes no room from others.
const ALL_OPEN: usize = 32 << 20;
/// What the budgets count in.
const UNIT: usize = 4 << 10;
/// What one holds whose length is not known before: a stream of events, or what compresses an answer.
const UNKNOWN: usize = 256 << 10;
/// How much goes out at once.
const PIECE: usize = 16 << 10;
/// How long a client may take nothing, at least: events can be as far from each other.
const PATIENCE: Duration = Duration::from_secs(45);
/// How often is looked who has.
const LOOK: Duration = Duration::from_secs(1);

/// All answers that are on their way.
#[derive(Debug)]
pub(crate) struct Outbox {
    all: Arc<Commons>,
    open: Arc<Commons>,
    within: Duration,
    on_their_way: Mutex<Vec<Weak<Mutex<Letter>>>>,
}

/// An answer, as long as somebody takes it.
#[derive(Debug)]
struct Letter {
    body: Option<Pieces>,
    taken: Instant,
    room: Option<Part>,
    /// The request that is answered by it.
    visit: Option<Visit>,
}

/// The end of an answer that the client has.
struct Going(Arc<Mutex<Letter>>);

impl Outbox {
    /// `within` is how long a client may have to wait for room.
    pub(crate) fn new(within: Duration) -> Arc<Outbox> {
        let outbox = Arc::new(Outbox {
            all: Commons::of(ALL / UNIT),
            open: Commons::of(ALL_OPEN / UNIT),
            within,
            on_their_way: Mutex::default(),
        });
        tokio::spawn(look_after(Arc::downgrade(&outbox)));
        outbox
    }

    async fn send(&self, is_open: bool, mut response: Response) -> Result<Response, NoMore> {
        let visit = response.extensions_mut().remove::<Visit>();
        let size = response.body().size_hint().exact().map_or(UNKNOWN, |size| usize::try_from(size).unwrap_or(ALL));
        if size == 0 {
            return Ok(response);
        }
        // Whoever was not let in is nobody in particular.
        let owner = visit.as_ref().map_or(Owner::NOBODY, |visit| visit.owner);
        let is_open = is_open || visit.is_none();
        let (budget, most) = if is_open { (&self.open, ALL_OPEN) } else { (&self.all, ALL) };
        // One that is larger than what anybody may have goes when its owner has no other.
        let most = if owner.bounds.shares { most / 2 } else { most };
        let mut room = budget.part(owner);
        room.grow_within(size.min(most).div_ceil(UNIT), self.within).await?;
        let (head, body) = response.into_parts();
        let body = Some(Pieces::of(body, PIECE));
        let letter = Arc::new(Mutex::new(Letter { body, taken: Instant::now(), room: Some(room), visit }));
        self.on_their_way.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&letter));
        Ok(Response::from_parts(head, Body::new(Going(letter))))
    }

    /// Lets go of those of which nothing was taken for too long.
    fn sweep(&self, patience: Duration) {
        let mut all = self.on_their_way.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|letter| {
            let Some(letter) = letter.upgrade() else { return false };
            let mut letter = opened(&letter);
            let is_late = patience <= letter.taken.elapsed();
            if is_late {
                (letter.body, letter.room, letter.visit) = (None, None, None);
            }
            !is_late
        });
    }
}

/// Holds an answer until it has been taken.
pub(crate) async fn hold(State(outbox): State<Arc<Outbox>>, request: Request<Body>, next: Next) -> Response {
    let path = request.uri().path();
    let (is_open, form) = (gate::is_open(path), Form::of(path));
    let response = next.run(request).await;
    outbox
        .send(is_open, response)
        .await
        .unwrap_or_else(|why| Refusing::from(why.refusal("bytes of answers")).into_response(form))
}

async fn look_after(outbox: Weak<Outbox>) {
    let mut moments = interval(LOOK);
    loop {
        moments.tick().await;
        let Some(outbox) = outbox.upgrade() else { return };
        outbox.sweep(outbox.within.max(PATIENCE));
    }
}

fn opened(letter: &Mutex<Letter>) -> MutexGuard<'_, Letter> {
    letter.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HttpBody for Going {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut letter = opened(&self.0);
        letter.taken = Instant::now();
        let Some(body) = &mut letter.body else {
            return Poll::Ready(Some(Err("nobody took it for too long".into())));
        };
        Pin::new(body).poll_frame(context).map_err(BoxError::from)
    }

    fn is_end_stream(&self) -> bool {
        opened(&self.0).body.as_ref().is_some_and(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        opened(&self.0).body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::caller::Caller;

    async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }

    fn answer(bytes: usize) -> Response {
        let visit = Visit::begin(&Commons::of(1), None, &Caller::everybody()).unwrap();
        let mut answer = Response::new(Body::from(vec![7; bytes]));
        answer.extensions_mut().insert(visit);
        answer
    }

    fn taken(outbox: &Outbox) -> usize {
        outbox.all.taken_by_all()
    }

    #[tokio::test]
    async fn an_answer_goes_out_whole_in_pieces_and_gives_its_share_back() {
        let outbox = Outbox::new(Duration::from_secs(1));
        let mut body = outbox.send(false, answer(PIECE * 2 + 5)).await.unwrap().into_body();
        assert_eq!(body.size_hint().exact(), Some(PIECE as u64 * 2 + 5));
        assert_eq!(taken(&outbox), (PIECE * 2 + 5).div_ceil(UNIT));
        let mut sizes = Vec::new();
        while !body.is_end_stream() {
            sizes.push(next(&mut body).await.unwrap().unwrap().len());
            assert_eq!(body.size_hint().exact(), Some((PIECE * 2 + 5 - sizes.iter().sum::<usize>()) as u64));
        }
        assert_eq!(sizes, [PIECE, PIECE, 5]);
        drop(body);
        assert_eq!(taken(&outbox), 0);
    }

    #[tokio::test]
    async fn one_that_nobody_takes_is_dropped_and_its_client_told() {
        let outbox = Outbox::new(Duration::from_secs(1));
        let mut body = outbox.send(false, answer(PIECE * 2)).await.unwrap().into_body();
        next(&mut body).await.unwrap().unwrap();
        outbox.sweep(Duration::from_secs(1));
        assert!(taken(&outbox) > 0);
        outbox.sweep(Duration::ZERO);
        assert_eq!(taken(&outbox), 0);
        assert!(next(&mut body).await.unwrap().is_err());
    }

    #[tokio::test]
    async fn who_has_no_key_takes_no_room_from_others_and_too_much_is_refused() {
        let outbox = Outbox::new(Duration::from_millis(10));
        let all: Vec<_> = [outbox.send(true, answer(ALL_OPEN)).await.unwrap()].into();
        assert!(outbox.send(true, answer(1)).await.is_err());
        assert!(outbox.send(false, answer(1)).await.is_ok());
        drop(all);
        assert!(outbox.send(true, answer(1)).await.is_ok());
        // Nor does who was not let in at all.
        let full = outbox.send(true, answer(ALL_OPEN)).await.unwrap();
        assert!(outbox.send(false, Response::new(Body::from("no"))).await.is_err());
        drop(full);
        // Larger than everything: when there is nothing else.
        let large = outbox.send(true, answer(ALL_OPEN + UNIT)).await.unwrap();
        assert!(outbox.send(true, answer(1)).await.is_err());
        drop(large);
    }
}
