//! A job's output as it comes: server-sent events, and the outcome as the last of them.
//!
//! ```text
//! event: output    data: {"step": "run", "stream": "stdout", "text": "…"}     (or "base64", of bytes that are no text)
//! event: outcome   data: what a client without events would get
//! event: error     data: the same, when there is no outcome, in the form of the address
//! ```

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use firebox_api::OutputEvent;
use firebox_job::Outcome;
use futures_core::Stream;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::answer::{Form, Refusing};
use crate::output::Output;
use crate::running::Thread;
use crate::service::{Admitted, Service};

/// How often a client hears something, so that nothing between us takes the connection for dead.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// How many events may be on their way to a client.
const ON_THEIR_WAY: usize = 4;

/// Answers with events.
pub(crate) fn stream(service: Arc<Service>, admitted: Admitted, form: Form) -> Response {
    let detail = admitted.detail;
    answer(|sender| async move {
        let output = Output::default();
        let Some(done) = run(&service, admitted, &output, &sender).await else { return };
        let last = match done {
            Ok(outcome) => event("outcome", &firebox_api::Response::new(outcome, detail)),
            Err(refusing) => {
                service.metrics.refused(refusing.refusal.code);
                event("error", &refusing.value(form))
            }
        };
        // What fails here fails because the client has gone.
        if tell(&output, Output::take_rest, &sender).await.is_ok() {
            let _ = sender.send(last).await;
        }
    })
}

/// Answers with the events that are told. That is a task of its own: a client that takes nothing of its answer has nothing wait.
pub(crate) fn answer<T: Future<Output = ()> + Send + 'static>(tell: impl FnOnce(Sender<Event>) -> T) -> Response {
    let (sender, receiver) = channel(ON_THEIR_WAY);
    let telling = tokio::spawn(tell(sender).in_current_span());
    let events = Events { receiver, telling };
    Sse::new(events).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE)).into_response()
}

/// Runs the job, and tells meanwhile what it writes. None when the client has gone, and the job with it.
async fn run(
    service: &Arc<Service>,
    admitted: Admitted,
    output: &Output,
    sender: &Sender<Event>,
) -> Option<Result<Outcome, Refusing>> {
    let mut running = pin!(service.run(admitted, output.clone(), Thread::Another));
    let mut telling = pin!(async {
        loop {
            output.written().await;
            if tell(output, Output::take, sender).await.is_err() {
                return;
            }
        }
    });
    tokio::select! {
        done = &mut running => Some(done),
        () = &mut telling => None,
        () = sender.closed() => None,
    }
}

/// Tells what was written, a piece whenever there is room for one: what finds none stays where it is, and comes together
/// with what is written after it.
async fn tell(
    output: &Output,
    take: impl Fn(&Output, usize) -> Vec<OutputEvent>,
    sender: &Sender<Event>,
) -> Result<(), SendError<()>> {
    loop {
        let room = sender.reserve().await?;
        match take(output, 1).pop() {
            Some(piece) => room.send(event("output", &piece)),
            None => return Ok(()),
        }
    }
}

/// The events as they come. With the answer, the telling goes, and a job with it that nobody else waits for.
struct Events {
    receiver: Receiver<Event>,
    telling: JoinHandle<()>,
}

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context).map(|event| event.map(Ok))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.telling.abort();
    }
}

fn event(name: &str, data: &impl serde::Serialize) -> Event {
    // What we serialise has no map with keys that are no texts, which is all that could go wrong.
    Event::default().event(name).json_data(data).unwrap_or_else(|_| Event::default().event("error"))
}
