//! Snapshots as `firebox snapshot` shows them.

use firebox_api::utc;
use firebox_image::{Frozen, SnapshotRecord, Snapshots, StoreError};
use serde::Serialize;

use crate::rootfs::size;
use crate::table::table;

/// A snapshot, as data.
#[derive(Debug, Serialize)]
pub(super) struct ListedSnapshot {
    name: String,
    language: String,
    /// What its jobs are promised.
    memory_mb: u32,
    vcpus: u8,
    /// All of the machine's memory.
    machine_bytes: u64,
    /// What all of it takes on the disk: there are holes wherever nothing was in the memory.
    bytes: u64,
    made: String,
    image: String,
    tree: String,
    disk: String,
    kernel: String,
    /// Of what waits in it for a job, if anything does.
    tool: Option<String>,
    protocol: u32,
    /// Of its state, which has that of its memory in it.
    state: String,
    state_bytes: u64,
    /// Of the record of all this.
    digest: String,
}

impl ListedSnapshot {
    /// One that takes so many bytes.
    pub(super) fn of(record: &SnapshotRecord, bytes: u64) -> ListedSnapshot {
        // Exhaustive: what else is known of a snapshot has to be decided here.
        let SnapshotRecord { frozen, state } = record;
        let Frozen { name, image, tree, disk, kernel, machine_bytes, tool, protocol, made } = frozen;
        ListedSnapshot {
            name: name.to_string(),
            language: name.language().to_owned(),
            memory_mb: name.mebibytes(),
            vcpus: name.vcpus(),
            machine_bytes: *machine_bytes,
            bytes,
            made: utc(*made),
            image: image.to_string(),
            tree: tree.to_string(),
            disk: disk.to_string(),
            kernel: kernel.to_string(),
            tool: tool.map(|digest| digest.to_string()),
            protocol: *protocol,
            state: state.digest.to_string(),
            state_bytes: state.bytes,
            digest: record.digest().to_string(),
        }
    }
}

/// One that is kept here, and where.
#[derive(Debug, Serialize)]
pub(super) struct PlacedSnapshot {
    #[serde(flatten)]
    snapshot: ListedSnapshot,
    /// The directory that its files are in.
    pub(super) place: String,
}

impl PlacedSnapshot {
    pub(super) fn of(snapshots: &Snapshots, record: &SnapshotRecord) -> Result<PlacedSnapshot, StoreError> {
        let snapshot = ListedSnapshot::of(record, snapshots.allocated(record)?);
        Ok(PlacedSnapshot { snapshot, place: snapshots.place(record).display().to_string() })
    }

    /// What it takes on the disk.
    pub(super) fn bytes(&self) -> u64 {
        self.snapshot.bytes
    }
}

/// One line for each.
pub(super) fn in_table(snapshots: &[ListedSnapshot]) -> String {
    let columns = ["NAME", "LANGUAGE", "MEMORY", "VCPUS", "SIZE", "MADE", "KERNEL", "IMAGE"];
    let mut rows = vec![columns.map(str::to_owned)];
    for snapshot in snapshots {
        rows.push([
            snapshot.name.clone(),
            snapshot.language.clone(),
            format!("{} MiB", snapshot.memory_mb),
            snapshot.vcpus.to_string(),
            size(snapshot.bytes),
            snapshot.made.clone(),
            snapshot.kernel.clone(),
            snapshot.image.clone(),
        ]);
    }
    table(&rows)
}

/// All that is known of one that is what was frozen.
pub(super) fn in_lines(PlacedSnapshot { snapshot, place }: &PlacedSnapshot) -> String {
    let none = || "none".to_owned();
    let rows = [
        ("name", snapshot.name.clone()),
        ("language", snapshot.language.clone()),
        ("memory", format!("{} MiB", snapshot.memory_mb)),
        ("vcpus", snapshot.vcpus.to_string()),
        ("machine", size(snapshot.machine_bytes)),
        ("size", size(snapshot.bytes)),
        ("made", snapshot.made.clone()),
        ("image", snapshot.image.clone()),
        ("tree", snapshot.tree.clone()),
        ("disk", snapshot.disk.clone()),
        ("kernel", snapshot.kernel.clone()),
        ("tool", snapshot.tool.clone().unwrap_or_else(none)),
        ("protocol", snapshot.protocol.to_string()),
        ("state", snapshot.state.clone()),
        ("digest", snapshot.digest.clone()),
        ("place", place.clone()),
        ("verified", "its state and its memory are what was frozen".to_owned()),
    ];
    table(&rows.map(|(what, is)| [what.to_owned(), is]))
}
