//! Messages between the engine and the warden.
//!
//! Closed, of a fixed size, numbers only: the warden is the one process with privileges, and this is all it ever
//! parses. No path, no name and no text crosses here. What a cell may see was told to the warden at its start, as
//! numbered views, before anything hostile was near.
//!
//! On the engine's own socket a [`Make`] is answered by [`Made`] with two descriptors: the agent's stream, and the
//! cell's own socket. That comes as soon as there is a process to become the cell. What has become of it is said on the
//! cell's own socket, unasked and once: [`CellReply::Born`], or why not. So any number of cells can be under way, and no
//! answer about one is ever taken for another's. From then on a [`CellRequest`] on that socket is answered by a
//! [`CellReply`]; closing it removes the cell.

mod message;
mod stage;

pub use message::Message;
pub use stage::Stage;

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
    /// It is being made; two descriptors come along.
    Cell {
        /// Which it is, of all that this warden has made.
        number: u32,
    },
    /// It could not even be begun.
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

/// The answer to a [`CellRequest`], and before all of them what became of the cell's birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellReply {
    /// The cell stands: its agent has started.
    Born,
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
    /// Milliseconds after which the warden ends the cell by itself, should its engine not have done so.
    pub wall_ms: u64,
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
    /// A limit that is only watched and that it is past now: the engine is to end it.
    pub past: Option<Past>,
    /// The most memory it held, in bytes; none where the host cannot tell.
    pub memory_peak: Option<u64>,
    /// How often the kernel killed one of its tasks for memory.
    pub oom_kills: u64,
    /// Whether it kept reading back what it had no memory to keep: see the engine's host.
    pub starved: bool,
    /// Whether its files have no byte or no inode left.
    pub disk_full: bool,
    /// Whether there is any process in the cell but its agent, whichever step it is of.
    pub others: bool,
}

/// A limit that a step has gone past, where nothing held it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// Memory.
    Memory,
    /// Tasks.
    Tasks,
    /// Disk.
    Disk,
}
