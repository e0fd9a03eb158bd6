//! From one process with rights to two: the warden that keeps them, and the engine that gives them up.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use firebox_cell::{Mount, View};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::thread::{Gid, Uid};

use super::serve::Service;
use crate::client::Jail;
use crate::rights::{EngineUser, Rights};
use crate::sys::{self, Forked};
use crate::tether::Tether;

/// A warden that has been started, and a caller that still has its rights. Dropping it ends the warden.
#[derive(Debug)]
pub struct Warden {
    tether: Tether,
    engine: EngineUser,
}

/// Why no warden could be started. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another thread would be copied in the middle of whatever it does.
    #[error("the warden must be started before any thread, as `/proc/self/task` can tell")]
    Threads,
    /// The place where firebox processes meet cannot be used.
    #[error("cannot use {}; started by root, firebox needs to write some KiB there", .path.display())]
    RunDirectory {
        /// The file or directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// As many firebox processes as there can be run already.
    #[error("too many firebox processes run on this host, or all their user ids are taken; end some of them")]
    TooMany,
    /// Control groups cannot be used.
    #[error("cannot use control groups")]
    Groups {
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A part of what a cell is to see cannot be opened.
    #[error("cannot show {} to a cell", .path.display())]
    View {
        /// The part.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The kernel refused something.
    #[error("cannot {doing}")]
    Kernel {
        /// What was being done.
        doing: &'static str,
        /// The reason.
        source: io::Error,
    },
}

fn kernel(doing: &'static str) -> impl Fn(rustix::io::Errno) -> StartError {
    move |errno| StartError::Kernel { doing, source: errno.into() }
}

impl Warden {
    /// Starts a warden that can make cells with these views. The caller keeps its rights until it drops them.
    ///
    /// To be called before there is any thread and before anything hostile is near: from here on the warden listens
    /// to nobody but through its messages.
    pub fn start(views: &[View], agent: &'static [u8]) -> Result<Warden, StartError> {
        if !alone() {
            return Err(StartError::Threads);
        }
        let (rights, engine) = Rights::claim()?;
        for Mount { outside, .. } in views.iter().flat_map(|view| &view.mounts) {
            let there = std::fs::metadata(outside);
            there.map_err(|source| StartError::View { path: outside.clone(), source })?;
        }
        let agent = sealed(agent)?;
        let flags = SocketFlags::CLOEXEC;
        let (ours, wardens) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .map_err(kernel("make a socket for the warden"))?;
        let process = match sys::fork().map_err(kernel("start the warden"))? {
            Forked::Child => {
                drop(ours);
                Service { socket: wardens, rights, agent }.run(views)
            }
            Forked::Parent(pid) => pid,
        };
        Ok(Warden { tether: Tether::new(ours, process), engine })
    }

    /// Gives up every right of this process, for good. What was opened before stays open.
    pub fn drop_privileges(self) -> Result<Jail, StartError> {
        let Warden { tether, engine } = self;
        let refused = kernel("give up the rights that firebox was started with");
        if let EngineUser::Leased(id) = engine {
            let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
            rustix::thread::set_thread_groups(&[]).map_err(&refused)?;
            rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(&refused)?;
            rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(&refused)?;
        }
        let confined = firebox_confine::drop_capabilities()
            .and_then(|_| firebox_confine::forbid_new_privileges())
            // What a client sent and a job answered is in this process's memory.
            .and_then(|()| firebox_confine::forbid_dumps());
        confined.map_err(|error| refused(error.errno()))?;
        Ok(Jail::new(tether))
    }
}

/// Whether this process has one thread only.
fn alone() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
}

/// The agent as a program without a name that nobody can change, not even through a running copy of itself.
fn sealed(agent: &[u8]) -> Result<OwnedFd, StartError> {
    let refused = kernel("keep the agent in memory");
    let memory = memfd_create("agent", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).map_err(&refused)?;
    let mut file = File::from(memory);
    file.write_all(agent).map_err(|source| StartError::Kernel { doing: "keep the agent in memory", source })?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(file.as_fd(), seals).map_err(&refused)?;
    Ok(file.into())
}
