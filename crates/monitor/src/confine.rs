//! What a monitor does to itself, before it reads anything.
//!
//! The walls are its warden's work: namespaces, an empty root, a uid of its own, no capability, a control group. This is what only a
//! process can do to itself, or does best.

use firebox_confine::{ConfineError, Confined, Confinement, Files, Filter, Rlimits};

/// Descriptors: what it is handed, and for each processor and device some, and as many connections as a wire has.
const OPEN_FILES: u64 = 512;

/// Confines this process, for good. To be called before there is a second thread.
pub fn confine() -> Result<Confined, ConfineError> {
    let rlimits = Rlimits {
        open_files: Some(OPEN_FILES),
        // It writes to no file, and asks for no memory to be locked.
        file_bytes: Some(0),
        locked_bytes: Some(0),
        ..Rlimits::default()
    };
    // No rule: where there is Landlock, no file can be opened. What is open stays open.
    Confinement { rlimits, files: Files::Only(&[]), filter: Filter::MONITOR }.enter()
}
