//! What a job writes, on its way to whoever looks on: collected as it comes, and handed on in pieces.
//!
//! A program may write a byte at a time, to both streams in turn. So what came of one stream between two looks is one piece,
//! cut where it is large; which stream was written to first between two looks is told, and no more of the order.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use firebox_api::OutputEvent;
use firebox_engine::{Sink, Stream};
use firebox_job::StepKind;
use tokio::sync::Notify;

/// How large a piece may be.
const PIECE: usize = 16 << 10;

/// What was written and not yet taken. Its size is bounded by the job's limit of output.
#[derive(Debug, Clone, Default)]
pub(crate) struct Output(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    held: Mutex<Vec<Held>>,
    written: Notify,
}

/// What was written to one stream of a step.
#[derive(Debug)]
struct Held {
    step: StepKind,
    stream: Stream,
    bytes: Vec<u8>,
    /// How much of it has been taken.
    taken: usize,
}

impl Sink for Output {
    fn output(&mut self, step: StepKind, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let mut all = self.held();
        match all.iter_mut().find(|held| held.step == step && held.stream == stream) {
            Some(held) => held.bytes.extend_from_slice(bytes),
            None => all.push(Held { step, stream, bytes: bytes.to_vec(), taken: 0 }),
        }
        drop(all);
        self.0.written.notify_one();
        Ok(())
    }
}

impl Output {
    /// Returns when something was written that nobody has looked at since.
    pub(crate) async fn written(&self) {
        self.0.written.notified().await;
    }

    /// Takes so many pieces at most of what there is, but for the beginnings of characters, which wait for their rest.
    pub(crate) fn take(&self, most: usize) -> Vec<OutputEvent> {
        self.take_but(most, unfinished)
    }

    /// Takes so many pieces at most of all there is.
    pub(crate) fn take_rest(&self, most: usize) -> Vec<OutputEvent> {
        self.take_but(most, |_| 0)
    }

    fn take_but(&self, most: usize, kept: impl Fn(&[u8]) -> usize) -> Vec<OutputEvent> {
        let mut all = self.held();
        let mut pieces = Vec::new();
        for Held { step, stream, bytes, taken } in all.iter_mut() {
            let whole = bytes.len() - kept(bytes);
            while *taken < whole && pieces.len() < most {
                let left = &bytes[*taken..whole];
                let mut end = left.len().min(PIECE);
                if end < left.len() {
                    end -= unfinished(&left[..end]);
                }
                pieces.push(OutputEvent::new(*step, name(*stream), left[..end].to_vec()));
                *taken += end;
            }
            if whole <= *taken {
                bytes.drain(..*taken);
                *taken = 0;
            }
        }
        all.retain(|held| !held.bytes.is_empty());
        pieces
    }

    fn held(&self) -> MutexGuard<'_, Vec<Held>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a stream is called.
fn name(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    }
}

/// How many bytes at the end are the beginning of a character that has not come whole.
fn unfinished(bytes: &[u8]) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pieces: &[OutputEvent]) -> Vec<String> {
        let json = pieces.iter().map(|piece| serde_json::to_value(piece).unwrap());
        json.map(|piece| format!("{} {}", piece["stream"].as_str().unwrap(), piece["text"].as_str().unwrap())).collect()
    }

    #[test]
    fn a_byte_at_a_time_is_one_piece_and_no_character_is_cut() {
        let mut output = Output::default();
        for _ in 0..100 {
            output.output(StepKind::Run, Stream::Stdout, b"a").unwrap();
            output.output(StepKind::Run, Stream::Stderr, b"b").unwrap();
        }
        output.output(StepKind::Run, Stream::Stderr, &"€".as_bytes()[..2]).unwrap();
        assert_eq!(
            texts(&output.take(9)),
            [format!("stdout {}", "a".repeat(100)), format!("stderr {}", "b".repeat(100))]
        );
        assert!(output.take(9).is_empty());
        output.output(StepKind::Run, Stream::Stderr, &"€".as_bytes()[2..]).unwrap();
        assert_eq!(texts(&output.take_rest(9)), ["stderr €"]);
    }

    #[test]
    fn what_is_large_is_cut_between_characters() {
        let mut output = Output::default();
        let text = "€".repeat(PIECE);
        output.output(StepKind::Run, Stream::Stdout, text.as_bytes()).unwrap();
        let pieces = texts(&output.take(9));
        assert!(pieces.len() > 2);
        let whole: String = pieces.iter().map(|piece| piece.strip_prefix("stdout ").unwrap()).collect();
        assert_eq!(whole, text);
    }

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
