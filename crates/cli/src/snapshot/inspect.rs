//! `firebox snapshot inspect`.

use firebox_image::{ReadySnapshot, SnapshotName, Snapshots};

use crate::failure::Failure;
use crate::outlet;
use crate::shelf::Shelf;
use crate::snapshot::listed::{PlacedSnapshot, in_lines};
use crate::snapshot::told::{told_of_store, told_of_unsound};
use crate::snapshot::verify;

pub(super) fn inspect(snapshots: &Snapshots, name: &SnapshotName, json: bool) -> Result<(), Failure> {
    let Some(ReadySnapshot { record, state, memory, .. }) = snapshots.ready(name).map_err(told_of_store)? else {
        return Err(Shelf::Snapshots.lacks(name, &snapshots.names().map_err(told_of_store)?));
    };
    let place = snapshots.place(&record);
    verify(&state, Some(&memory)).map_err(|unsound| told_of_unsound(&place, name, unsound))?;
    let placed = PlacedSnapshot::of(snapshots, &record).map_err(told_of_store)?;
    if json { outlet::say_json(&placed) } else { outlet::say(&in_lines(&placed)) }
}
