//! Hearing that a program ends before the kernel has taken it down.
//!
//! Who watches a process is told of its exit as soon as that begins: what it says and what it has done is complete then, and
//! its exit code cannot change any more. Its parent hears of it only when its memory has been given back, which takes
//! milliseconds for a compiler of 100 MiB. Only one's own children can be watched, and only in a jail.

use rustix::io::Errno;
use rustix::process::{Pid, WaitStatus};

use crate::sys;

/// Whoever makes us look more often than this is not watched any longer. A compiler hears of the end of its linker.
const MOST_STOPS: u32 = 100;

/// Someone watched. What happens to them otherwise is not to change by that.
pub(crate) struct ExitWatch {
    pid: Pid,
    stops: u32,
}

/// What a stop of somebody watched has been for.
enum Stop {
    Exit,
    /// To stand still, as a shell has its jobs do.
    StandStill,
    Signal(usize),
    Nothing,
}

impl ExitWatch {
    /// Begins to watch a process, whatever it does.
    pub(crate) fn begin(pid: Pid) -> Result<ExitWatch, Errno> {
        sys::watch_exit(pid)?;
        Ok(ExitWatch { pid, stops: 0 })
    }

    /// Looks at what `wait` has said: whether the process has set about ending with an exit code of 0, which stays so. In that
    /// case it stands until it is [let go](ExitWatch::let_go). From every other stop it goes on by itself.
    pub(crate) fn is_leaving(&mut self, pid: Pid, status: WaitStatus) -> bool {
        let Some(stop) = Stop::of(status) else { return false };
        self.stops += 1;
        let signal = match stop {
            Stop::Exit if sys::exits_with(pid) == Ok(Some(0)) => return true,
            Stop::StandStill => {
                let _ = sys::listen(pid);
                return false;
            }
            Stop::Signal(signal) => signal,
            Stop::Exit | Stop::Nothing => 0,
        };
        // Where this fails, it has been killed meanwhile.
        let _ = if self.stops < MOST_STOPS { sys::go_on(pid, signal) } else { sys::detach(pid, signal) };
        false
    }

    /// Lets the process go for good.
    pub(crate) fn let_go(self) {
        // It may have been killed meanwhile.
        let _ = sys::detach(self.pid, 0);
    }
}

/// Lets a process that is to die go, if it stands still in front of its exit: there not even SIGKILL reaches it.
pub(crate) fn let_die(pid: Pid, status: WaitStatus) {
    if Stop::of(status).is_some() {
        let _ = sys::detach(pid, 0);
    }
}

impl Stop {
    /// None where it has ended.
    fn of(status: WaitStatus) -> Option<Stop> {
        const EXITS: i32 = 6;
        const EVENT: i32 = 128;
        const SIGTRAP: i32 = 5;
        let raw = status.as_raw();
        if raw & 0xff != 0x7f {
            return None;
        }
        Some(match (raw >> 16, raw >> 8 & 0xff) {
            (EXITS, _) => Stop::Exit,
            (EVENT, SIGTRAP) => Stop::Nothing,
            (EVENT, _) => Stop::StandStill,
            (_, signal) => Stop::Signal(signal as usize),
        })
    }
}
