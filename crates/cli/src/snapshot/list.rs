//! `firebox snapshot list`.

use firebox_image::{Snapshots, StoreError};

use crate::failure::Failure;
use crate::outlet;
use crate::snapshot::listed::{ListedSnapshot, in_table};
use crate::snapshot::told::told_of_store;

pub(super) fn list(snapshots: &Snapshots, json: bool) -> Result<(), Failure> {
    let mut listed = Vec::new();
    for name in snapshots.names().map_err(told_of_store)? {
        let found = snapshots.find(&name).and_then(|found| {
            found.map(|record| Ok(ListedSnapshot::of(&record, snapshots.allocated(&record)?))).transpose()
        });
        match found {
            Ok(found) => listed.extend(found),
            // The others are there all the same.
            Err(error @ StoreError::DamagedSnapshot { .. }) => outlet::remark(&format!("firebox: {name}: {error}\n")),
            Err(error) => return Err(told_of_store(error)),
        }
    }
    if json {
        return outlet::say_json(&listed);
    }
    if listed.is_empty() {
        outlet::remark("firebox: there are no snapshots; `firebox snapshot create` makes one\n");
        return Ok(());
    }
    outlet::say(&in_table(&listed))
}
