//! What a job's files may still hold.

use std::io::{self, Read};

use firebox_job::ByteSize;

use crate::inputs::InputError;

/// What may still be read.
pub(super) struct Budget {
    limit: u64,
    used: u64,
}

impl Budget {
    pub(super) fn new(limit: ByteSize) -> Budget {
        Budget { limit: limit.as_u64(), used: 0 }
    }

    /// Takes so many bytes off, or refuses with both numbers.
    pub(super) fn spend(&mut self, what: &str, bytes: u64) -> Result<(), InputError> {
        let total = self.used.saturating_add(bytes);
        if total > self.limit {
            return Err(self.too_large(what, ByteSize::bytes(total).to_string()));
        }
        self.used = total;
        Ok(())
    }

    /// Reads to the end, and never more than one byte past the limit, whatever the reader has.
    ///
    /// `on_error` says whose reading failed.
    pub(super) fn read(
        &mut self,
        what: &str,
        reader: impl Read,
        on_error: impl FnOnce(io::Error) -> InputError,
    ) -> Result<Vec<u8>, InputError> {
        let left = self.limit - self.used;
        let mut content = Vec::new();
        reader.take(left + 1).read_to_end(&mut content).map_err(on_error)?;
        if content.len() as u64 > left {
            return Err(self.too_large(what, format!("more than {}", ByteSize::bytes(self.limit))));
        }
        self.used += content.len() as u64;
        Ok(content)
    }

    /// Refuses early what is known to be too large.
    pub(super) fn expect(&self, what: &str, bytes: u64) -> Result<(), InputError> {
        Budget { ..*self }.spend(what, bytes)
    }

    fn too_large(&self, what: &str, total: String) -> InputError {
        InputError::TooLarge { what: what.to_owned(), total, limit: ByteSize::bytes(self.limit) }
    }
}
