//! The limits that the kernel keeps for each process, the second line behind a cgroup and the first where there is none.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::ConfineError;
use crate::layer::Layer;

/// What each process may use; `None` leaves a limit as it was inherited. Both the soft and the hard limit are set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rlimits {
    /// Open descriptors. At the limit, opening fails with EMFILE.
    pub open_files: Option<u64>,
    /// Bytes of one file. Past it a write ends the process with SIGXFSZ, or fails with EFBIG where that is ignored.
    pub file_bytes: Option<u64>,
    /// Processes and threads of the user, counted in its user namespace. At the limit `fork` fails with EAGAIN.
    pub tasks: Option<u64>,
    /// Bytes of locked memory. Past it `mlock` fails with ENOMEM.
    pub locked_bytes: Option<u64>,
    /// Seconds of CPU time. Then comes SIGXCPU, and a second later SIGKILL for those who handled it.
    pub cpu_seconds: Option<u64>,
    /// Bytes of the main thread's stack. Past it comes SIGSEGV.
    pub stack_bytes: Option<u64>,
}

/// What a crash leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreDumps {
    /// Nothing: no file, and no helper.
    Off,
    /// No file, but if the host's `core_pattern` names a helper, the kernel starts it on the host for each crash.
    HelperMayRun,
}

/// The core limit at which a crash leads to nothing. A file needs more room than one byte; and one byte, unlike none, is
/// what the kernel gives its own dump helpers, and so for whom it starts no helper.
const NO_CORE: u64 = 1;

impl Rlimits {
    /// Sets them, and core dumps off. Where the inherited hard limit is lower already, that one stays: these are
    /// ceilings, and nobody gets more by asking.
    pub fn apply(&self) -> Result<CoreDumps, ConfineError> {
        if Layer::Rlimits.is_left_out() {
            return Ok(CoreDumps::HelperMayRun);
        }
        let Rlimits { open_files, file_bytes, tasks, locked_bytes, cpu_seconds, stack_bytes } = *self;
        set(Resource::Nofile, open_files)?;
        set(Resource::Fsize, file_bytes)?;
        set(Resource::Nproc, tasks)?;
        set(Resource::Memlock, locked_bytes)?;
        set(Resource::Stack, stack_bytes)?;
        if let Some(seconds) = cpu_seconds {
            // A hard limit equal to the soft one would kill at once, and the death would not tell of CPU time.
            limit(Resource::Cpu, seconds, seconds.saturating_add(1))?;
        }
        core_dumps_off()
    }
}

fn core_dumps_off() -> Result<CoreDumps, ConfineError> {
    // Many a container starts with a hard limit of 0, which only the host's root can raise.
    if getrlimit(Resource::Core).maximum == Some(0) {
        return Ok(CoreDumps::HelperMayRun);
    }
    limit(Resource::Core, NO_CORE, NO_CORE)?;
    Ok(CoreDumps::Off)
}

fn set(resource: Resource, value: Option<u64>) -> Result<(), ConfineError> {
    value.map_or(Ok(()), |value| limit(resource, value, value))
}

fn limit(resource: Resource, soft: u64, hard: u64) -> Result<(), ConfineError> {
    let inherited = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let (soft, hard) = (soft.min(inherited), hard.min(inherited));
    setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })
        .map_err(ConfineError::refused(Layer::Rlimits))
}
