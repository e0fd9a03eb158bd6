//! The switches of a process that are one `prctl` each.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, Signal};

use crate::error::{ConfineError, Failure};
use crate::layer::Layer;

/// From here on no `execve` gives a privilege that the process lacks: set-user-ID bits and file capabilities are dead.
pub fn forbid_new_privileges() -> Result<(), ConfineError> {
    if Layer::NoNewPrivileges.is_left_out() {
        return Ok(());
    }
    let refused = ConfineError::refused(Layer::NoNewPrivileges);
    rustix::thread::set_no_new_privs(true).map_err(&refused)?;
    match rustix::thread::no_new_privs().map_err(&refused)? {
        true => Ok(()),
        false => Err(ConfineError::new(Layer::NoNewPrivileges, Failure::NotKept)),
    }
}

/// Closes the process to those of its own user: no attaching, no reading of its memory through `/proc`, no dump.
///
/// An `execve` opens it again, so this protects the caller and not the programs it starts.
pub fn forbid_dumps() -> Result<(), ConfineError> {
    if Layer::Dumps.is_left_out() {
        return Ok(());
    }
    let refused = ConfineError::refused(Layer::Dumps);
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(&refused)?;
    match rustix::process::dumpable_behavior().map_err(&refused)? {
        DumpableBehavior::NotDumpable => Ok(()),
        _ => Err(ConfineError::new(Layer::Dumps, Failure::NotKept)),
    }
}

/// Lets the kernel kill this process when the thread that made it ends.
///
/// `parent` is that process as this one should see it, known from before the fork; `None` when it lives outside this
/// PID namespace. It is compared afterwards, since a parent that died earlier would never be told of.
/// To be called after credentials have changed, because a change makes the kernel forget it.
pub fn die_with_parent(parent: Option<Pid>) -> Result<(), ConfineError> {
    watch_parent(Signal::KILL, parent)
}

/// The same for a process that has something left to do then: it gets SIGTERM.
pub fn hear_of_parents_death(parent: Option<Pid>) -> Result<(), ConfineError> {
    watch_parent(Signal::TERM, parent)
}

/// Makes sure that no signal of this process reaches its parent, who is of the same user: that it is in a domain of its
/// own which holds. For whoever is about to kill all that it can reach.
pub fn parent_is_out_of_reach() -> Result<(), ConfineError> {
    let refused = ConfineError::refused(Layer::Landlock);
    let parent = rustix::process::getppid().ok_or_else(|| refused(Errno::SRCH))?;
    match rustix::process::test_kill_process(parent) {
        Err(Errno::PERM) => Ok(()),
        Err(errno) => Err(refused(errno)),
        Ok(()) => Err(ConfineError::new(Layer::Landlock, Failure::NotKept)),
    }
}

fn watch_parent(signal: Signal, parent: Option<Pid>) -> Result<(), ConfineError> {
    if Layer::ParentDeath.is_left_out() {
        return Ok(());
    }
    rustix::process::set_parent_process_death_signal(Some(signal))
        .map_err(ConfineError::refused(Layer::ParentDeath))?;
    if rustix::process::getppid() == parent {
        Ok(())
    } else {
        Err(ConfineError::new(Layer::ParentDeath, Failure::ParentGone))
    }
}
