//! A snapshot as bytes: what tells them from any others, and what tells that they are whole.
//!
//! ```text
//! magic: 8 | version: 4 | kind of processor: 4 | length of the state: 4 | digest of all else: 32 | the state
//! ```
//!
//! The digest says that nothing happened to the bytes. It does not say who made them, so what is read is bounded and checked all the same.

use std::io::{self, Read};

use crate::arch;

use super::{Nonsense, Piece, Reader, Snapshot, Writer};

/// Why bytes are no snapshot that a machine could be made of.
#[derive(Debug, thiserror::Error)]
pub enum NoSnapshot {
    /// They cannot be read.
    #[error("cannot read the snapshot: {0}")]
    Unread(#[from] io::Error),
    /// They are something else.
    #[error("this is no snapshot of a microVM")]
    Other,
    /// They were written by another Firebox.
    #[error("the snapshot is of format {theirs}, and this Firebox reads format {ours}: make the snapshot again")]
    Version {
        /// Of the snapshot.
        theirs: u32,
        /// The one that is known.
        ours: u32,
    },
    /// The machine was of another kind.
    #[error("the snapshot is of a machine for another kind of processor: make the snapshot again on this one")]
    Architecture,
    /// Some are missing.
    #[error(
        "the snapshot has {found} bytes and should have {expected}, so it was cut off: fetch it, or make it, again"
    )]
    CutOff {
        /// How many there are.
        found: usize,
        /// How many it says there are.
        expected: usize,
    },
    /// There are too many.
    #[error("the snapshot is longer than it says, or than any can be: fetch it, or make it, again")]
    TooLong,
    /// They are not what was written.
    #[error("the snapshot was altered since it was written: fetch it, or make it, again")]
    Altered,
    /// They are what was written, and that makes no sense.
    #[error("the snapshot makes no sense: {0}")]
    Nonsense(#[from] Nonsense),
}

const MAGIC: [u8; 8] = *b"FBXVMSN\n";
/// Changes whenever anything changes about what is written.
const VERSION: u32 = 2;
/// Magic, version, kind of processor, length.
const LABEL: usize = 20;
const DIGEST: usize = 32;

impl Snapshot {
    /// No snapshot is longer: one processor is some 33 KiB at most.
    pub const MOST_BYTES: usize = 2 << 20;

    /// Writes it down.
    pub fn encode(&self) -> Vec<u8> {
        let mut state = Writer::default();
        self.write(&mut state);
        let state = state.written();
        let mut label = Writer::default();
        label.bytes(&MAGIC);
        label.u32(VERSION);
        label.u32(arch::NUMBER);
        label.u32(u32::try_from(state.len()).unwrap_or(u32::MAX));
        let label = label.written();
        let digest = digest(&label, &state);
        [label, digest.to_vec(), state].concat()
    }

    /// Reads what was written down.
    pub fn decode(bytes: &[u8]) -> Result<Snapshot, NoSnapshot> {
        let too_few = |expected| NoSnapshot::CutOff { found: bytes.len(), expected };
        let head = bytes.get(..MAGIC.len().min(bytes.len())).unwrap_or_default();
        if !MAGIC.starts_with(head) {
            return Err(NoSnapshot::Other);
        }
        let begins = LABEL.saturating_add(DIGEST);
        let (label, rest) = bytes.split_at_checked(LABEL).ok_or(too_few(begins))?;
        let mut reader = Reader::new(label);
        let _magic: [u8; MAGIC.len()] = reader.take()?;
        let (version, architecture, length) = (reader.u32()?, reader.u32()?, reader.u32()?);
        if version != VERSION {
            return Err(NoSnapshot::Version { theirs: version, ours: VERSION });
        }
        if architecture != arch::NUMBER {
            return Err(NoSnapshot::Architecture);
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if Snapshot::MOST_BYTES < bytes.len() || Snapshot::MOST_BYTES < length {
            return Err(NoSnapshot::TooLong);
        }
        let (said, state) = rest.split_at_checked(DIGEST).ok_or(too_few(begins.saturating_add(length)))?;
        match state.len().cmp(&length) {
            std::cmp::Ordering::Less => return Err(too_few(begins.saturating_add(length))),
            std::cmp::Ordering::Greater => return Err(NoSnapshot::TooLong),
            std::cmp::Ordering::Equal => {}
        }
        if said != digest(label, state) {
            return Err(NoSnapshot::Altered);
        }
        let mut reader = Reader::new(state);
        let snapshot = Snapshot::read(&mut reader)?;
        reader.end()?;
        Ok(snapshot)
    }

    /// Reads one from a file, or from wherever it comes.
    pub fn read_from(file: impl Read) -> Result<Snapshot, NoSnapshot> {
        let mut bytes = Vec::new();
        file.take((Snapshot::MOST_BYTES as u64).saturating_add(1)).read_to_end(&mut bytes)?;
        Snapshot::decode(&bytes)
    }
}

fn digest(label: &[u8], state: &[u8]) -> [u8; DIGEST] {
    *blake3::Hasher::new().update(label).update(state).finalize().as_bytes()
}
