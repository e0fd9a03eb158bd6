//! The system calls that are left.
//!
//! Owns the compiled filters and their installation. What they say is decided in `seccomp/*.toml`, each call with its
//! reason, and compiled by the build script.
//!
//! A job's filter is an allow-list. What a program asks for only when it means it is answered with EPERM, so that its
//! message tells why; all the rest with ENOSYS, as by an older kernel, so that libraries fall back. So is a monitor's.

use crate::error::ConfineError;
use crate::layer::Layer;
use crate::sys;

include!(concat!(env!("OUT_DIR"), "/filters.rs"));

/// A filter on system calls, compiled when this crate was.
#[derive(Clone, Copy, Debug)]
pub struct Filter(&'static [Instruction]);

/// One instruction of classic BPF, laid out as the kernel's `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    operand: u32,
}

impl Filter {
    /// What a job and the compilers that work for it may ask of the kernel.
    pub const JOB: Filter = Filter(&JOB);

    /// The same in a fence, where no namespaces stand between a job and the host: less of what reaches it.
    pub const FENCE: Filter = Filter(&FENCE);

    /// What an agent may ask: as a job, and what it needs to stop a tool ahead of its job and to look into it.
    pub const AGENT: Filter = Filter(&AGENT);

    /// The same in a fence.
    pub const FENCE_AGENT: Filter = Filter(&FENCE_AGENT);

    /// On top of an agent's: leaves what a job may ask. Small, since each step puts it on.
    pub const STEP: Filter = Filter(&STEP);

    /// What the monitor of a microVM may ask.
    pub const MONITOR: Filter = Filter(&MONITOR);

    /// The same of one whose machine is to be frozen: it reads all there is to know of it, too, and writes that down.
    pub const FREEZING_MONITOR: Filter = Filter(&FREEZING_MONITOR);

    /// The same of one whose machine goes on where another was frozen: it sets all there is to be set, too.
    pub const CLONES_MONITOR: Filter = Filter(&CLONES_MONITOR);

    /// On top of any of these, for a thread that meets the guest.
    pub const MACHINE: Filter = Filter(&MACHINE);

    /// Puts the calling thread and all it starts under this filter, for good and on top of filters already there.
    ///
    /// Needs [`forbid_new_privileges`](crate::forbid_new_privileges) first, or CAP_SYS_ADMIN. No flags: kernels before
    /// 5.16 slow a filtered thread down against speculative store bypass unless told not to, and we do not tell them.
    pub fn install(self) -> Result<(), ConfineError> {
        if Layer::Seccomp.is_left_out() {
            return Ok(());
        }
        sys::seccomp_install(self.0).map_err(ConfineError::refused(Layer::Seccomp))
    }
}

impl Instruction {
    const fn new(code: u16, if_true: u8, if_false: u8, operand: u32) -> Instruction {
        Instruction { code, if_true, if_false, operand }
    }
}

#[cfg(test)]
mod tests;
