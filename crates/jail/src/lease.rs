//! User ids, one for each cell, shared fairly among all firebox processes of a host.
//!
//! A cell whose uid is nobody else's shares no task count, no keyring and no signal with anyone. Which are taken is
//! said by locks on the bytes of one file: byte `n` stands for the `n`th uid of the range. The kernel gives the locks
//! of a dead process back, so no uid is ever lost.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::io::Errno;

use crate::sys::{Range, try_lock_range};

/// The first uid of the range. It lies in the stretch that distributions and systemd leave unassigned, above all
/// ranges handed out to containers.
pub(crate) const FIRST_UID: u32 = 1_900_000_000;
/// How many uids there are: many more than cells fit on a host.
pub(crate) const UIDS: u32 = 65_536;

/// The uids of a host, as one firebox process leases them.
pub(crate) struct Uids {
    file: File,
    /// What this process holds itself: its own locks do not stop it.
    held: Vec<bool>,
    next: u32,
}

/// Why no uid could be leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseError {
    AllTaken,
    Lock(Errno),
}

impl Uids {
    /// Over the file that all firebox processes of the host share.
    pub(crate) fn new(file: File) -> Uids {
        Uids { file, held: vec![false; UIDS as usize], next: 0 }
    }

    /// Takes a uid that nobody has. Goes round the range, so that the one given back last comes again last.
    pub(crate) fn lease(&mut self) -> Result<u32, LeaseError> {
        for _ in 0..UIDS {
            let candidate = self.next;
            self.next = (self.next + 1) % UIDS;
            if self.held[candidate as usize] {
                continue;
            }
            match try_lock_range(self.file.as_fd(), Range::Take, candidate, 1) {
                Ok(true) => {
                    self.held[candidate as usize] = true;
                    return Ok(FIRST_UID + candidate);
                }
                Ok(false) => {}
                Err(errno) => return Err(LeaseError::Lock(errno)),
            }
        }
        Err(LeaseError::AllTaken)
    }

    /// Gives a uid back, once no process has it any more.
    pub(crate) fn give_back(&mut self, uid: u32) {
        let place = uid - FIRST_UID;
        self.held[place as usize] = false;
        // Nothing can be done about a lock that will not open; it ends with this process.
        let _ = try_lock_range(self.file.as_fd(), Range::GiveBack, place, 1);
    }
}

impl LeaseError {
    /// The kernel's word for it.
    pub(crate) fn errno(self) -> Errno {
        match self {
            LeaseError::AllTaken => Errno::AGAIN,
            LeaseError::Lock(errno) => errno,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_never_hold_the_same_uid() {
        let shared = tempfile::NamedTempFile::new().unwrap();
        // Two open file descriptions are to the kernel what two processes are.
        let open = || Uids::new(File::options().write(true).open(shared.path()).unwrap());
        let (mut one, mut other) = (open(), open());

        let held = [one.lease(), other.lease(), one.lease(), other.lease()].map(Result::unwrap);

        assert_eq!(held, [0, 1, 2, 3].map(|n| FIRST_UID + n));
    }

    #[test]
    fn what_a_dead_process_held_can_be_leased_again() {
        let shared = tempfile::NamedTempFile::new().unwrap();
        let open = || Uids::new(File::options().write(true).open(shared.path()).unwrap());
        let mut dead = open();
        dead.lease().unwrap();
        drop(dead);

        assert_eq!(open().lease(), Ok(FIRST_UID));
    }

    #[test]
    fn a_uid_given_back_is_not_the_next_to_go_out() {
        let mut uids = Uids::new(tempfile::tempfile().unwrap());
        let first = uids.lease().unwrap();
        uids.give_back(first);

        assert_eq!(uids.lease(), Ok(first + 1));
    }
}
