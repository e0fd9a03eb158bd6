//! `firebox snapshot inspect`.

use firebox_image::{ReadySnapshot, SnapshotName, Snapshots};
use serde::Serialize;

use crate::failure::Failure;
use crate::outlet;
use crate::snapshot::listed::{ListedSnapshot, in_lines};
use crate::snapshot::told::{told_of_store, told_of_unsound};
use crate::snapshot::unknown;
use crate::snapshot::verify::verify;

/// A snapshot that is what was frozen, and where it is.
#[derive(Serialize)]
struct Inspected {
    #[serde(flatten)]
    snapshot: ListedSnapshot,
    /// The directory that its files are in.
    place: String,
}

pub(super) fn inspect(snapshots: &Snapshots, name: &SnapshotName, json: bool) -> Result<(), Failure> {
    let Some(ReadySnapshot { record, state, memory, .. }) = snapshots.ready(name).map_err(told_of_store)? else {
        return Err(unknown(&snapshots.names().map_err(told_of_store)?, name));
    };
    let place = snapshots.place(&record);
    verify(&state, Some(&memory)).map_err(|unsound| told_of_unsound(&place, name, unsound))?;
    let snapshot = ListedSnapshot::of(&record, snapshots.allocated(&record).map_err(told_of_store)?);
    let place = place.display().to_string();
    if json { outlet::say_json(&Inspected { snapshot, place }) } else { outlet::say(&in_lines(&snapshot, &place)) }
}
