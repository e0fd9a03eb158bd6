//! Which kind of cell this agent is in, as it was told at its start.

use core::ffi::CStr;

use rustix::io::Errno;
use rustix::process::{Pid, set_child_subreaper};

use crate::doors::Doors;
use crate::sys::Heard;

/// Which kind of cell this agent is in.
#[derive(Clone, Copy)]
pub(crate) enum Surroundings {
    /// A PID namespace of its own, of which it is process 1.
    Jail { doors: Doors },
    /// The host's processes, of which only its own descendants are within reach.
    Fence,
}

impl Surroundings {
    /// From the argument that the agent was started with: `fence`, or the number of doors per step.
    pub(crate) fn from_argument(argument: &CStr) -> Surroundings {
        match argument.to_bytes() {
            b"fence" => Surroundings::Fence,
            doors => Surroundings::Jail { doors: Doors::from_argument(doors) },
        }
    }

    /// Makes sure that whatever loses its parent in here becomes a child of the agent.
    pub(crate) fn take_in_orphans(self) -> Result<(), Errno> {
        match self {
            // To process 1 they all come; and to kill everyone is safe for process 1 alone.
            Surroundings::Jail { .. } if rustix::process::getpid() == Pid::INIT => Ok(()),
            Surroundings::Jail { .. } => Err(Errno::PERM),
            Surroundings::Fence => set_child_subreaper(Some(rustix::process::getpid())),
        }
    }

    /// What it listens for. Process 1 is never reached by a signal of its own namespace that it neither handles nor blocks;
    /// one that it listened for any job could send.
    pub(crate) fn heard(self) -> Heard {
        match self {
            Surroundings::Jail { .. } => Heard::Children,
            Surroundings::Fence => Heard::ChildrenAndEnd,
        }
    }

    /// The doors into control groups.
    pub(crate) fn doors(self) -> Doors {
        match self {
            Surroundings::Jail { doors } => doors,
            Surroundings::Fence => Doors::NONE,
        }
    }
}
