//! What a monitor says in the end: whose doing it was, in words, and what the guest said last on its serial port.
//!
//! ```text
//! whose: 1 byte | length of the words: 2 bytes, the lower first | the words | what the guest said last, to the end of the stream
//! ```
//!
//! Whoever reads it reads what may have been written by a guest that has taken the monitor: bounded, and never believed about anything but the end.

use std::io::{self, Read, Write};

/// What a monitor says in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose doing it was.
    pub whose: Whose,
    /// What happened.
    pub words: String,
    /// What the guest said last, as it was said.
    pub last_words: Vec<u8>,
}

/// Whose doing the end of a machine was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The guest's.
    Guests,
    /// Ours, or the host's.
    Ours,
    /// Of whoever asked for the machine, and had it frozen.
    Owners,
}

/// The most of what happened, and of the guest's last words: a kernel's panic has some three thousand bytes.
const MOST_WORDS: usize = 1024;
const MOST_LAST_WORDS: usize = 8 << 10;

impl Whose {
    fn number(self) -> u8 {
        match self {
            Whose::Guests => 1,
            Whose::Ours => 2,
            Whose::Owners => 3,
        }
    }
}

impl Report {
    /// Says it. What is too long is cut: of the words the end, of the last words the beginning.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        let Report { whose, words, last_words } = self;
        let words = words.as_bytes().get(..MOST_WORDS).unwrap_or(words.as_bytes());
        let last = last_words.get(last_words.len().saturating_sub(MOST_LAST_WORDS)..).unwrap_or_default();
        let length = (words.len() as u16).to_le_bytes();
        to.write_all(&[&[whose.number()], length.as_slice(), words, last].concat())
    }

    /// Reads one to its end; none where there is none, or only a part: a monitor that was killed says nothing.
    pub fn read(from: impl Read) -> io::Result<Option<Report>> {
        let mut bytes = Vec::new();
        let most = 3 + MOST_WORDS + MOST_LAST_WORDS;
        from.take(most as u64).read_to_end(&mut bytes)?;
        let [whose, low, high, rest @ ..] = bytes.as_slice() else { return Ok(None) };
        let whose = match *whose {
            1 => Whose::Guests,
            2 => Whose::Ours,
            3 => Whose::Owners,
            _ => return Ok(None),
        };
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let Some((words, last_words)) = rest.split_at_checked(length).filter(|_| length <= MOST_WORDS) else {
            return Ok(None);
        };
        let words = String::from_utf8_lossy(words).into_owned();
        Ok(Some(Report { whose, words, last_words: last_words.to_vec() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &str, last_words: &[u8]) -> Vec<u8> {
        let report = Report { whose: Whose::Guests, words: words.to_owned(), last_words: last_words.to_vec() };
        let mut bytes = Vec::new();
        report.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_report_is_heard_as_it_was_said() {
        let bytes = said("the guest reset itself", b"Kernel panic\xFF\r\n");
        let heard = Report::read(bytes.as_slice()).unwrap().unwrap();
        assert_eq!((heard.whose, heard.words.as_str()), (Whose::Guests, "the guest reset itself"));
        assert_eq!(heard.last_words, b"Kernel panic\xFF\r\n");
    }

    #[test]
    fn of_much_the_last_is_kept_and_no_more_than_a_bound_is_read() {
        let much: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
        let mut bytes = said(&"a".repeat(5000), &much);
        let heard = Report::read(bytes.as_slice()).unwrap().unwrap();
        assert_eq!(
            (heard.words.len(), heard.last_words.as_slice()),
            (MOST_WORDS, &much[much.len() - MOST_LAST_WORDS..])
        );
        bytes.extend(&much);
        let heard = Report::read(bytes.as_slice()).unwrap().unwrap();
        assert_eq!(heard.last_words.len(), MOST_LAST_WORDS);
    }

    #[test]
    fn half_a_report_and_nonsense_are_none() {
        let bytes = said("it ended", b"");
        for length in 0..bytes.len() {
            assert_eq!(Report::read(&bytes[..length]).unwrap(), None, "{length}");
        }
        for nonsense in [[9, 0, 0].as_slice(), &[1, 0xFF, 0xFF, 1, 2, 3], &[0; 50]] {
            assert_eq!(Report::read(nonsense).unwrap(), None, "{nonsense:?}");
        }
    }
}
