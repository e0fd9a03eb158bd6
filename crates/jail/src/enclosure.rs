//! A jail with nothing in it: the walls that a cell has, around a program of ours that needs no more than what it is handed.
//!
//! For who makes another kind of cell and wants these walls around its own process. It has no file system but an empty directory, no
//! interface, no agent and no steps; its one control group holds all of it.

use std::ffi::CStr;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use firebox_cell::View;
use firebox_warden::{Confession, Ends, EngineUser, Newborn, StartError, at, execute_program};
use firebox_wire::warden::{Failure, Stage};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::birth::{Birth, Room};
use crate::cgroup::{Group, Limits};
use crate::quarters::{NOTHING, Program, are_there, move_in, view_place};
use crate::rights::{Holding, Rights};
use crate::sys::{self, Cloned};

/// What the program is called in a list of processes.
const NAME: &str = "monitor";
const FIRST_ARGUMENT: &CStr = c"monitor";

/// What is held for all enclosures of a warden.
pub struct Enclosures {
    rights: Rights,
    program: Program,
    views: Vec<View>,
}

/// What is held for one of them.
pub struct Enclosure {
    uid: u32,
    /// None where there are no control groups.
    group: Option<Group>,
}

/// What all of the program may hold together, where there are control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnclosureLimits {
    /// Bytes.
    pub memory: u64,
    /// Processes and threads.
    pub tasks: u32,
    /// CPUs at once.
    pub cpus: NonZeroU32,
}

impl Enclosures {
    /// Finds out what the caller is allowed, and claims what there is to be claimed on the host. Files of these views can be opened later, when
    /// the host's file system is out of sight.
    pub fn claim(views: &[View], program: &'static [u8]) -> Result<(Enclosures, EngineUser), StartError> {
        let (rights, engine) = Rights::claim()?;
        are_there(views)?;
        Ok((
            Enclosures { rights, program: Program::Bytes { name: NAME, bytes: program }, views: views.to_vec() },
            engine,
        ))
    }

    /// In the warden: leaves the host's file system.
    pub fn move_in(&mut self) -> Result<(), Failure> {
        move_in(&self.rights, &self.views, &mut self.program)
    }

    /// Opens a file of a view, to be read. Whoever has it has a position in it that nobody else moves.
    pub fn open(&self, view: usize, inside: &Path) -> Result<OwnedFd, Failure> {
        let below = inside.strip_prefix("/").unwrap_or(inside);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat(CWD, view_place(view).join(below), flags, Mode::empty()).map_err(at(Stage::View))
    }

    /// Makes the process that becomes the program, with its end of its stream and then these descriptors open, from the fourth on, and this as
    /// its one argument.
    pub fn make(
        &mut self,
        number: u32,
        limits: EnclosureLimits,
        ends: Ends,
        handed: &[BorrowedFd<'_>],
        argument: &str,
    ) -> Result<Newborn<Enclosure>, Failure> {
        let uid = self.rights.lease().map_err(|error| at(Stage::LeaseUid)(error.errno()))?;
        let made = self.make_as(uid, number, limits, ends, handed, argument);
        made.inspect_err(|_| self.rights.give_back(uid))
    }

    fn make_as(
        &self,
        uid: u32,
        number: u32,
        limits: EnclosureLimits,
        ends: Ends,
        handed: &[BorrowedFd<'_>],
        argument: &str,
    ) -> Result<Newborn<Enclosure>, Failure> {
        let program = self.program.housed()?;
        let confession = Confession::new().map_err(at(Stage::Clone))?;
        let group = self.group(number, limits).map_err(at(Stage::Cgroup))?;
        let doors = group.as_ref().map_or(Ok(Vec::new()), Group::doors).map_err(at(Stage::Cgroup));
        let cloned = doors.and_then(|doors| {
            let target = group.as_ref().and_then(Group::clone_target);
            Ok((doors, sys::clone_into_pid_namespace(target).map_err(at(Stage::Clone))?))
        });
        match cloned {
            Ok((_, Cloned::Parent { pid: _, pidfd })) => {
                Ok(Newborn { house: Enclosure { uid, group }, pidfd, ends, confession })
            }
            Ok((doors, Cloned::Child)) => {
                let (stream, told) = (ends.into_agents(), confession.into_told());
                let birth = Birth {
                    room: Room::Empty(Path::new(NOTHING)),
                    uid,
                    users: self.rights.users_of_a_cell(false),
                    groups: self.rights.groups_of_a_cell(),
                    group: &doors,
                    handed: [stream.as_fd()].into_iter().chain(handed.iter().copied()).collect(),
                    program,
                    execute: |program, argument| execute_program(program, FIRST_ARGUMENT, argument),
                    argument: argument.to_owned(),
                    failed: told.as_fd(),
                };
                birth.go()
            }
            Err(failure) => {
                let _ = group.as_ref().map(Group::remove);
                Err(failure)
            }
        }
    }

    fn group(&self, number: u32, limits: EnclosureLimits) -> Result<Option<Group>, Errno> {
        let EnclosureLimits { memory, tasks, cpus } = limits;
        match self.rights.holding() {
            Holding::Groups(groups) => {
                groups.group(&format!("c{number}"), &Limits { memory, tasks, cpus: Some(cpus) }).map(Some)
            }
            Holding::Watched(_) => Ok(None),
        }
    }

    /// Removes what was held for one. Its last process is gone.
    pub fn bury(&mut self, enclosure: Enclosure) -> Result<(), Failure> {
        let Enclosure { uid, group } = enclosure;
        let removed = group.map_or(Ok(()), |group| group.remove()).map_err(at(Stage::Remove));
        self.rights.give_back(uid);
        removed
    }

    /// The end of the warden: gives back what was claimed at its start.
    pub fn release(self) {
        self.rights.release();
    }
}
