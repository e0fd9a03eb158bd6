//! Messages between the engine and the warden.
//!
//! Closed, of a fixed size, numbers only: the warden is the one process with privileges, and this is all it ever
//! parses. No path, no name and no text crosses here. What a cell may see was told to the warden at its start, as
//! numbered views, before anything hostile was near.
//!
//! On the engine's own socket a [`Make`] is answered by [`Made`] with two descriptors: the agent's stream, and the
//! cell's own socket. On that one a [`CellRequest`] is answered by a [`CellReply`]; closing it removes the cell.

use crate::DecodeError;
use crate::decode::Cursor;

/// The most that any message takes.
pub const MESSAGE_BYTES: usize = 64;

/// Make a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Make {
    /// Which of the views told at the start the cell has.
    pub view: u16,
}

/// The answer to [`Make`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// Here it is; two descriptors come along.
    Cell,
    /// It could not be made.
    Failed(Failure),
}

/// What the warden could not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What it was doing.
    pub stage: Stage,
    /// The kernel's reason.
    pub errno: i32,
}

/// A request about one cell, on that cell's own socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellRequest {
    /// Hold every process of the cell but the agent to these limits, as a new step.
    Limit(StepLimits),
    /// Say what the step has consumed.
    Measure,
    /// Remove the cell, and say when it is gone.
    Remove,
}

/// The answer to a [`CellRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellReply {
    /// The limits stand; how they are held.
    Limited(Held),
    /// What the step has consumed.
    Measured(Measured),
    /// Nothing of the cell is left.
    Removed,
    /// It could not be done.
    Failed(Failure),
}

/// What a step may consume, as far as the warden holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepLimits {
    /// Bytes of memory, files in memory not included.
    pub memory: u64,
    /// Processes and threads.
    pub tasks: u32,
    /// CPUs at once.
    pub vcpus: u32,
    /// Bytes of files beyond those that are there already.
    pub disk: u64,
    /// Files and directories beyond those that are there already.
    pub inodes: u32,
}

/// Which limits the kernel enforces; the others must be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Memory.
    pub memory: bool,
    /// Tasks.
    pub tasks: bool,
    /// CPUs at once.
    pub cpu: bool,
    /// Disk.
    pub disk: bool,
}

/// What a step has consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// CPU time of all its tasks, in nanoseconds.
    pub cpu_ns: u64,
    /// The most memory it held, in bytes; none where the host cannot tell.
    pub memory_peak: Option<u64>,
    /// How often the kernel killed one of its tasks for memory.
    pub oom_kills: u64,
    /// Whether its files have no byte or no inode left.
    pub disk_full: bool,
}

/// What the warden, or a process becoming a cell, was doing when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "each variant's text says what it is")]
pub enum Stage {
    Message = 1,
    View,
    LeaseUid,
    Cgroup,
    Clone,
    Network,
    Hostname,
    Files,
    Mount,
    Proc,
    Root,
    Ids,
    UserNamespace,
    Capabilities,
    Descriptors,
    Agent,
    Limits,
    Measure,
    Remove,
}

impl Stage {
    const ALL: [Stage; 19] = [
        Stage::Message,
        Stage::View,
        Stage::LeaseUid,
        Stage::Cgroup,
        Stage::Clone,
        Stage::Network,
        Stage::Hostname,
        Stage::Files,
        Stage::Mount,
        Stage::Proc,
        Stage::Root,
        Stage::Ids,
        Stage::UserNamespace,
        Stage::Capabilities,
        Stage::Descriptors,
        Stage::Agent,
        Stage::Limits,
        Stage::Measure,
        Stage::Remove,
    ];

    /// What was being done, to follow "cannot ".
    pub fn text(self) -> &'static str {
        match self {
            Stage::Message => "understand a message to the warden",
            Stage::View => "find the view a cell was asked for",
            Stage::LeaseUid => "lease a user id for a cell",
            Stage::Cgroup => "make the control groups of a cell",
            Stage::Clone => "start a process in new namespaces",
            Stage::Network => "bring up the private loopback",
            Stage::Hostname => "set the private host name",
            Stage::Files => "make the file systems of a cell",
            Stage::Mount => "mount the view of a cell",
            Stage::Proc => "mount a private /proc",
            Stage::Root => "enter the new root",
            Stage::Ids => "take on the leased user id",
            Stage::UserNamespace => "enter a user namespace",
            Stage::Capabilities => "drop capabilities",
            Stage::Descriptors => "close descriptors",
            Stage::Agent => "start the agent",
            Stage::Limits => "set the limits of a step",
            Stage::Measure => "measure a step",
            Stage::Remove => "remove a cell",
        }
    }

    /// The stage with this number.
    pub fn from_number(number: u8) -> Result<Stage, DecodeError> {
        Stage::ALL.into_iter().find(|stage| *stage as u8 == number).ok_or(DecodeError::Value(number))
    }
}

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

impl Message for Make {
    fn encode(&self) -> [u8; MESSAGE_BYTES] {
        Writer::new(MAKE).u16(self.view).done()
    }

    fn decode(bytes: &[u8]) -> Result<Make, DecodeError> {
        let (kind, mut cursor) = open(bytes)?;
        match kind {
            MAKE => Ok(Make { view: cursor.u16()? }),
            other => Err(DecodeError::UnknownKind(other)),
        }
    }
}

impl Message for Made {
    fn encode(&self) -> [u8; MESSAGE_BYTES] {
        match self {
            Made::Cell => Writer::new(MADE).done(),
            Made::Failed(failure) => Writer::new(MAKE_FAILED).failure(failure).done(),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Made, DecodeError> {
        let (kind, mut cursor) = open(bytes)?;
        match kind {
            MADE => Ok(Made::Cell),
            MAKE_FAILED => Ok(Made::Failed(failure(&mut cursor)?)),
            other => Err(DecodeError::UnknownKind(other)),
        }
    }
}

impl Message for CellRequest {
    fn encode(&self) -> [u8; MESSAGE_BYTES] {
        match self {
            CellRequest::Limit(StepLimits { memory, tasks, vcpus, disk, inodes }) => {
                Writer::new(LIMIT).u64(*memory).u32(*tasks).u32(*vcpus).u64(*disk).u32(*inodes).done()
            }
            CellRequest::Measure => Writer::new(MEASURE).done(),
            CellRequest::Remove => Writer::new(REMOVE).done(),
        }
    }

    fn decode(bytes: &[u8]) -> Result<CellRequest, DecodeError> {
        let (kind, mut cursor) = open(bytes)?;
        match kind {
            LIMIT => Ok(CellRequest::Limit(StepLimits {
                memory: cursor.u64()?,
                tasks: cursor.u32()?,
                vcpus: cursor.u32()?,
                disk: cursor.u64()?,
                inodes: cursor.u32()?,
            })),
            MEASURE => Ok(CellRequest::Measure),
            REMOVE => Ok(CellRequest::Remove),
            other => Err(DecodeError::UnknownKind(other)),
        }
    }
}

impl Message for CellReply {
    fn encode(&self) -> [u8; MESSAGE_BYTES] {
        match self {
            CellReply::Limited(Held { memory, tasks, cpu, disk }) => {
                Writer::new(LIMITED).flag(*memory).flag(*tasks).flag(*cpu).flag(*disk).done()
            }
            CellReply::Measured(Measured { cpu_ns, memory_peak, oom_kills, disk_full }) => Writer::new(MEASURED)
                .u64(*cpu_ns)
                .flag(memory_peak.is_some())
                .u64(memory_peak.unwrap_or(0))
                .u64(*oom_kills)
                .flag(*disk_full)
                .done(),
            CellReply::Removed => Writer::new(REMOVED).done(),
            CellReply::Failed(failure) => Writer::new(CELL_FAILED).failure(failure).done(),
        }
    }

    fn decode(bytes: &[u8]) -> Result<CellReply, DecodeError> {
        let (kind, mut cursor) = open(bytes)?;
        match kind {
            LIMITED => Ok(CellReply::Limited(Held {
                memory: flag(&mut cursor)?,
                tasks: flag(&mut cursor)?,
                cpu: flag(&mut cursor)?,
                disk: flag(&mut cursor)?,
            })),
            MEASURED => {
                let cpu_ns = cursor.u64()?;
                let known = flag(&mut cursor)?;
                let peak = cursor.u64()?;
                let memory_peak = known.then_some(peak);
                Ok(CellReply::Measured(Measured {
                    cpu_ns,
                    memory_peak,
                    oom_kills: cursor.u64()?,
                    disk_full: flag(&mut cursor)?,
                }))
            }
            REMOVED => Ok(CellReply::Removed),
            CELL_FAILED => Ok(CellReply::Failed(failure(&mut cursor)?)),
            other => Err(DecodeError::UnknownKind(other)),
        }
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

fn flag(cursor: &mut Cursor<'_>) -> Result<bool, DecodeError> {
    match cursor.u8()? {
        0 => Ok(false),
        1 => Ok(true),
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

    fn failure(self, failure: &Failure) -> Writer {
        self.put([failure.stage as u8]).put(failure.errno.to_le_bytes())
    }

    fn done(self) -> [u8; MESSAGE_BYTES] {
        self.bytes
    }
}
