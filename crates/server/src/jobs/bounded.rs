//! What is written down of an outcome: so much at most.
//!
//! An outcome as JSON may be many times what the job wrote: a byte that is no text takes six there, and more as base64. SQLite takes
//! no value beyond a gigabyte, and whoever asks for one has all of it in memory.

use std::io;

use firebox_api::{Refusal, RefusalCode};
use serde::Serialize;

/// How large an outcome may be as JSON.
pub(super) const MOST: usize = 256 << 20;

/// As JSON, or none if that were more than so many bytes.
pub(super) fn as_json_within(value: &impl Serialize, most: usize) -> Option<String> {
    let mut json = Bounded { bytes: Vec::new(), most };
    serde_json::to_writer(&mut json, value).ok()?;
    String::from_utf8(json.bytes).ok()
}

/// Said of a job whose outcome is not kept.
pub(super) fn too_large(most: usize) -> Refusal {
    let expected = Some(format!("at most {} MiB as JSON", most >> 20));
    Refusal {
        expected,
        ..Refusal::new(RefusalCode::TooLarge, "the job has ended, and its outcome is too large to be kept")
    }
    .with_hint("have the job write less, or lower its limit of output; `POST /v1/execute` keeps nothing")
}

struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.most < self.bytes.len() + bytes.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_whole_or_not_there() {
        let value = "\u{1}".repeat(10);
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(json.len(), 62);
        assert_eq!(as_json_within(&value, 62).as_deref(), Some(json.as_str()));
        assert_eq!(as_json_within(&value, 61), None);
    }
}
