//! Why a process could not confine itself. Whoever gets one of these must not go on to run a job.

use core::error::Error;
use core::fmt;

use rustix::io::Errno;

/// One kind of protection. Each can be named, so that a test may ask what holds when it alone is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Limits of the kernel on each process.
    Rlimits,
    /// No program gains a privilege by being executed.
    NoNewPrivileges,
    /// All capabilities, in every set.
    Capabilities,
    /// Which files may be reached, and which processes.
    Landlock,
    /// The process dies with the one that made it.
    ParentDeath,
    /// Nobody may look into the process.
    Dumps,
    /// Which descriptors it keeps.
    Descriptors,
    /// Which system calls it may make.
    Seccomp,
}

/// What went wrong with a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The kernel refused.
    Refused(Errno),
    /// The kernel agreed, but asked afterwards it tells of the state as it was before.
    NotKept,
    /// The parent was gone before its death could be watched.
    ParentGone,
}

/// A layer that is not there although it had to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfineError {
    /// Which layer.
    pub layer: Layer,
    /// What went wrong.
    pub failure: Failure,
}

impl ConfineError {
    /// The kernel's word for it; EPERM for what the kernel had no word for.
    pub fn errno(self) -> Errno {
        match self.failure {
            Failure::Refused(errno) => errno,
            Failure::NotKept | Failure::ParentGone => Errno::PERM,
        }
    }

    pub(crate) fn new(layer: Layer, failure: Failure) -> ConfineError {
        ConfineError { layer, failure }
    }

    /// For `map_err`: the kernel's refusal, put down to a layer.
    pub(crate) fn refused(layer: Layer) -> impl Fn(Errno) -> ConfineError {
        move |errno| ConfineError::new(layer, Failure::Refused(errno))
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layer::Rlimits => "resource limits",
            Layer::NoNewPrivileges => "no new privileges",
            Layer::Capabilities => "dropped capabilities",
            Layer::Landlock => "Landlock",
            Layer::ParentDeath => "death with the parent",
            Layer::Dumps => "no dumps",
            Layer::Descriptors => "closed descriptors",
            Layer::Seccomp => "seccomp",
        })
    }
}

impl fmt::Display for ConfineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConfineError { layer, failure } = self;
        write!(f, "cannot confine this process ({layer}): ")?;
        match failure {
            Failure::Refused(errno) => write!(f, "the kernel answers errno {}", errno.raw_os_error()),
            Failure::NotKept => f.write_str("the kernel agreed but did not do it"),
            Failure::ParentGone => f.write_str("the parent process is already gone"),
        }
    }
}

impl Error for ConfineError {}
