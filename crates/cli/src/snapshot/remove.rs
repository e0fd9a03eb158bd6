//! `firebox snapshot remove`.

use firebox_image::{SnapshotName, Snapshots};

use crate::failure::Failure;
use crate::shelf::{Shelf, tell_of_removed};
use crate::snapshot::told::told_of_store;

/// All of them, or none where one is unknown.
pub(super) fn remove(snapshots: &Snapshots, names: &[SnapshotName], json: bool) -> Result<(), Failure> {
    Shelf::Snapshots.has(names, &snapshots.names().map_err(told_of_store)?)?;
    for name in names {
        // Whoever else removes it at the same time wants the same.
        snapshots.remove(name).map_err(told_of_store)?;
    }
    tell_of_removed(names, json)
}
