//! What a job writes, on its way to disk: collected as it comes, and handed on in pieces, no more than a few each moment.
//!
//! A program may write a byte at a time, to both streams in turn. So what came of one stream between two looks is one piece,
//! cut where it is large; which stream was written to first within a moment is not kept.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use firebox_api::OutputEvent;
use firebox_engine::{Sink, Stream};
use firebox_job::StepKind;

use super::as_json;
use crate::events::{name, unfinished};

/// How large a piece may be.
const PIECE: usize = 16 << 10;

/// What was written and not yet taken. Its size is bounded by the job's limit of output.
#[derive(Debug, Clone, Default)]
pub(super) struct Recorder(Arc<Mutex<Vec<Held>>>);

/// What was written to one stream of a step.
#[derive(Debug)]
struct Held {
    step: StepKind,
    stream: Stream,
    bytes: Vec<u8>,
}

impl Sink for Recorder {
    fn output(&mut self, step: StepKind, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.iter_mut().find(|held| held.step == step && held.stream == stream) {
            Some(held) => held.bytes.extend_from_slice(bytes),
            None => all.push(Held { step, stream, bytes: bytes.to_vec() }),
        }
        Ok(())
    }
}

impl Recorder {
    /// Takes what there is but for the beginnings of characters, which wait for their rest.
    pub(super) fn take(&self) -> Vec<String> {
        self.take_but(unfinished)
    }

    /// Takes all there is.
    pub(super) fn take_all(&self) -> Vec<String> {
        self.take_but(|_| 0)
    }

    fn take_but(&self, kept: impl Fn(&[u8]) -> usize) -> Vec<String> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pieces = Vec::new();
        for Held { step, stream, bytes } in all.iter_mut() {
            let rest = bytes.split_off(bytes.len() - kept(bytes));
            let mut left = std::mem::replace(bytes, rest);
            while !left.is_empty() {
                let mut end = left.len().min(PIECE);
                if end < left.len() {
                    end -= unfinished(&left[..end]);
                }
                let rest = left.split_off(end);
                pieces.push(as_json(&OutputEvent::new(*step, name(*stream), std::mem::replace(&mut left, rest))));
            }
        }
        all.retain(|held| !held.bytes.is_empty());
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pieces: &[String]) -> Vec<String> {
        let json = pieces.iter().map(|piece| serde_json::from_str::<serde_json::Value>(piece).unwrap());
        json.map(|piece| format!("{} {}", piece["stream"].as_str().unwrap(), piece["text"].as_str().unwrap())).collect()
    }

    #[test]
    fn a_byte_at_a_time_is_one_piece_and_no_character_is_cut() {
        let mut recorder = Recorder::default();
        for _ in 0..100 {
            recorder.output(StepKind::Run, Stream::Stdout, b"a").unwrap();
            recorder.output(StepKind::Run, Stream::Stderr, b"b").unwrap();
        }
        recorder.output(StepKind::Run, Stream::Stderr, &"€".as_bytes()[..2]).unwrap();
        assert_eq!(
            texts(&recorder.take()),
            [format!("stdout {}", "a".repeat(100)), format!("stderr {}", "b".repeat(100))]
        );
        assert!(recorder.take().is_empty());
        recorder.output(StepKind::Run, Stream::Stderr, &"€".as_bytes()[2..]).unwrap();
        assert_eq!(texts(&recorder.take_all()), ["stderr €"]);
    }

    #[test]
    fn what_is_large_is_cut_between_characters() {
        let mut recorder = Recorder::default();
        let text = "€".repeat(PIECE);
        recorder.output(StepKind::Run, Stream::Stdout, text.as_bytes()).unwrap();
        let pieces = texts(&recorder.take());
        assert!(pieces.len() > 2);
        let whole: String = pieces.iter().map(|piece| piece.strip_prefix("stdout ").unwrap()).collect();
        assert_eq!(whole, text);
    }
}
