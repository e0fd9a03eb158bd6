//! Everything in the agent that the compiler cannot check: the program's start, and the system calls that `rustix`
//! does not wrap. Each is small, says why it is sound, and is safe to call from the rest of the agent.
#![expect(unsafe_code, reason = "a program without a C library makes its own border to the kernel")]

mod inherited;
mod memory;
mod process;
mod signals;
mod start;
mod trace;
mod zone;

use rustix::io::Errno;

pub(crate) use inherited::{STREAM, WORK, inherited};
pub(crate) use memory::pages;
pub(crate) use process::{Fork, cpu, current_directory, execute, exit, fork};
pub(crate) use signals::{Came, Heard, SignalFd, reset_signals, set_handler, unblock_signals};
pub(crate) use trace::{
    Border, REGISTERS, Registers, Rseq, blocked_signals, border, detach, exits_with, go_on, interrupt, listen,
    new_thread, peek, poke, registers, rseq, seize, set_registers, to_next_call, vector_state, watch_exit,
};
pub(crate) use zone::{
    ASIDE, BEYOND, Belongings, Bring, Emptied, MOST_THREADS, Resumed, Shows, VECTOR_BYTES, begin_thread, call,
    close_between, forget_contents, give_number, give_up_everything, keep_only, map_contents, on_own_stack, outside,
    prepare, resume, set_bounds, take_up,
};

fn checked(result: Result<usize, syscalls::Errno>) -> Result<usize, Errno> {
    result.map_err(|errno| Errno::from_raw_os_error(errno.into_raw()))
}
