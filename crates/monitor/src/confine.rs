//! What a monitor does to itself, before it reads anything.
//!
//! The walls are its warden's work: namespaces, an empty root, a uid of its own, no capability, a control group. This is what only a
//! process can do to itself, or does best.

use firebox_confine::{ConfineError, Confined, Confinement, Files, Filter, Rlimits};
use firebox_vmm::Snapshot;

use crate::orders::{Course, Orders};

/// Descriptors: what it is handed, and for each processor and device some, and as many connections as a wire has.
const OPEN_FILES: u64 = 512;

/// Confines this process, for good, to what it takes to carry out these orders. To be called before there is a second thread.
pub fn confine(orders: Orders) -> Result<Confined, ConfineError> {
    let Orders { memory, course, .. } = orders;
    let (filter, file_bytes) = match course {
        Course::Boot => (Filter::MONITOR, 0),
        Course::Freeze => (Filter::FREEZING_MONITOR, memory.max(Snapshot::MOST_BYTES as u64)),
        Course::GoOn => (Filter::CLONES_MONITOR, 0),
    };
    let rlimits = Rlimits {
        open_files: Some(OPEN_FILES),
        // It writes to no file but those that a machine is frozen into, and asks for no memory to be locked.
        file_bytes: Some(file_bytes),
        locked_bytes: Some(0),
        ..Rlimits::default()
    };
    // No rule: where there is Landlock, no file can be opened. What is open stays open.
    Confinement { rlimits, files: Files::Only(&[]), filter }.enter()
}
