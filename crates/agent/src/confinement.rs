//! What the agent gives up before it reads its first order, and with it everything it will ever start.

use firebox_confine::{Access, ConfineError, Confinement, Domain, Files, Filter, Layer, Rlimits, Rule};
use firebox_wire::WORK_DIRECTORY;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::programs::{MOST_PLACES, Programs};
use crate::surroundings::Surroundings;
use crate::sys::{self, STREAM};

/// The descriptor that every agent is started with.
pub(crate) type Host = BorrowedFd<'static>;

/// Open descriptors of one process: what programs expect, and too few to fill the host's table of files with.
const OPEN_FILES: u64 = 1024;
/// Locked memory of one process. Above what runtimes lock for their own use, far below any memory limit.
const LOCKED_BYTES: u64 = 8 << 20;

/// How many rules there are besides those for programs.
const OWN: usize = 5;

const RLIMITS: Rlimits = Rlimits {
    open_files: Some(OPEN_FILES),
    locked_bytes: Some(LOCKED_BYTES),
    file_bytes: None,
    tasks: None,
    cpu_seconds: None,
    stack_bytes: None,
};

/// The stream to the host.
pub(crate) fn host() -> Host {
    sys::inherited(STREAM)
}

/// What is left to a confined agent.
pub(crate) struct Left {
    /// Where the job's files are, and where every step starts.
    pub(crate) work: OwnedFd,
    /// The path of that.
    work_path: &'static [u8],
    /// In a fence, the domain of its own that each step enters: no signal reaches the agent from there.
    pub(crate) apart: Option<Domain>,
}

/// The longest path there is.
const PATH_BYTES: usize = 4096;

/// Confines this process for good.
pub(crate) fn enter(surroundings: Surroundings) -> Result<Left, Errno> {
    // The stream had to stay open across our own start; across that of a job's program it must not.
    firebox_confine::forget_descriptors_from(STREAM).map_err(ConfineError::errno)?;
    match surroundings {
        Surroundings::Jail { .. } => enter_jail(),
        Surroundings::Fence => enter_fence(),
    }
}

/// Landlock says once more what the mounts say already: the root is to be read, and only three places and the
/// devices are there to be written to. What it alone says is that nothing is executed from `/dev` and `/proc`.
fn enter_jail() -> Result<Left, Errno> {
    let root = open(c"/")?;
    let (work, temporary, shared, devices) =
        (open(WORK_DIRECTORY)?, open(c"/tmp")?, open(c"/dev/shm")?, open(c"/dev")?);
    let programs = Programs::open(&root)?;
    let own = [
        Rule::new(&root, Access::Read),
        Rule::new(&work, Access::Full),
        Rule::new(&temporary, Access::Full),
        Rule::new(&shared, Access::Data),
        Rule::new(&devices, Access::ReadWrite),
    ];
    // A rule holds for all that is beneath, and what one gives no other takes away: so each place with programs has its
    // own.
    let mut rules = [own[0]; OWN + MOST_PLACES];
    rules[..OWN].copy_from_slice(&own);
    for (rule, place) in rules[OWN..].iter_mut().zip(programs.places()) {
        *rule = Rule::new(place, Access::ReadExecute);
    }
    let rules = &rules[..OWN + programs.places().count()];
    let confinement = Confinement { rlimits: RLIMITS, files: Files::Only(rules), filter: Filter::AGENT };
    confinement.enter().map_err(ConfineError::errno)?;
    Left::new(work, None)
}

/// Who made this process has bounded its files. Its signals it bounds by itself, since it is to kill all that it can
/// reach: from in here that is what it will have started, and nothing else.
fn enter_fence() -> Result<Left, Errno> {
    let work = rustix::io::fcntl_dupfd_cloexec(sys::inherited(sys::WORK), 0)?;
    let domain = || Domain::of_processes().map_err(ConfineError::errno)?.ok_or(Errno::NOTSUP);
    let (own, apart) = (domain()?, domain()?);
    let entered = firebox_confine::forbid_new_privileges().and_then(|()| own.enter());
    entered.and_then(|()| firebox_confine::parent_is_out_of_reach()).map_err(ConfineError::errno)?;
    let confinement = Confinement { rlimits: RLIMITS, files: Files::AsItIs, filter: Filter::FENCE_AGENT };
    confinement.enter().map_err(ConfineError::errno)?;
    Left::new(work, Some(apart))
}

impl Left {
    fn new(work: OwnedFd, apart: Option<Domain>) -> Result<Left, Errno> {
        // The agent itself opens nothing by a relative path.
        rustix::process::fchdir(&work)?;
        let work_path = sys::current_directory(sys::pages(PATH_BYTES)?)?;
        Ok(Left { work, work_path, apart })
    }

    /// The path of the work directory.
    pub(crate) fn work_path(&self) -> &[u8] {
        self.work_path
    }

    /// Whether a step is held to a number of tasks by itself. In a fence the kernel counts all that the user runs on the host:
    /// the host knows how many that are, and sets it.
    pub(crate) fn limits_tasks(&self) -> bool {
        self.apart.is_none() && !Layer::Tasks.is_left_out()
    }

    /// The work directory.
    pub(crate) fn work(&self) -> BorrowedFd<'_> {
        self.work.as_fd()
    }
}

fn open(path: &core::ffi::CStr) -> Result<OwnedFd, Errno> {
    openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}
