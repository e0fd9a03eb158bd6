//! Keeps the head and the tail of a stream, and counts what came between.

use std::collections::VecDeque;

use firebox_job::{ByteSize, Captured};

/// What is kept of one stream while it runs. Holds no more than the limit, however much comes.
pub(crate) struct Capture {
    limit: u64,
    head: Vec<u8>,
    head_room: usize,
    tail: VecDeque<u8>,
    tail_room: usize,
    seen: u64,
}

impl Capture {
    /// Keeps so many bytes: one half of them from the start, the other from the end.
    pub(crate) fn new(limit: ByteSize) -> Capture {
        let limit = limit.as_u64();
        let head_room = usize::try_from(limit / 2).unwrap_or(usize::MAX);
        let tail_room = usize::try_from(limit - limit / 2).unwrap_or(usize::MAX);
        Capture { limit, head: Vec::new(), head_room, tail: VecDeque::new(), tail_room, seen: 0 }
    }

    /// Takes the next bytes, and returns those that are within the limit, counted from the stream's start.
    pub(crate) fn push<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let within = usize::try_from(self.limit.saturating_sub(self.seen)).unwrap_or(usize::MAX).min(bytes.len());
        self.seen += bytes.len() as u64;
        let to_head = (self.head_room - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..to_head]);
        let rest = &bytes[to_head..];
        let rest = &rest[rest.len().saturating_sub(self.tail_room)..];
        let too_many = (self.tail.len() + rest.len()).saturating_sub(self.tail_room);
        self.tail.drain(..too_many);
        self.tail.extend(rest);
        &bytes[..within]
    }

    /// What was kept.
    pub(crate) fn finish(self) -> Captured {
        let kept = (self.head.len() + self.tail.len()) as u64;
        let (mut head, mut tail) = (self.head, self.tail);
        match self.seen - kept {
            0 => {
                head.extend(tail);
                Captured::whole(head)
            }
            dropped => Captured::cut(head, dropped, tail.make_contiguous()),
        }
    }
}

#[cfg(test)]
mod tests {
    use firebox_job::Truncated;

    use super::*;

    fn capture(limit: u64, chunks: &[&[u8]]) -> (Captured, Vec<u8>) {
        let mut capture = Capture::new(ByteSize::bytes(limit));
        let streamed = chunks.iter().flat_map(|chunk| capture.push(chunk).to_vec()).collect();
        (capture.finish(), streamed)
    }

    #[test]
    fn a_stream_within_the_limit_is_kept_and_streamed_whole() {
        let (captured, streamed) = capture(10, &[b"abc", b"defg", b"hij"]);
        assert_eq!((captured.bytes(), captured.truncated()), (&b"abcdefghij"[..], None));
        assert_eq!(streamed, b"abcdefghij");
    }

    #[test]
    fn of_a_longer_stream_head_and_tail_are_kept_whatever_the_chunks() {
        let whole: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
        for size in 1..=whole.len() {
            let chunks: Vec<&[u8]> = whole.chunks(size).collect();
            let (captured, streamed) = capture(10, &chunks);
            assert_eq!(captured.bytes(), b"abcdevwxyz", "chunks of {size}");
            assert_eq!(captured.truncated(), Some(Truncated { dropped_bytes: 16, at_byte: 5 }), "chunks of {size}");
            assert_eq!(streamed, b"abcdefghij", "chunks of {size}");
        }
    }
}
