//! A job's output as it comes: server-sent events, and the outcome as the last of them.
//!
//! ```text
//! event: output    data: {"step": "run", "stream": "stdout", "text": "…"}     (or "base64", of bytes that are no text)
//! event: outcome   data: what a client without events would get
//! event: error     data: the same, when there is no outcome, in the form of the address
//! ```

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use firebox_api::OutputEvent;
use firebox_engine::{Sink, Stream};
use firebox_job::StepKind;
use futures_core::Stream as Events;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::Instrument;

use crate::answer::Form;
use crate::service::{Admitted, Service};

/// How often a client hears something, so that nothing between us takes the connection for dead.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Answers with events.
pub(crate) fn stream(service: Arc<Service>, admitted: Admitted, form: Form) -> Response {
    // Not bounded by its length but by its content: a job's output has a limit, and what is beyond that never comes here.
    let (sender, receiver) = unbounded_channel();
    let detail = admitted.detail;
    let work = async move {
        let sink = Telling { sender: sender.clone(), held: Held::default() };
        let last = match service.run(admitted, sink).await {
            Ok(outcome) => event("outcome", &firebox_api::Response::new(outcome, detail)),
            Err(refusing) => {
                service.metrics.refused(refusing.refusal.code);
                event("error", &refusing.value(form))
            }
        };
        // The client has gone, and this is about to be dropped.
        let _ = sender.send(last);
    };
    // It is worked on when the answer has begun, and is still this request's.
    let work = work.in_current_span();
    let events = Working { work: Some(Box::pin(work)), receiver };
    Sse::new(events).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE)).into_response()
}

/// The job and its events in one: dropping it cancels the job.
struct Working<F> {
    work: Option<std::pin::Pin<Box<F>>>,
    receiver: UnboundedReceiver<Event>,
}

impl<F: Future<Output = ()>> Events for Working<F> {
    type Item = Result<Event, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        if let Some(work) = &mut self.work
            && work.as_mut().poll(context).is_ready()
        {
            // With it the last sender goes, which ends the events.
            self.work = None;
        }
        self.receiver.poll_recv(context).map(|event| event.map(Ok))
    }
}

/// Tells a client of output. No character is cut: the beginning of one waits for its rest, or for the end.
struct Telling {
    sender: UnboundedSender<Event>,
    held: Held,
}

/// The bytes at the end of each stream of a step that may be the beginning of a character.
#[derive(Default)]
struct Held {
    step: Option<StepKind>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Telling {
    fn say(&self, step: StepKind, stream: Stream, bytes: Vec<u8>) {
        // The receiver goes before the job only when the client has gone, and then the job is cancelled.
        let _ = self.sender.send(event("output", &OutputEvent::new(step, name(stream), bytes)));
    }

    /// Whatever was held back is all there is.
    fn let_go(&mut self) {
        let Held { step, stdout, stderr } = std::mem::take(&mut self.held);
        for (stream, bytes) in [(Stream::Stdout, stdout), (Stream::Stderr, stderr)] {
            if let (Some(step), false) = (step, bytes.is_empty()) {
                self.say(step, stream, bytes);
            }
        }
    }
}

impl Sink for Telling {
    fn output(&mut self, step: StepKind, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        if self.held.step != Some(step) {
            self.let_go();
            self.held.step = Some(step);
        }
        let held = match stream {
            Stream::Stdout => &mut self.held.stdout,
            Stream::Stderr => &mut self.held.stderr,
        };
        held.extend_from_slice(bytes);
        let whole = held.len() - unfinished(held);
        let said: Vec<u8> = held.drain(..whole).collect();
        if !said.is_empty() {
            self.say(step, stream, said);
        }
        Ok(())
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// What a stream is called.
pub(crate) fn name(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    }
}

/// How many bytes at the end are the beginning of a character that has not come whole.
pub(crate) fn unfinished(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        // Bytes before it that are no text do not make what is at the end complete.
        Err(_) => {
            let tail = &bytes[bytes.len().saturating_sub(3)..];
            let start = tail.iter().rposition(|byte| byte & 0xC0 == 0xC0);
            start.map_or(0, |start| match std::str::from_utf8(&tail[start..]) {
                Err(error) if error.error_len().is_none() => tail.len() - start,
                _ => 0,
            })
        }
        Ok(_) => 0,
    }
}

fn event(name: &str, data: &impl serde::Serialize) -> Event {
    // What we serialise has no map with keys that are no texts, which is all that could go wrong.
    Event::default().event(name).json_data(data).unwrap_or_else(|_| Event::default().event("error"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_not_cut() {
        assert_eq!(unfinished("añ".as_bytes()), 0);
        assert_eq!(unfinished(&"añ".as_bytes()[..2]), 1);
        assert_eq!(unfinished(&"€".as_bytes()[..2]), 2);
        assert_eq!(unfinished(&"😀".as_bytes()[..3]), 3);
        assert_eq!(unfinished(b"\xff\xfe"), 0);
        assert_eq!(unfinished(b"\xff a \xe2\x82"), 2);
        assert_eq!(unfinished(b""), 0);
    }
}
