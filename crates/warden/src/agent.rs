//! The agent as a program that a process can become.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::StartError;

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
