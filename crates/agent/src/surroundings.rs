//! Which kind of cell this agent is in, as it was told at its start.

use core::ffi::CStr;

use firebox_confine::{Layer, leave_out};
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
    /// From the argument that the agent was started with: `fence`, or the doors.
    pub(crate) fn from_argument(argument: &CStr) -> Surroundings {
        match leave_out::heed(argument.to_bytes()) {
            b"fence" => Surroundings::Fence,
            doors => Surroundings::Jail { doors: Doors::from_argument(doors) },
        }
    }

    /// Makes sure that whatever loses its parent in here becomes a child of the agent.
    pub(crate) fn take_in_orphans(self) -> Result<(), Errno> {
        match self {
            // To process 1 they all come; and to kill everyone is safe for process 1 alone.
            Surroundings::Jail { .. } if rustix::process::getpid() == Pid::INIT => Ok(()),
            // Then the uid that nobody else has and Landlock's scope say whom a kill of everyone reaches; and a firebox that
            // leaves this out does not start where everyone is the machine.
            Surroundings::Jail { .. } if Layer::PidNamespace.is_left_out() => {
                set_child_subreaper(Some(rustix::process::getpid()))
            }
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
