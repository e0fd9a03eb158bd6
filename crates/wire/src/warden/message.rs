//! The messages as bytes: a kind, then what belongs to it, then zeros.

use super::{CellReply, CellRequest, Failure, Held, MESSAGE_BYTES, Made, Make, Measured, Past, Stage, StepLimits};
use crate::DecodeError;
use crate::decode::Cursor;

/// A message of a fixed size.
pub trait Message: Sized {
    /// Its bytes.
    fn encode(&self) -> [u8; MESSAGE_BYTES];
    /// Reads it back; anything but a message of this version and kind is refused.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;
}

const MAKE: u8 = 1;
const MADE: u8 = 2;
const MAKE_FAILED: u8 = 3;
const LIMIT: u8 = 4;
const MEASURE: u8 = 5;
const REMOVE: u8 = 6;
const LIMITED: u8 = 7;
const MEASURED: u8 = 8;
const REMOVED: u8 = 9;
const CELL_FAILED: u8 = 10;
const BORN: u8 = 11;

impl Message for Make {
    fn encode(&self) -> [u8; MESSAGE_BYTES] {
        Writer::new(MAKE).u16(self.view).done()
    }

    fn decode(bytes: &[u8]) -> Result<Make, DecodeError> {
        let (kind, mut cursor) = open(bytes)?;
        match kind {
            MAKE => closed(Make { view: cursor.u16()? }, cursor),
            other => Err(DecodeError::UnknownKind(other)),
        }
    }
}

impl Message for Made {
    fn encode(&self) -> [u8; MESSAGE_BYTES] {
        match self {
            Made::Cell { number } => Writer::new(MADE).u32(*number).done(),
            Made::Failed(failure) => Writer::new(MAKE_FAILED).failure(failure).done(),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Made, DecodeError> {
        let (kind, mut cursor) = open(bytes)?;
        let message = match kind {
            MADE => Made::Cell { number: cursor.u32()? },
            MAKE_FAILED => Made::Failed(failure(&mut cursor)?),
            other => return Err(DecodeError::UnknownKind(other)),
        };
        closed(message, cursor)
    }
}

impl Message for CellRequest {
    fn encode(&self) -> [u8; MESSAGE_BYTES] {
        match self {
            CellRequest::Limit(StepLimits { memory, tasks, vcpus, disk, inodes, wall_ms }) => {
                Writer::new(LIMIT).u64(*memory).u32(*tasks).u32(*vcpus).u64(*disk).u32(*inodes).u64(*wall_ms).done()
            }
            CellRequest::Measure => Writer::new(MEASURE).done(),
            CellRequest::Remove => Writer::new(REMOVE).done(),
        }
    }

    fn decode(bytes: &[u8]) -> Result<CellRequest, DecodeError> {
        let (kind, mut cursor) = open(bytes)?;
        let message = match kind {
            LIMIT => CellRequest::Limit(StepLimits {
                memory: cursor.u64()?,
                tasks: cursor.u32()?,
                vcpus: cursor.u32()?,
                disk: cursor.u64()?,
                inodes: cursor.u32()?,
                wall_ms: cursor.u64()?,
            }),
            MEASURE => CellRequest::Measure,
            REMOVE => CellRequest::Remove,
            other => return Err(DecodeError::UnknownKind(other)),
        };
        closed(message, cursor)
    }
}

impl Message for CellReply {
    fn encode(&self) -> [u8; MESSAGE_BYTES] {
        match self {
            CellReply::Born => Writer::new(BORN).done(),
            CellReply::Limited(Held { memory, tasks, cpu, disk }) => {
                Writer::new(LIMITED).flag(*memory).flag(*tasks).flag(*cpu).flag(*disk).done()
            }
            CellReply::Measured(Measured { cpu_ns, past, memory_peak, oom_kills, starved, disk_full, others }) => {
                Writer::new(MEASURED)
                    .u64(*cpu_ns)
                    .past(*past)
                    .maybe(*memory_peak)
                    .u64(*oom_kills)
                    .flag(*starved)
                    .flag(*disk_full)
                    .flag(*others)
                    .done()
            }
            CellReply::Removed => Writer::new(REMOVED).done(),
            CellReply::Failed(failure) => Writer::new(CELL_FAILED).failure(failure).done(),
        }
    }

    fn decode(bytes: &[u8]) -> Result<CellReply, DecodeError> {
        let (kind, mut cursor) = open(bytes)?;
        let message = match kind {
            BORN => CellReply::Born,
            LIMITED => CellReply::Limited(Held {
                memory: flag(&mut cursor)?,
                tasks: flag(&mut cursor)?,
                cpu: flag(&mut cursor)?,
                disk: flag(&mut cursor)?,
            }),
            MEASURED => {
                let (cpu_ns, past, memory_peak) = (cursor.u64()?, past(&mut cursor)?, maybe(&mut cursor)?);
                let (oom_kills, starved) = (cursor.u64()?, flag(&mut cursor)?);
                let (disk_full, others) = (flag(&mut cursor)?, flag(&mut cursor)?);
                CellReply::Measured(Measured { cpu_ns, past, memory_peak, oom_kills, starved, disk_full, others })
            }
            REMOVED => CellReply::Removed,
            CELL_FAILED => CellReply::Failed(failure(&mut cursor)?),
            other => return Err(DecodeError::UnknownKind(other)),
        };
        closed(message, cursor)
    }
}

fn open(bytes: &[u8]) -> Result<(u8, Cursor<'_>), DecodeError> {
    if bytes.len() != MESSAGE_BYTES {
        return Err(DecodeError::Length);
    }
    let mut cursor = Cursor(bytes);
    let kind = cursor.u8()?;
    Ok((kind, cursor))
}

/// Nothing may follow: see [`Writer`].
fn closed<M>(message: M, cursor: Cursor<'_>) -> Result<M, DecodeError> {
    if cursor.0.iter().all(|byte| *byte == 0) { Ok(message) } else { Err(DecodeError::Reserved) }
}

fn flag(cursor: &mut Cursor<'_>) -> Result<bool, DecodeError> {
    match cursor.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(DecodeError::Value(other)),
    }
}

fn maybe(cursor: &mut Cursor<'_>) -> Result<Option<u64>, DecodeError> {
    match (flag(cursor)?, cursor.u64()?) {
        (true, value) => Ok(Some(value)),
        (false, 0) => Ok(None),
        (false, _) => Err(DecodeError::Reserved),
    }
}

fn past(cursor: &mut Cursor<'_>) -> Result<Option<Past>, DecodeError> {
    match cursor.u8()? {
        0 => Ok(None),
        1 => Ok(Some(Past::Memory)),
        2 => Ok(Some(Past::Tasks)),
        3 => Ok(Some(Past::Disk)),
        other => Err(DecodeError::Value(other)),
    }
}

fn failure(cursor: &mut Cursor<'_>) -> Result<Failure, DecodeError> {
    Ok(Failure { stage: Stage::from_number(cursor.u8()?)?, errno: cursor.i32()? })
}

/// Fills a message from the front; what is left stays zero.
struct Writer {
    bytes: [u8; MESSAGE_BYTES],
    used: usize,
}

impl Writer {
    fn new(kind: u8) -> Writer {
        Writer { bytes: [0; MESSAGE_BYTES], used: 0 }.put([kind])
    }

    fn put<const N: usize>(mut self, bytes: [u8; N]) -> Writer {
        self.bytes[self.used..self.used + N].copy_from_slice(&bytes);
        self.used += N;
        self
    }

    fn u16(self, value: u16) -> Writer {
        self.put(value.to_le_bytes())
    }

    fn u32(self, value: u32) -> Writer {
        self.put(value.to_le_bytes())
    }

    fn u64(self, value: u64) -> Writer {
        self.put(value.to_le_bytes())
    }

    fn flag(self, value: bool) -> Writer {
        self.put([u8::from(value)])
    }

    fn maybe(self, value: Option<u64>) -> Writer {
        self.flag(value.is_some()).u64(value.unwrap_or(0))
    }

    fn past(self, past: Option<Past>) -> Writer {
        self.put([match past {
            None => 0,
            Some(Past::Memory) => 1,
            Some(Past::Tasks) => 2,
            Some(Past::Disk) => 3,
        }])
    }

    fn failure(self, failure: &Failure) -> Writer {
        self.put([failure.stage as u8]).put(failure.errno.to_le_bytes())
    }

    fn done(self) -> [u8; MESSAGE_BYTES] {
        self.bytes
    }
}
