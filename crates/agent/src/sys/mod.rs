//! Everything in the agent that the compiler cannot check: the program's start, and the system calls that `rustix`
//! does not wrap. Each is small, says why it is sound, and is safe to call from the rest of the agent.
#![expect(unsafe_code, reason = "a program without a C library makes its own border to the kernel")]

mod inherited;
mod memory;
mod process;
mod signals;
mod start;

pub(crate) use inherited::{STREAM, WORK, inherited};
pub(crate) use memory::pages;
pub(crate) use process::{Fork, execute, exit, fork};
pub(crate) use signals::{Came, Heard, SignalFd, reset_signals, unblock_signals};
