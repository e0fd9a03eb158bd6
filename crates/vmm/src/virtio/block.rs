//! The block device: a file of the host, to be read and never to be written.
//!
//! That is not a check but an absence: nothing in here writes to the file, and the descriptor it is given could not. A guest that
//! asks for a write gets an error, whatever it made of the announcement that the disk is read-only.
//!
//! Bytes go through a buffer of ours instead of straight into the guest's memory. The file is read at offsets, never from its position: the same
//! description may be open in other monitors.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{OFlags, fcntl_getfl};

use crate::memory::Memory;

use super::{Broken, Chain, Device, Queues, Spans};

/// A disk that can be read.
#[derive(Debug)]
pub struct Block {
    file: File,
    sectors: u64,
    config: [u8; CONFIG],
    buffer: Vec<u8>,
}

/// Why a file is no disk.
#[derive(Debug, thiserror::Error)]
pub enum NoDisk {
    /// It could be written to through this descriptor.
    #[error("a disk's file has to be opened for reading alone, so that no guest can ever write to it")]
    Writable,
    /// It is a directory, a pipe, or another thing.
    #[error("a disk has to be a regular file")]
    NotAFile,
    /// It has a part of a sector at its end.
    #[error("a disk has to be of whole sectors of 512 bytes, and this file has {0} bytes")]
    Size(u64),
    /// The host does not tell.
    #[error("cannot look at a disk's file: {0}")]
    Unread(#[from] io::Error),
}

/// What the specification numbers it as.
const KIND: u32 = 2;
const LENGTH: u16 = 64;
/// Features: limits to the segments of a request, how long and how many; a disk that cannot be written to; the size of its blocks.
const SEGMENT_SIZE: u64 = 1 << 1;
const SEGMENTS: u64 = 1 << 2;
const READ_ONLY: u64 = 1 << 5;
const BLOCK_SIZE: u64 = 1 << 6;

const SECTOR: u64 = 512;
/// What a filesystem reads at a time.
const BLOCK: u32 = 4096;
/// Capacity, the longest segment, how many there are, the geometry of old, the size of a block.
const CONFIG: usize = 24;
/// At a time; also what a segment of a request may have.
const BUFFER: usize = 32 << 10;
/// A request of so many segments, and so what a driver that keeps to what it is told never exceeds. All of the requests in a queue are read
/// before the processor that announced them runs on, or can be stopped: 128 MiB, some tens of milliseconds.
const MOST: u64 = 2 << 20;

/// Requests.
const READ: u32 = 0;
const WRITE: u32 = 1;
const IDENTIFY: u32 = 8;
/// Answers.
const OK: u8 = 0;
const FAILED: u8 = 1;
const UNSUPPORTED: u8 = 2;
/// How long an identity is, with zeros behind it.
const IDENTITY: usize = 20;

impl Block {
    /// Makes a disk of a file.
    pub fn new(file: File) -> Result<Block, NoDisk> {
        if fcntl_getfl(&file).map_err(io::Error::from)? & OFlags::RWMODE != OFlags::RDONLY {
            return Err(NoDisk::Writable);
        }
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(NoDisk::NotAFile);
        }
        if !metadata.len().is_multiple_of(SECTOR) {
            return Err(NoDisk::Size(metadata.len()));
        }
        let sectors = metadata.len().checked_div(SECTOR).unwrap_or(0);
        Ok(Block { file, sectors, config: config(sectors), buffer: vec![0; BUFFER] })
    }

    /// Answers a request; what is told is how many bytes of the guest's were written.
    fn answer(&mut self, chain: &mut Chain, memory: &Memory) -> Result<u32, Broken> {
        let mut header = [0; 16];
        chain.readable.read(memory, &mut header)?;
        let [a, b, c, d, _, _, _, _, sector @ ..] = header;
        let mut status = chain.writable.take_last()?;
        let answer = match u32::from_le_bytes([a, b, c, d]) {
            READ => self.read(u64::from_le_bytes(sector), &mut chain.writable, memory)?,
            WRITE => FAILED,
            IDENTIFY => identify(&mut chain.writable, memory)?,
            _ => UNSUPPORTED,
        };
        status.write(memory, &[answer])?;
        Ok(chain.writable.done().saturating_add(status.done()))
    }

    fn read(&mut self, sector: u64, into: &mut Spans, memory: &Memory) -> Result<u8, Broken> {
        let wanted = into.left();
        let end = wanted.checked_div(SECTOR).and_then(|count| sector.checked_add(count));
        let is_within = end.is_some_and(|end| end <= self.sectors);
        let Some(mut offset) = sector.checked_mul(SECTOR).filter(|_| is_within) else { return Ok(FAILED) };
        if MOST < wanted || !wanted.is_multiple_of(SECTOR) {
            return Ok(FAILED);
        }
        let mut left = wanted;
        while 0 < left {
            let now = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            let bytes = self.buffer.get_mut(..now).unwrap_or_default();
            // A file that has become shorter since gives an error, as a broken disk would.
            if self.file.read_exact_at(bytes, offset).is_err() {
                return Ok(FAILED);
            }
            into.write(memory, bytes)?;
            (left, offset) = (left.saturating_sub(now as u64), offset.saturating_add(now as u64));
        }
        Ok(OK)
    }
}

impl Device for Block {
    fn kind(&self) -> u32 {
        KIND
    }

    fn features(&self) -> u64 {
        SEGMENT_SIZE | SEGMENTS | READ_ONLY | BLOCK_SIZE
    }

    fn queues(&self) -> &'static [u16] {
        &[LENGTH]
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn serve(&mut self, queue: usize, queues: &mut Queues<'_>) -> Result<(), Broken> {
        for _ in 0..queues.length(queue) {
            let Some(mut chain) = queues.take(queue)? else { break };
            let written = self.answer(&mut chain, queues.memory())?;
            queues.give_back(queue, &chain, written)?;
        }
        Ok(())
    }
}

fn identify(into: &mut Spans, memory: &Memory) -> Result<u8, Broken> {
    let mut identity = *b"firebox\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let room = usize::try_from(into.left()).unwrap_or(IDENTITY).min(IDENTITY);
    into.write(memory, identity.get_mut(..room).unwrap_or_default())?;
    Ok(if room == IDENTITY { OK } else { FAILED })
}

fn config(sectors: u64) -> [u8; CONFIG] {
    // A header and the answer are segments too.
    let segments = u32::from(LENGTH.saturating_sub(2));
    let words = [sectors as u32, (sectors >> 32) as u32, BUFFER as u32, segments, 0, BLOCK];
    let mut config = [0; CONFIG];
    config.chunks_exact_mut(4).zip(words).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
    config
}
