//! Whether two files are a snapshot: all of both is read.

use std::fs::File;
use std::os::unix::fs::FileExt;

use firebox_vmm::{NoSnapshot, OtherMemory, Snapshot};

/// The file that is not what it should be, and why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsound {
    /// The state.
    #[error(transparent)]
    State(#[from] NoSnapshot),
    /// The memory.
    #[error(transparent)]
    Memory(#[from] OtherMemory),
}

/// Whether the state is one that a machine could be made of, and the memory, if there is one already, the one that belongs to it.
pub(crate) fn verify(state: &File, memory: Option<&File>) -> Result<(), Unsound> {
    let snapshot = Snapshot::read_from(FromItsBegin { file: state, at: 0 })?;
    Ok(memory.map_or(Ok(()), |memory| snapshot.verify_memory(memory))?)
}

/// A file, wherever whoever has it open has read or written last.
struct FromItsBegin<'f> {
    file: &'f File,
    at: u64,
}

impl std::io::Read for FromItsBegin<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
