//! The name a client gives a job, so that it finds the outcome again.

use std::fmt;

/// A client's name for a job: echoed in its outcome, never interpreted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TraceId(String);

/// Why a text is no [`TraceId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceIdError {
    /// Nothing to echo.
    #[error("trace_id is empty; leave it out to have one made")]
    Empty,
    /// Ids end up in logs and in lists, so they stay short.
    #[error("trace_id has {length} bytes, at most {} are allowed", TraceId::MAX_BYTES)]
    TooLong {
        /// The length of what was given.
        length: usize,
    },
    /// A line break or an escape in an id could forge a log line.
    #[error("trace_id has a control character at byte {at}")]
    Control {
        /// Where the character stands.
        at: usize,
    },
}

impl TraceId {
    /// Long enough for any scheme of ids in use, short enough for a log line.
    pub const MAX_BYTES: usize = 128;

    /// Takes a client's text as it is, or refuses it.
    pub fn new(text: impl Into<String>) -> Result<TraceId, TraceIdError> {
        let text = text.into();
        if text.is_empty() {
            return Err(TraceIdError::Empty);
        }
        if text.len() > TraceId::MAX_BYTES {
            return Err(TraceIdError::TooLong { length: text.len() });
        }
        if let Some(at) = text.find(char::is_control) {
            return Err(TraceIdError::Control { at });
        }
        Ok(TraceId(text))
    }

    /// An id made from random bytes that the caller drew.
    pub fn from_random(bytes: [u8; 16]) -> TraceId {
        TraceId(format!("{:032x}", u128::from_be_bytes(bytes)))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_forge_a_log_line_is_refused() {
        assert_eq!(TraceId::new("a\nb"), Err(TraceIdError::Control { at: 1 }));
        assert_eq!(TraceId::new(""), Err(TraceIdError::Empty));
        assert_eq!(TraceId::new("x".repeat(129)), Err(TraceIdError::TooLong { length: 129 }));
    }

    #[test]
    fn a_clients_id_is_echoed_as_it_came() {
        assert_eq!(TraceId::new("rust-hello-001").unwrap().as_str(), "rust-hello-001");
    }
}
