//! A file on its way out of a cell: what the host asks for, and what the agent says of it before it hands it out.

use crate::DecodeError;
use crate::decode::Cursor;

/// Which file is to be handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchOrder<'a> {
    /// Its name in the work directory itself.
    pub name: &'a [u8],
    /// The most bytes that are wanted: of a larger file nothing but its size is said.
    pub most: u64,
}

/// A file that a step has made. If it has no more bytes than were wanted, as many follow in `Content` frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeFile {
    /// How long it is.
    pub bytes: u64,
    /// Whether it may be executed.
    pub is_executable: bool,
    /// How many blocks of the file system it takes.
    pub blocks: u64,
    /// By how much all files of the cell together have grown since the host stored the last of the job's own.
    pub since_stored: Growth,
}

/// By how much a file system is fuller than it was. Less than nothing when it is emptier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// Files, directories and whatever else has a name, a second name included.
    pub inodes: i64,
    /// Blocks.
    pub blocks: i64,
}

impl<'a> FetchOrder<'a> {
    pub(crate) fn decode(payload: &'a [u8]) -> Result<FetchOrder<'a>, DecodeError> {
        let mut cursor = Cursor(payload);
        Ok(FetchOrder { most: cursor.u64()?, name: cursor.0 })
    }
}

impl MadeFile {
    /// How long it is in a frame.
    pub(crate) const BYTES: usize = 33;

    pub(crate) fn to_bytes(self) -> [u8; MadeFile::BYTES] {
        let MadeFile { bytes, is_executable, blocks, since_stored: Growth { inodes, blocks: more_blocks } } = self;
        let mut fixed = [0; MadeFile::BYTES];
        fixed[0] = is_executable.into();
        for (place, number) in
            fixed[1..].as_chunks_mut::<8>().0.iter_mut().zip([bytes, blocks, inodes as u64, more_blocks as u64])
        {
            *place = number.to_le_bytes();
        }
        fixed
    }

    pub(crate) fn decode(cursor: &mut Cursor<'_>) -> Result<MadeFile, DecodeError> {
        let is_executable = match cursor.u8()? {
            0 => false,
            1 => true,
            other => return Err(DecodeError::Value(other)),
        };
        let (bytes, blocks) = (cursor.u64()?, cursor.u64()?);
        let since_stored = Growth { inodes: cursor.u64()? as i64, blocks: cursor.u64()? as i64 };
        Ok(MadeFile { bytes, is_executable, blocks, since_stored })
    }
}
