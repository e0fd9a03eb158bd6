//! Why a process could not confine itself. Whoever gets one of these must not go on to run a job.

use core::error::Error;
use core::fmt;

use rustix::io::Errno;

use crate::layer::Layer;

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
