//! Hands out a file that a step has made, and tells whether the step left anything else.

use firebox_wire::{FetchOrder, Growth, MadeFile, Report};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, fstat, fstatfs, openat};
use rustix::io::Errno;

use crate::store::{PART_BYTES, part_name};
use crate::stream::{Gone, Stream};

/// The unit of a file's own count of blocks, whatever those of its file system are.
const STAT_BLOCK: u64 = 512;

/// How much there is in the file system of the cell.
#[derive(Clone, Copy, Default)]
pub(crate) struct Footprint {
    inodes: i64,
    blocks: i64,
}

impl Footprint {
    /// What there is now. Where that cannot be told there is nothing, and so everything is more than before.
    pub(crate) fn of(work: BorrowedFd<'_>) -> Footprint {
        fstatfs(work).map_or(Footprint::default(), |now| Footprint {
            inodes: now.f_files.wrapping_sub(now.f_ffree) as i64,
            blocks: now.f_blocks.wrapping_sub(now.f_bfree) as i64,
        })
    }

    fn since(self, before: Footprint) -> Growth {
        Growth { inodes: self.inodes.wrapping_sub(before.inodes), blocks: self.blocks.wrapping_sub(before.blocks) }
    }
}

/// A file that is to be handed out.
pub(crate) struct Fetched {
    file: OwnedFd,
    pub(crate) made: MadeFile,
    /// None of them, when there are more than were asked for.
    left: u64,
}

impl Fetched {
    /// Opens the file. It must be one, right in the work directory, and nothing that leads to one.
    pub(crate) fn open(work: BorrowedFd<'_>, order: &FetchOrder<'_>, stored: Footprint) -> Result<Fetched, Errno> {
        if order.name.contains(&b'/') {
            return Err(Errno::INVAL);
        }
        let mut buffer = [0; PART_BYTES];
        let name = part_name(order.name, &mut buffer)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(work, name, flags, Mode::empty())?;
        let found = fstat(&file)?;
        if !FileType::from_raw_mode(found.st_mode).is_file() {
            return Err(Errno::INVAL);
        }
        let bytes = found.st_size as u64;
        let block = fstatfs(&file)?.f_bsize as u64;
        let made = MadeFile {
            bytes,
            is_executable: Mode::from_raw_mode(found.st_mode).contains(Mode::XUSR),
            blocks: (found.st_blocks as u64 * STAT_BLOCK).div_ceil(block.max(1)),
            since_stored: Footprint::of(work).since(stored),
        };
        Ok(Fetched { file, made, left: if bytes <= order.most { bytes } else { 0 } })
    }

    /// Says all of it. Nobody is there who could change it meanwhile.
    pub(crate) fn hand_out(mut self, stream: &mut Stream, chunk: &mut [u8]) -> Result<(), Gone> {
        while self.left > 0 {
            let most = chunk.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            match rustix::io::read(self.file.as_fd(), &mut chunk[..most]) {
                Ok(0) => return Err(Gone::Protocol),
                Ok(read) => {
                    stream.send(&Report::Content(&chunk[..read]))?;
                    self.left -= read as u64;
                }
                Err(Errno::INTR) => {}
                Err(_) => return Err(Gone::Protocol),
            }
        }
        Ok(())
    }
}
