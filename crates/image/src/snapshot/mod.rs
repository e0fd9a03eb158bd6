//! Snapshots that are kept: microVMs that were frozen, each a file of state and a file of memory, from which any number of machines are made.
//!
//! ```text
//! draft: two empty files --whoever freezes a machine, or fetches one, fills them--> keep --> frozen, by what it is --> named, by what it is asked for by
//! ```
//!
//! What is in the two files is the monitor's, and nothing here reads it. What is looked at is that they are what was kept: the state by its digest,
//! whenever it is opened; the memory by its length, since to read all of it would take a hundred times as long as to make a machine of it. The state
//! has a digest of the memory in it, and whoever fetches or inspects a snapshot asks the monitor to look for that.

mod draft;
mod name;
mod record;
mod shelf;
#[cfg(test)]
mod tests;

pub use draft::SnapshotDraft;
pub use name::{NoSnapshotName, SnapshotName};
pub(crate) use record::WrittenSnapshot;
pub use record::{Frozen, SnapshotRecord};
pub(crate) use shelf::{MEMORY, STATE};
pub use shelf::{ReadySnapshot, SnapshotDamage, Snapshots};
