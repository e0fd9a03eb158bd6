//! The host's side of a cell.

use std::fmt;
use std::io;
use std::num::NonZeroU32;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use firebox_job::{ByteSize, CellKind, Enforcement};

use crate::{AgentStream, CellError, Layout};

/// One single-use isolated place, ready for a job.
///
/// Dropping it at any point kills what runs inside and gives back every host resource it held.
pub struct Cell {
    /// Frames to and from the agent inside. Whatever comes out of it is hostile until parsed.
    pub agent: AgentStream,
    /// What the host knows and does about this cell, whoever lives in it.
    pub host: Box<dyn CellHost>,
    /// Where its programs find things.
    pub layout: Layout,
    /// How far it had come when it was made.
    pub begun: Begun,
}

/// How far a cell had come when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It is new, and its agent says when it stands.
    No,
    /// It goes on where another was frozen, whose agent stood.
    Agent,
    /// So it does, and the tool of a first step stood there as well.
    Tool,
}

/// Where a cell is frozen into: two empty files that can be written to.
#[derive(Debug, Clone, Copy)]
pub struct FrozenInto<'a> {
    /// For how all stands in there.
    pub state: BorrowedFd<'a>,
    /// For its memory.
    pub memory: BorrowedFd<'a>,
}

/// Makes cells of one kind.
pub trait CellMaker: fmt::Debug + Send + Sync {
    /// Which kind.
    fn kind(&self) -> CellKind;

    /// Makes a cell with one of the views that the maker was started with.
    fn make(&self, view: u16) -> Result<Cell, CellError>;

    /// Whether it has died: then it never makes a cell again. May have to wait for who talks to it.
    fn is_gone(&self) -> bool;

    /// Ends the maker and all its cells, and returns when nothing is left. Dropping does the same, and tells nobody
    /// when it fails.
    fn close(self: Box<Self>) -> Result<(), CellError>;
}

/// The host's side of a cell: measured and limited from outside, never on the agent's word.
pub trait CellHost: Send {
    /// Which kind of cell this is.
    fn kind(&self) -> CellKind;

    /// Begins a step: every process of the cell but the agent is held to these limits from now on, together, and
    /// measuring starts from zero, whatever these processes have used before.
    ///
    /// Called once per step, after the agent has prepared the step's process and before that may go.
    fn limit(&mut self, limits: &StepLimits) -> Result<Enforcement, CellError>;

    /// What the step has consumed so far. Where somebody has to be asked who may not answer, as the guest of a microVM, no longer than
    /// until then.
    fn measure(&mut self, until: Instant) -> Result<Measured, CellError>;

    /// What has become of the place around the cell, where its agent is not heard any more and that may be why. May wait a moment to hear of it.
    fn fate(&self) -> Option<CellError> {
        None
    }

    /// Has the cell frozen, whose agent nobody is connected to any more. It is removed when this returns. Only machines can be.
    fn freeze(self: Box<Self>, _into: FrozenInto<'_>) -> Result<(), CellError> {
        Err(CellError::Refused { doing: "freeze a cell", source: io::ErrorKind::Unsupported.into() })
    }

    /// Has the cell removed, and does not wait for that: what ends its processes has been asked for when this returns.
    /// Dropping does the same, and tells nobody what becomes of it.
    fn order_removal(self: Box<Self>) -> Result<Box<dyn Removal>, CellError>;

    /// Removes the cell, and returns when nothing of it is left.
    fn remove(self: Box<Self>) -> Result<(), CellError> {
        self.order_removal()?.wait()
    }
}

/// The removal of a cell, on its way. It goes on when this is dropped.
pub trait Removal: Send {
    /// Whether it has come to its end, well or not: then waiting for it takes no time.
    fn is_over(&self) -> bool;

    /// Returns when nothing of the cell is left.
    fn wait(self: Box<Self>) -> Result<(), CellError>;
}

/// What one step may consume, as far as a cell holds it. Time is the engine's business, but for the last resort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepLimits {
    /// Memory of all its tasks together; its files in memory do not count.
    pub memory: ByteSize,
    /// Live processes and threads.
    pub tasks: NonZeroU32,
    /// CPUs at once.
    pub vcpus: NonZeroU32,
    /// Bytes of files beyond those that are there already.
    pub disk: ByteSize,
    /// Files and directories beyond those that are there already.
    pub inodes: u32,
    /// After this time the cell ends by itself. Later than the engine would end the step: for an engine that was stopped,
    /// or hangs, and cannot.
    pub most: Duration,
}

/// What a step has consumed, by the host's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measured {
    /// CPU time of all its tasks.
    pub cpu: Duration,
    /// A limit that it is past now. Only one that is watched: where the kernel holds it, nothing gets past.
    pub past: Option<Past>,
    /// The most memory it held at once; none where the host cannot tell.
    pub memory_peak: Option<ByteSize>,
    /// How often the kernel killed one of its tasks for memory.
    pub oom_kills: u64,
    /// Whether it was at its limit of memory and spent itself on reading back what it had no room to keep, its own code
    /// first of all. The kernel does not kill for that, since it always finds something to let go of.
    pub starved: bool,
    /// Whether its files have no byte or no inode left.
    pub disk_full: bool,
    /// Whether there is any process in the cell but its agent, whichever step it is of. When there is none and the agent is
    /// not told to make one, there will be none.
    pub others: bool,
}

/// A limit that a step has gone past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// Memory.
    Memory,
    /// Tasks.
    Tasks,
    /// Disk.
    Disk,
}
