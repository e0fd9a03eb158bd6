//! How much an image has come to so far, and which of its bounds that is past.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::bounds::Bounds;
use crate::layer::index::Index;

/// Which bound an image went past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    /// Too many entries.
    #[error("its layers have more than {0} entries")]
    Entries(u64),
    /// Too many bytes.
    #[error("its layers unpack to more than {} MiB", .0 >> 20)]
    Unpacked(u64),
    /// Too much that is neither.
    #[error("its layers inflate to more than {} MiB, most of which is no content of files", .0 >> 20)]
    Inflated(u64),
    /// Too long names, targets and attributes.
    #[error("the names and attributes in its layers take more than {} MiB", .0 >> 20)]
    Metadata(u64),
}

/// What all layers of one image have come to so far. They are unpacked at the same time.
#[derive(Debug)]
pub(crate) struct Tally {
    bounds: Bounds,
    entries: AtomicU64,
    unpacked: AtomicU64,
    inflated: AtomicU64,
    metadata: AtomicU64,
}

impl Tally {
    pub(crate) fn new(bounds: Bounds) -> Tally {
        let none = || AtomicU64::new(0);
        Tally { bounds, entries: none(), unpacked: none(), inflated: none(), metadata: none() }
    }

    /// Counts a layer that was unpacked before.
    pub(crate) fn add_index(&self, index: &Index) -> Result<(), Exceeded> {
        self.add_entries(index.entries.len() as u64, index.metadata())?;
        self.add_content(index.unpacked)
    }

    /// The least size that an image has to be allowed so that its layers may come to this, and to so much in transfer.
    pub(crate) fn least_size(&self, transferred: u64) -> u64 {
        let [unpacked, inflated] = [&self.unpacked, &self.inflated].map(|sum| sum.load(Ordering::Relaxed));
        Bounds::least_size(unpacked, inflated, transferred)
    }

    pub(super) fn add_entries(&self, count: u64, metadata: u64) -> Result<(), Exceeded> {
        let Bounds { entries: most_entries, metadata: most_metadata, .. } = self.bounds;
        within(&self.entries, count, most_entries, Exceeded::Entries)?;
        within(&self.metadata, metadata, most_metadata, Exceeded::Metadata)
    }

    pub(super) fn add_content(&self, bytes: u64) -> Result<(), Exceeded> {
        within(&self.unpacked, bytes, self.bounds.unpacked, Exceeded::Unpacked)
    }

    pub(super) fn add_inflated(&self, bytes: u64) -> Result<(), Exceeded> {
        within(&self.inflated, bytes, self.bounds.inflated(), Exceeded::Inflated)
    }
}

fn within(sum: &AtomicU64, more: u64, most: u64, exceeded: fn(u64) -> Exceeded) -> Result<(), Exceeded> {
    let before = sum.fetch_add(more, Ordering::Relaxed);
    if before.checked_add(more).is_none_or(|sum| most < sum) { Err(exceeded(most)) } else { Ok(()) }
}
