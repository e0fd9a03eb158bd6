//! What a process was when it was frozen: bytes that agents alone understand.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::RunError;

/// The most that an image may hold. It comes out of a cell.
const MOST_BYTES: u64 = 256 << 20;

const COPIED_AT_ONCE: usize = 256 << 10;

/// An image that nobody can change any more.
#[derive(Debug)]
pub(crate) struct Image {
    file: File,
    asks: bool,
}

impl Image {
    /// Whether the process has nothing left to do before it asks for something of a job.
    pub(crate) fn asks(&self) -> bool {
        self.asks
    }

    /// The same, with what an agent has learnt of a copy.
    pub(crate) fn with(&self, learnt: &[u8]) -> Result<Image, RunError> {
        let mut whole = ImageBuilder::new()?;
        let mut chunk = vec![0; COPIED_AT_ONCE];
        loop {
            match self.file.read_at(&mut chunk, whole.bytes).map_err(RunError::Image)? {
                0 => break,
                read => whole.append(&chunk[..read])?,
            }
        }
        whole.append(learnt)?;
        whole.finish(self.asks)
    }
}

/// An image that is on its way.
pub(crate) struct ImageBuilder {
    file: File,
    bytes: u64,
}

impl ImageBuilder {
    pub(crate) fn new() -> Result<ImageBuilder, RunError> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create(c"firebox-template", flags).map_err(|errno| RunError::Image(errno.into()))?;
        Ok(ImageBuilder { file: File::from(file), bytes: 0 })
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), RunError> {
        self.bytes += bytes.len() as u64;
        if MOST_BYTES < self.bytes {
            return Err(RunError::Image(io::ErrorKind::FileTooLarge.into()));
        }
        self.file.write_all(bytes).map_err(RunError::Image)
    }

    pub(crate) fn finish(self, asks: bool) -> Result<Image, RunError> {
        let all = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&self.file, all).map_err(|errno| RunError::Image(errno.into()))?;
        Ok(Image { file: self.file, asks })
    }
}

impl AsFd for Image {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
