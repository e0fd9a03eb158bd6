//! Where a list of jobs goes on: behind a job, whatever has come before it meanwhile.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The number of the last job that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor(pub(super) i64);

/// So that a number is not taken for one.
const MARK: u8 = 1;

impl Cursor {
    pub(super) fn written(self) -> String {
        let mut bytes = vec![MARK];
        bytes.extend_from_slice(&self.0.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(super) fn read(text: &str) -> Option<Cursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (&mark, number) = bytes.split_first()?;
        let number = i64::from_be_bytes(number.try_into().ok()?);
        (mark == MARK && number >= 0).then_some(Cursor(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_is_read() {
        let written = Cursor(1_700_000_000_000_000).written();
        assert_eq!(Cursor::read(&written), Some(Cursor(1_700_000_000_000_000)));
        for text in ["", "1", "AAAA", "../../etc", &written[1..], &format!("{written}A"), "Af__________", "é"] {
            assert_eq!(Cursor::read(text), None, "{text}");
        }
    }
}
