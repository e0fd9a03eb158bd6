//! `firebox snapshot remove`.

use firebox_image::{SnapshotName, Snapshots};
use serde::Serialize;

use crate::failure::Failure;
use crate::outlet;
use crate::snapshot::told::told_of_store;
use crate::snapshot::unknown;

/// Names that were taken away.
#[derive(Serialize)]
struct Removed {
    removed: Vec<String>,
}

/// All of them, or none where one is unknown.
pub(super) fn remove(snapshots: &Snapshots, names: &[SnapshotName], json: bool) -> Result<(), Failure> {
    let known = snapshots.names().map_err(told_of_store)?;
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        return Err(unknown(&known, name));
    }
    for name in names {
        // Whoever else removes it at the same time wants the same.
        snapshots.remove(name).map_err(told_of_store)?;
    }
    let removed: Vec<String> = names.iter().map(SnapshotName::to_string).collect();
    if json {
        return outlet::say_json(&Removed { removed });
    }
    outlet::say(&removed.iter().map(|name| format!("removed {name}\n")).collect::<String>())
}
