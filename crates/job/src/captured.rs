//! What is kept of an output stream: its head and its tail, whatever came between dropped and counted.
//!
//! Programs print more than anybody reads. Past the limit the stream goes on being drained, so that the program
//! does not stop, and only the first and the last half of what may be kept stay in memory.

/// What was kept of one output stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captured {
    bytes: Vec<u8>,
    truncated: Option<Truncated>,
}

/// What was dropped from a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncated {
    /// How many bytes are missing.
    pub dropped_bytes: u64,
    /// Where they are missing: an index into the kept bytes.
    pub at_byte: u64,
}

impl Captured {
    /// A stream of which nothing was dropped.
    pub fn whole(bytes: Vec<u8>) -> Captured {
        Captured { bytes, truncated: None }
    }

    /// Joins the head and the tail of a longer stream, `dropped` bytes apart.
    ///
    /// A character that the cut went through is dropped as well, so that text stays text. So are bytes at the cut that
    /// could be a part of one; all others are left as they are.
    pub fn cut(mut head: Vec<u8>, dropped: u64, tail: &[u8]) -> Captured {
        let half_character = incomplete_end(&head);
        head.truncate(head.len() - half_character);
        let rest_of_character = continuation_start(tail);
        let at_byte = head.len() as u64;
        head.extend_from_slice(&tail[rest_of_character..]);
        let dropped_bytes = dropped + (half_character + rest_of_character) as u64;
        Captured { bytes: head, truncated: Some(Truncated { dropped_bytes, at_byte }) }
    }

    /// The bytes that were kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is missing, if anything is.
    pub fn truncated(&self) -> Option<Truncated> {
        self.truncated
    }
}

/// How many bytes at the end begin a UTF-8 character that is not finished.
fn incomplete_end(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(3);
    match std::str::from_utf8(&bytes[from..]) {
        Err(error) if error.error_len().is_none() => bytes.len() - from - error.valid_up_to(),
        // The window may itself start inside a character: only an unfinished one at its end counts.
        Err(_) => (1..=3.min(bytes.len()))
            .find(|&n| {
                let end = &bytes[bytes.len() - n..];
                matches!(std::str::from_utf8(end), Err(e) if e.error_len().is_none() && e.valid_up_to() == 0)
            })
            .unwrap_or(0),
        Ok(_) => 0,
    }
}

/// How many bytes at the start continue a UTF-8 character that began before.
fn continuation_start(bytes: &[u8]) -> usize {
    bytes.iter().take(3).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_between_characters_drops_nothing_more() {
        let cut = Captured::cut(b"abc".to_vec(), 10, b"xyz");
        assert_eq!(cut.bytes(), b"abcxyz");
        assert_eq!(cut.truncated(), Some(Truncated { dropped_bytes: 10, at_byte: 3 }));
    }

    #[test]
    fn a_character_that_the_cut_went_through_goes_with_the_rest() {
        let grin = "😀".as_bytes();
        for split in 1..4 {
            let head = [b"ab", &grin[..split]].concat();
            let tail = [&grin[split..], b"yz"].concat();
            let cut = Captured::cut(head, 0, &tail);
            assert_eq!(cut.bytes(), b"abyz", "split at {split}");
            assert_eq!(cut.truncated(), Some(Truncated { dropped_bytes: 4, at_byte: 2 }), "split at {split}");
        }
    }

    #[test]
    fn whole_characters_before_the_cut_stay() {
        for text in ["é", "日", "😀", "aé", "日日"] {
            let cut = Captured::cut(text.as_bytes().to_vec(), 5, b"z");
            assert_eq!(cut.bytes(), format!("{text}z").as_bytes());
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_left_as_they_are() {
        let cut = Captured::cut(vec![0xff, 0xfe], 1, &[0xff, 0x00]);
        assert_eq!(cut.bytes(), [0xff, 0xfe, 0xff, 0x00]);
    }
}
