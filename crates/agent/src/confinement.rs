//! What the agent gives up before it reads its first order, and with it everything it will ever start.

use firebox_confine::{Access, Confinement, Rlimits, Rule};
use firebox_wire::WORK_DIRECTORY;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::sys::{self, STREAM};

/// The descriptor that every agent is started with.
pub(crate) type Host = BorrowedFd<'static>;

/// Open descriptors of one process: what programs expect, and too few to fill the host's table of files with.
const OPEN_FILES: u64 = 1024;
/// Locked memory of one process. Above what runtimes lock for their own use, far below any memory limit.
const LOCKED_BYTES: u64 = 8 << 20;

/// The stream to the host.
pub(crate) fn host() -> Host {
    sys::inherited(STREAM)
}

/// Confines this process for good.
///
/// Landlock says once more what the mounts say already: the root is to be read, and only three places and the
/// devices are there to be written to.
pub(crate) fn enter() -> Result<(), Errno> {
    // The stream had to stay open across our own start; across that of a job's program it must not.
    firebox_confine::forget_descriptors_from(STREAM).map_err(|error| error.errno())?;
    let root = open(c"/")?;
    let (work, temporary, shared, devices) =
        (open(WORK_DIRECTORY)?, open(c"/tmp")?, open(c"/dev/shm")?, open(c"/dev")?);
    let rules = [
        Rule::new(&root, Access::ReadExecute),
        Rule::new(&work, Access::Full),
        Rule::new(&temporary, Access::Full),
        Rule::new(&shared, Access::Full),
        Rule::new(&devices, Access::ReadWrite),
    ];
    let rlimits = Rlimits { open_files: Some(OPEN_FILES), locked_bytes: Some(LOCKED_BYTES), ..Rlimits::default() };
    let confinement = Confinement { rlimits, rules: &rules };
    confinement.enter().map(|_| ()).map_err(|error| error.errno())
}

fn open(path: &core::ffi::CStr) -> Result<OwnedFd, Errno> {
    openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}
