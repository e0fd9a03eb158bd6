//! Images in object stores: sent there, and fetched again by any other host.
//!
//! ```text
//! names/NAME            which image a name stands for: the record, as the store of a host keeps it
//! blobs/sha256/HEX      a manifest, a configuration, a layer as it was transferred
//! snapshots/            of microVMs: see [`snapshots`]
//! ```
//!
//! Layers travel as they came, compressed; whatever else an image consists of is made of them again, bit for bit. What is
//! there already is not sent, and a name is written when all that it stands for is there: a name in a bucket is an image
//! or none, and of two who write it at the same time the last one is right, as a whole.
//!
//! A bucket is as hostile as a registry. What it gives is bounded before it is stored ([`wire`]), and is an image only by
//! its digests: fetching one is [`take_in`](crate::take_in()), with the bucket as its source.

mod bucket;
mod catalogue;
mod error;
mod fetch;
mod journal;
mod keeper;
mod pieces;
mod place;
mod send;
mod snapshots;
mod upload;
mod wire;

pub use bucket::{Bucket, Settings};
pub use catalogue::Catalogued;
pub use error::BucketError;
pub use place::{BucketPlace, NoPlace};
pub use send::Sent;
#[cfg(any(test, fuzzing))]
pub(crate) use snapshots::fuzzing;
pub use snapshots::{CataloguedSnapshot, Fetched, SnapshotProgress, TellOfSnapshot, TravelError, VerifySnapshot};
pub use wire::Refusal;

use object_store::path::Path;

use crate::digest::Digest;
use crate::store::ImageName;

/// Where names are.
const NAMES: &str = "names";

/// Where the record of a name is, below what the bucket's folder is.
fn place_of_name(base: &Path, name: &ImageName) -> Path {
    base.clone().join(NAMES).join(name.to_string())
}

/// Where a blob is.
fn place_of_blob(base: &Path, digest: &Digest) -> Path {
    base.clone().join("blobs").join("sha256").join(digest.hex())
}
