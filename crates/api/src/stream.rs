//! An output stream as clients read it: text, and the exact bytes when they are no text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use firebox_job::{Captured, Truncated};
use schemars::JsonSchema;
use serde::Serialize;

/// What was dropped from a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Cut {
    /// How many bytes are missing.
    pub dropped_bytes: u64,
    /// Where they are missing: an index into the bytes of the stream as returned. These are the UTF-8 bytes of
    /// `stdout` or `stderr`, or what `stdout_base64` or `stderr_base64` decodes to when that is present.
    pub at_byte: u64,
}

/// The three faces of a captured stream.
pub(crate) struct StreamParts {
    /// As text; what is no UTF-8 is replaced.
    pub(crate) text: String,
    /// The exact bytes, only when the text does not say them.
    pub(crate) base64: Option<String>,
    /// What is missing.
    pub(crate) cut: Option<Cut>,
}

impl From<Captured> for StreamParts {
    fn from(captured: Captured) -> StreamParts {
        let cut = captured.truncated().map(|Truncated { dropped_bytes, at_byte }| Cut { dropped_bytes, at_byte });
        let (text, base64) = match std::str::from_utf8(captured.bytes()) {
            Ok(text) => (text.to_owned(), None),
            Err(_) => (String::from_utf8_lossy(captured.bytes()).into_owned(), Some(STANDARD.encode(captured.bytes()))),
        };
        StreamParts { text, base64, cut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_said_once_and_other_bytes_twice() {
        for (bytes, text, base64) in [
            (&b"plain\n"[..], "plain\n", None),
            ("naïve".as_bytes(), "naïve", None),
            (&b"a\0b"[..], "a\0b", None),
            (&[0xff, b'x'][..], "\u{fffd}x", Some("/3g=")),
        ] {
            let parts = StreamParts::from(Captured::whole(bytes.to_vec()));
            assert_eq!((parts.text.as_str(), parts.base64.as_deref()), (text, base64));
        }
    }
}
