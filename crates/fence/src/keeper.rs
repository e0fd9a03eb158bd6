//! The keeper of a cell: the process above its agent, which ends everything in the cell and is the last to go.
//!
//! ```text
//! warden --fork--> keeper: subreaper, in a domain of its own
//!                  keeper --fork--> agent
//!                  the agent is gone, or the warden lets go --> kills all in its domain, until it has no child left
//! ```
//!
//! Whatever a job starts stays in the keeper's Landlock domain, and when it has lost its parents becomes the agent's child
//! or the keeper's. A kill of everybody reaches exactly that domain, all of it at once: a process that is forking just
//! then does not finish. There is no such thing for a process outside of the domain.

use std::os::fd::{AsFd, OwnedFd};

use firebox_confine::{ConfineError, Domain, Layer};
use firebox_warden::{Forked, at, confess, exit, fork};
use firebox_wire::warden::{Failure, Stage};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process_group, pidfd_open, set_child_subreaper, wait,
};

use crate::birth::Birth;
use crate::sys::keep_only;

/// What a keeper is forked with.
pub(crate) struct Keeper<'a> {
    pub(crate) birth: Birth<'a>,
    /// Closes when the cell is to end.
    pub(crate) lifeline: OwnedFd,
    /// Takes the failure; closes without a word when the agent has started.
    pub(crate) told: OwnedFd,
}

impl Keeper<'_> {
    /// The whole life of a keeper.
    pub(crate) fn run(self) -> ! {
        let Keeper { birth, lifeline, told } = self;
        let made = settle().and_then(|()| fork().map_err(at(Stage::Clone)));
        match made {
            Ok(Forked::Child) => birth.go(told),
            Ok(Forked::Parent(agent)) => {
                // What goes wrong from here on ends the cell, of which nothing has been promised yet.
                let _ = wait_for_the_end(agent, lifeline);
                kill_everyone();
                exit(0)
            }
            Err(failure) => {
                confess(told.as_fd(), failure);
                exit(125)
            }
        }
    }
}

/// Makes sure of everybody who will ever be in this cell.
fn settle() -> Result<(), Failure> {
    set_child_subreaper(Some(getpid())).map_err(at(Stage::Clone))?;
    let enter = || -> Result<(), ConfineError> {
        firebox_confine::forbid_new_privileges()?;
        firebox_confine::forbid_dumps()?;
        if Layer::KeepersDomain.is_left_out() {
            return Ok(());
        }
        // The start has made sure that the kernel knows of this; it is what kills are safe by.
        match Domain::of_processes()? {
            Some(domain) => domain.enter()?,
            None => exit(125),
        }
        firebox_confine::parent_is_out_of_reach()
    };
    enter().map_err(|error| at(Stage::Capabilities)(error.errno()))
}

fn wait_for_the_end(agent: Pid, lifeline: OwnedFd) -> Result<(), Errno> {
    let agent = pidfd_open(agent, PidfdFlags::empty())?;
    // The stream among all others: the engine is to see it close with the agent.
    let [agent, lifeline] = keep_only([agent, lifeline])?;
    let mut fds = [&agent, &lifeline].map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN));
    loop {
        match poll(&mut fds, None) {
            Err(Errno::INTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Kills every other process of this domain and waits until the last is gone.
fn kill_everyone() {
    // Outside of a domain of its own, everybody is everybody.
    if Layer::KeepersDomain.is_left_out() {
        return;
    }
    loop {
        let _ = kill_process_group(Pid::INIT, Signal::KILL);
        match wait(WaitOptions::empty()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
