//! Which users there are in a cell, and who on the host they are.
//!
//! A file shows the owner that its cell knows, or nobody's id where the cell knows none such. On the host's files that is as it should be.
//! An image is a system of its own, whose files are root's, whoever had to keep them on the host; in cells on an image there is an
//! owner of files, therefore. No process is ever that one where it can be helped.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};
use rustix::thread::{Uid, set_thread_res_uid};

use crate::lease::{FIRST_UID, UIDS};
use crate::sys::{self, NamespaceHolder};

/// Whose the files of images are on the host, as far as cells of root's can see: an id next to those that are leased, which owns nothing.
pub(crate) const OWNER: u32 = FIRST_UID + UIDS;

/// Who a job is in its cell, unless it has to be the owner of files as well.
pub(crate) const JOB: u32 = 1000;
/// Who owns the files of an image, in a cell on it.
const ROOT: u32 = 0;
/// Who a warden is that gives its cells several ids.
pub(crate) const ROOT_OF_HOST: u32 = 0;

/// Which users there are in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Users {
    /// The job.
    Job,
    /// The job, and the owner of the image's files, who is this id outside of the cell.
    JobAndOwner(u32),
    /// One who is both. An ordinary user has no second id to give.
    JobAsOwner,
}

impl Users {
    /// The map of a cell's user ids, and of its group ids, with the job as this id outside of the cell.
    pub(crate) fn map(self, job: u32) -> String {
        match self {
            Users::Job => format!("{JOB} {job} 1"),
            Users::JobAndOwner(owner) => format!("{ROOT} {owner} 1\n{JOB} {job} 1"),
            Users::JobAsOwner => format!("{ROOT} {job} 1"),
        }
    }

    /// To whom all that is of the image has to be given, if it is another's.
    pub(crate) fn owner(self) -> Option<u32> {
        match self {
            Users::Job | Users::JobAsOwner => None,
            Users::JobAndOwner(owner) => Some(owner),
        }
    }
}

/// As root. Makes a user namespace with these maps that nobody is in. `proc` is where the caller's processes are seen.
///
/// It belongs to this uid, to whose account on the host comes what is used in it: signals that wait, messages, locked memory. As root's they
/// would take from what root has, and from other cells.
pub(crate) fn make_namespace(proc: BorrowedFd<'_>, belongs_to: u32, uids: &str, gids: &str) -> Result<OwnedFd, Errno> {
    let was_dumpable = dumpable_behavior()? == DumpableBehavior::Dumpable;
    let made = act_as(belongs_to, DumpableBehavior::Dumpable).and_then(|()| {
        let holder = NamespaceHolder::new()?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let seen = openat(proc, holder.pid().to_string(), flags, Mode::empty())?;
        // As its owner, of a process that could be dumped: else that takes a right that not every root has.
        let namespace = openat(&seen, c"ns/user", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok((holder, seen, namespace))
    });
    // It is root who has rights over all ids.
    act_as(ROOT_OF_HOST, if was_dumpable { DumpableBehavior::Dumpable } else { DumpableBehavior::NotDumpable })?;
    let (_holder, seen, namespace) = made?;
    write_maps(seen.as_fd(), uids, gids)?;
    Ok(namespace)
}

/// As root, which this process stays beneath. Whoever changes cannot be dumped any more, unless they say so after that.
fn act_as(uid: u32, dumpable: DumpableBehavior) -> Result<(), Errno> {
    let root = Uid::from_raw(ROOT_OF_HOST);
    set_thread_res_uid(root, Uid::from_raw(uid), root)?;
    set_dumpable_behavior(dumpable)
}

/// Enters a user namespace of this process's own, with this map of user ids, and of group ids. `proc` is where the caller is seen.
pub(crate) fn enter_own_namespace(proc: BorrowedFd<'_>, map: &str) -> Result<(), Errno> {
    sys::enter_user_namespace()?;
    let this = openat(proc, c"self", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    write_maps(this.as_fd(), map, map)
}

fn write_maps(process: BorrowedFd<'_>, uids: &str, gids: &str) -> Result<(), Errno> {
    [(c"setgroups", "deny"), (c"uid_map", uids), (c"gid_map", gids)].into_iter().try_for_each(|(file, content)| {
        let file = openat(process, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(&file, content.as_bytes()).map(|_| ())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_of_the_hosts_stands_for_the_owner_of_files() {
        for users in [Users::Job, Users::JobAndOwner(OWNER), Users::JobAsOwner] {
            for line in users.map(FIRST_UID).lines() {
                let outside: Vec<u32> = line.split(' ').map(|word| word.parse().unwrap()).collect();
                assert!(FIRST_UID <= outside[1] && outside[2] == 1, "{users:?}: {line}");
            }
        }
        assert!(!(FIRST_UID..FIRST_UID + UIDS).contains(&OWNER), "a cell could be given the owner's id");
    }
}
