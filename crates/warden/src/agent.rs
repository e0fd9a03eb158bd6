//! The agent, and other programs of ours, as what a process can become.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use firebox_confine::leave_out;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

use crate::StartError;
use crate::sys::execute_descriptor;

/// What the agent is called in a list of processes.
const AGENTS_NAME: &CStr = c"agent";

/// The agent as a program without a name that nobody can change, not even through a running copy of itself.
pub fn sealed_agent(agent: &[u8]) -> Result<OwnedFd, StartError> {
    let refused = StartError::kernel("keep the agent in memory");
    let memory = memfd_create("agent", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).map_err(&refused)?;
    let mut file = File::from(memory);
    file.write_all(agent).map_err(|source| StartError::Kernel { doing: "keep the agent in memory", source })?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(file.as_fd(), seals).map_err(&refused)?;
    Ok(file.into())
}

/// Becomes the agent, which is told by `surroundings` what kind of cell it is in. Returns only when that fails.
pub fn execute_agent(agent: BorrowedFd<'_>, surroundings: &str) -> Errno {
    let argument = match leave_out::left_out() {
        None => surroundings.to_owned(),
        Some(layer) => format!("{surroundings},{layer}"),
    };
    execute_program(agent, AGENTS_NAME, &argument)
}

/// Becomes a program, with this name and argument and an empty environment. Returns only when that fails.
pub fn execute_program(program: BorrowedFd<'_>, name: &CStr, argument: &str) -> Errno {
    match CString::new(argument) {
        Ok(argument) => execute_descriptor(program, name, &argument),
        Err(_) => Errno::INVAL,
    }
}
