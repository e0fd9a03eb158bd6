//! What crosses the borders inside Firebox.
//!
//! Two protocols, both closed and versioned, both without allocation so that the agent can speak them:
//! - [`Order`] and [`Report`]: frames between the host and the agent inside a cell. The agent is treated as
//!   hostile: its frames are bounded by [`MAX_PAYLOAD`] before anything is stored.
//! - [`warden`]: messages between the engine and the warden, of a fixed size, numbers only.
//!
//! A frame is a [`Header`] and its payload. Nothing here reads or writes a descriptor.
#![no_std]

mod buffer;
mod decode;
mod fetch;
mod header;
mod order;
mod report;
mod strings;
pub mod warden;

pub use buffer::FrameBuffer;
pub use decode::DecodeError;
pub use fetch::{FetchOrder, Growth, MadeFile};
pub use header::{HEADER_BYTES, Header, MAX_PAYLOAD};
pub use order::{Ends, Halt, Order, Start, StepOrder, StepStdin, Terms};
pub use report::{End, Refusal, Report};
pub use strings::{MOST_STRINGS, Strings, StringsBuilder};

/// Where in a cell the job's files are, and where every step starts.
pub const WORK_DIRECTORY: &core::ffi::CStr = c"/job";

/// The version of the frames. The agent says it first of all; a host that speaks another refuses the cell.
pub const VERSION: u16 = 3;
