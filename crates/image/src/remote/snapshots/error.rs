//! What goes wrong with a snapshot on its way.

use std::error::Error;

use crate::digest::Digest;
use crate::remote::BucketError;
use crate::snapshot::SnapshotName;
use crate::store::StoreError;

/// Why a snapshot did not get where it should.
#[derive(Debug, thiserror::Error)]
pub enum TravelError {
    /// The bucket, or the way there.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// This host's store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bucket has no such snapshot.
    #[error("`{place}` has no snapshot `{name}`")]
    NoSnapshot {
        /// The bucket.
        place: String,
        /// The snapshot.
        name: SnapshotName,
    },
    /// There is something under a name that stands for no snapshot.
    #[error("what `{place}` has under the name `{name}` is no snapshot of firebox's")]
    NoRecord {
        /// The bucket.
        place: String,
        /// The name.
        name: SnapshotName,
    },
    /// A part of it is missing there.
    #[error("`{place}` lacks `{digest}`, which its snapshot consists of")]
    Lacks {
        /// The bucket.
        place: String,
        /// What is missing.
        digest: Digest,
    },
    /// A part of it is not what it should be there.
    #[error("`{digest}` is damaged in `{place}`: it was cut off or altered there")]
    Damaged {
        /// The bucket.
        place: String,
        /// What is damaged.
        digest: Digest,
    },
    /// It takes much.
    #[error("`{name}` needs {} MiB by what `{place}` says, and {} MiB is the most it may take", .needed.div_ceil(1 << 20), .allowed >> 20)]
    Size {
        /// The bucket.
        place: String,
        /// The snapshot.
        name: SnapshotName,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that it may take.
        allowed: u64,
    },
    /// Its memory is not the one that belongs to its state.
    #[error("the snapshot `{name}` in `{place}` is not what was frozen")]
    Unsound {
        /// Where it is that is not sound: a bucket, or a directory here.
        place: String,
        /// The snapshot.
        name: SnapshotName,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
}
