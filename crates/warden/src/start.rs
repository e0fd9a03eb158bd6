//! From one process with rights to two: the warden that keeps them, and the engine that gives them up.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use firebox_job::CellKind;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::thread::{Gid, Uid};

use crate::client::{Cells, Ground};
use crate::housing::Housing;
use crate::serve::Service;
use crate::sys::{self, Forked};
use crate::tether::Tether;

/// A warden that has been started, and a caller that still has its rights. Dropping it ends the warden.
#[derive(Debug)]
pub struct Warden {
    cells: Cells,
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
    /// This kind of cell is not to be had on this host.
    #[error("{0}")]
    Unfit(String),
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

impl StartError {
    /// For `map_err`: what the kernel refused.
    pub fn kernel(doing: &'static str) -> impl Fn(Errno) -> StartError {
        move |errno| StartError::Kernel { doing, source: errno.into() }
    }
}

/// Who the engine becomes when it gives its rights up.
#[derive(Debug, Clone, Copy)]
pub enum EngineUser {
    /// A uid that nobody else has.
    Leased(u32),
    /// Who it was: there is nobody else to become.
    Same,
}

impl Warden {
    /// Starts a warden over this housing. The caller keeps its rights until it drops them.
    ///
    /// To be called before there is any thread and before anything hostile is near: from here on the warden listens
    /// to nobody but through its messages.
    pub fn start(
        housing: impl Housing,
        kind: CellKind,
        ground: Ground,
        engine: EngineUser,
    ) -> Result<Warden, StartError> {
        if !alone() {
            return Err(StartError::Threads);
        }
        let (ours, wardens) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(StartError::kernel("make a socket for the warden"))?;
        let process = match sys::fork().map_err(StartError::kernel("start the warden"))? {
            Forked::Child => {
                drop(ours);
                Service { socket: wardens, housing }.run()
            }
            Forked::Parent(pid) => pid,
        };
        // What the housing holds is the warden's now, and only closed here.
        Ok(Warden { cells: Cells::new(Tether::new(ours, process), kind, ground), engine })
    }

    /// What its cells can be had from before privileges are dropped: to find out whether there are any to be had.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Who the caller will be when it has dropped its privileges: what it shall still reach must be theirs.
    pub fn engine(&self) -> EngineUser {
        self.engine
    }

    /// Gives up every right of this process, for good. What was opened before stays open.
    pub fn drop_privileges(self) -> Result<Cells, StartError> {
        let Warden { cells, engine } = self;
        let refused = StartError::kernel("give up the rights that firebox was started with");
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
        Ok(cells)
    }
}

/// Whether this process has one thread only. One that was waited for is still there for a moment.
fn alone() -> bool {
    const MOMENT: Duration = Duration::from_millis(50);
    let until = Instant::now() + MOMENT;
    loop {
        let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1);
        if alone || until < Instant::now() {
            return alone;
        }
        std::thread::yield_now();
    }
}
