//! Why a cell could not be made, limited, measured or removed. Says nothing about the program in it.

use std::fmt;
use std::io;

use crate::StreamError;

/// What a guest said last on its serial port, in one line. For a log: these words may be a job's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWords(String);

/// The most that is told of them.
const MOST_LAST_WORDS: usize = 2048;

impl LastWords {
    /// Of what was said, the end; none when nothing was.
    pub fn of(said: &[u8]) -> Option<LastWords> {
        let said = said.get(said.len().saturating_sub(MOST_LAST_WORDS)..).unwrap_or_default();
        let said = String::from_utf8_lossy(said);
        let lines = said.lines().map(|line| line.trim().escape_debug().to_string()).filter(|line| !line.is_empty());
        let said = lines.collect::<Vec<String>>().join(" | ");
        (!said.is_empty()).then_some(LastWords(said))
    }
}

impl fmt::Display for LastWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its guest said last: {}", self.0)
    }
}

impl std::error::Error for LastWords {}

/// Why something could not be done to a cell.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The warden, or a process becoming a cell, was refused something by the kernel.
    #[error("cannot {doing}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The stream to a new cell's agent cannot be used.
    #[error("cannot use the stream to a new cell")]
    Stream(#[from] StreamError),
    /// The machine that a cell is in, or was to be in, is no more, or of no use.
    #[error("a microVM cannot {doing}: {how}")]
    Machine {
        /// What was being done.
        doing: &'static str,
        /// How it ended, or what is wrong with it.
        how: String,
        /// For the log.
        source: Option<LastWords>,
    },
    /// The process that makes cells is gone.
    #[error("the warden is gone; no cell can be made until firebox is started again")]
    WardenGone {
        /// What was seen of it.
        source: io::Error,
    },
    /// The process that makes cells answered something that is no answer.
    #[error("the warden answered out of turn: {0}")]
    Protocol(#[from] firebox_wire::DecodeError),
    /// The warden answered, but not to what was asked.
    #[error("the warden was asked to {asked} and answered {answered}")]
    Unexpected {
        /// What it was asked.
        asked: &'static str,
        /// What it answered.
        answered: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_one_bounded_line_without_commands_to_a_terminal() {
        let said = |bytes: &[u8]| LastWords::of(bytes).map(|words| words.to_string());
        assert_eq!(
            said(b"\x1B[2Jfirst\r\n\r\nsecond \xFF\n"),
            Some("its guest said last: \\u{1b}[2Jfirst | second \u{FFFD}".to_owned())
        );
        assert_eq!(said(b" \r\n"), None);
        assert!(said(&[b'a'; 100_000]).is_some_and(|said| said.len() < MOST_LAST_WORDS + 100));
    }
}
