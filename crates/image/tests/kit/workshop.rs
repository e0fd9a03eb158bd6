//! Where a test keeps what it makes.

use std::path::Path;

/// A directory that goes with the test: in memory where there is room, since a store has the disk know everything, and on
/// one that others write to as well that takes as long as they like.
pub(crate) fn workshop() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |status| status.f_bavail * status.f_frsize);
    let in_memory = (1 << 30 <= room).then(|| tempfile::tempdir_in(memory).ok()).flatten();
    in_memory.unwrap_or_else(|| tempfile::tempdir().unwrap())
}
