//! What a name in a bucket stands for.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::remote::Bucket;
use crate::remote::snapshots::{TravelError, chunks};
use crate::snapshot::{SnapshotName, SnapshotRecord, WrittenSnapshot};

/// A snapshot by what a bucket says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) record: SnapshotRecord,
    /// The list of the chunks of its memory.
    pub(super) chunks: Digest,
    /// What those take that are not zero.
    pub(super) bytes: u64,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    record: WrittenSnapshot,
    chunks: String,
    bytes: u64,
}

/// The longest that is read.
pub(super) const MOST: u64 = SnapshotRecord::MOST_BYTES + 1024;

impl Named {
    pub(super) fn encode(&self) -> Vec<u8> {
        let Named { record, chunks, bytes } = self;
        let written = Written { record: record.written(), chunks: chunks.to_string(), bytes: *bytes };
        let mut text = serde_json::to_vec_pretty(&written).unwrap_or_default();
        text.push(b'\n');
        text
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Named> {
        if MOST < bytes.len() as u64 {
            return None;
        }
        let Written { record, chunks, bytes } = serde_json::from_slice(bytes).ok()?;
        let named = Named { record: SnapshotRecord::of_written(record)?, chunks: chunks.parse().ok()?, bytes };
        (named.bytes <= named.record.frozen.machine_bytes).then_some(named)
    }
}

impl Bucket {
    /// What is written down under a name.
    pub(super) fn written_of_snapshot(&self, name: &SnapshotName) -> Result<Option<Bytes>, TravelError> {
        let what = format!("look for snapshot `{name}`");
        let written = self.document(&self.place_of_snapshot(name), &what, MOST)?;
        if written.is_none() {
            self.exists(&self.names_of_snapshots(), &what)?;
        }
        Ok(written)
    }

    /// What a name stands for.
    pub(super) fn named_snapshot(&self, name: &SnapshotName) -> Result<Named, TravelError> {
        let none = || TravelError::NoSnapshot { place: self.place.clone(), name: name.clone() };
        let written = self.written_of_snapshot(name)?.ok_or_else(none)?;
        self.read_named(name, &written)
    }

    /// Reads what is under a name. It has to be a snapshot of that name.
    pub(super) fn read_named(&self, name: &SnapshotName, bytes: &[u8]) -> Result<Named, TravelError> {
        let named = Named::decode(bytes).filter(|named| named.record.frozen.name == *name);
        named.ok_or_else(|| TravelError::NoRecord { place: self.place.clone(), name: name.clone() })
    }

    /// The list of its chunks, fetched.
    pub(super) fn chunks_of(&self, named: &Named) -> Result<chunks::Chunks, TravelError> {
        let length = named.record.frozen.machine_bytes;
        let (list, _) = self.fetch_part(&named.chunks, chunks::most(length))?;
        let list = chunks::Chunks::decode(&list, length).filter(|chunks| chunks.bytes() == named.bytes);
        // It has its digest, and is no list of this memory: whoever wrote the name wrote what cannot be.
        list.ok_or_else(|| TravelError::NoRecord { place: self.place.clone(), name: named.record.frozen.name.clone() })
    }
}
