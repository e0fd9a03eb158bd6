//! Snapshots in object stores: sent there, and fetched again by any other host, beside images and by the same ways.
//!
//! ```text
//! snapshots/names/NAME     what a name stands for: the record, and the digest of the list of its chunks
//! snapshots/parts/HEX      a chunk of a memory, a state, or a list of chunks; compressed, and named by the SHA-256 of what it is unpacked
//! ```
//!
//! A memory is cut at every mebibyte, and a chunk that is zero is none. Snapshots that have a chunk in common have it once, whoever sent them. What is there
//! already is not sent, what is here already is not fetched, and a name is written when all that it stands for is there.
//!
//! A bucket is hostile. Whatever it gives is bounded by what it should be, before it is asked for and again before it is unpacked, and is
//! a part only by its digest; all parts together are a snapshot only if the monitor finds that memory and state belong to each other. What
//! they make of a guest is that guest's affair, as with any image.

mod catalogue;
mod chunks;
mod error;
mod fetch;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod local;
mod named;
mod part;
mod send;

use std::error::Error;
use std::fs::File;

pub use catalogue::CataloguedSnapshot;
pub use error::TravelError;
pub use fetch::Fetched;

use object_store::path::Path;

use crate::digest::Digest;
use crate::remote::Bucket;
use crate::remote::NAMES;
use crate::snapshot::SnapshotName;

/// Whether a state is one that this host knows, and if there is a memory already, whether the two belong to each other. What is in them the monitor
/// knows, not we.
pub type VerifySnapshot<'v> = &'v dyn Fn(&File, Option<&File>) -> Result<(), Box<dyn Error + Send + Sync>>;

/// How far a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotProgress {
    /// All of what is here is read: to see whether it is sound, and what of it is needed.
    Reading,
    /// It is sent or fetched.
    Moving {
        /// How many bytes are where they should be, unpacked.
        bytes: u64,
        /// How many there are.
        of: u64,
    },
    /// All of what was fetched is read, to see whether it belongs together.
    Verifying,
}

/// Who is told how far a snapshot is.
pub type TellOfSnapshot<'t> = &'t (dyn Fn(SnapshotProgress) + Sync);

/// Below the bucket's folder.
const SNAPSHOTS: &str = "snapshots";
const PARTS: &str = "parts";

impl Bucket {
    /// Where the names of snapshots are.
    fn names_of_snapshots(&self) -> Path {
        self.base.clone().join(SNAPSHOTS).join(NAMES)
    }

    fn place_of_snapshot(&self, name: &SnapshotName) -> Path {
        self.names_of_snapshots().join(name.to_string())
    }

    fn place_of_part(&self, digest: &Digest) -> Path {
        self.base.clone().join(SNAPSHOTS).join(PARTS).join(digest.hex())
    }
}
