//! What jails are to their warden.
//!
//! Runs with all the rights there are. What the warden still knows of the host are descriptors: the control groups it
//! made, the shared files with their locks, the agent. It opens no path of the host after it has moved in.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use firebox_cell::View;
use firebox_job::CellKind;
use firebox_warden::{Confession, Ends, Ground, Housing, Newborn, StartError, Warden, at, execute_agent};
use firebox_wire::warden::{Failure, Held, Measured, Stage, StepLimits};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, pidfd_send_signal};

use crate::birth::{Birth, Room};
use crate::files::Files;
use crate::holding::Holding;
use crate::quarters::{Program, WORKBENCH, are_there, move_in, view_place};
use crate::rights::Rights;
use crate::sys::{self, Cloned};

/// Starts a warden that makes jails with these views.
pub fn start(views: &[View], agent: &'static [u8]) -> Result<Warden, StartError> {
    let (rights, engine) = Rights::claim()?;
    are_there(views)?;
    let jails = Jails { rights, agent: Program::Bytes { name: "agent", bytes: agent }, views: views.to_vec() };
    Warden::start(jails, CellKind::Jail, Ground::Own, engine)
}

/// What is held for all jails.
struct Jails {
    rights: Rights,
    /// Process 1 of each jail.
    agent: Program,
    views: Vec<View>,
}

/// What is held for one jail.
struct House {
    pid: Pid,
    uid: u32,
    files: Files,
    holding: Holding,
}

impl Housing for Jails {
    type House = House;

    fn move_in(&mut self) -> Result<(), Failure> {
        move_in(&self.rights, &self.views, &mut self.agent)
    }

    fn views(&self) -> usize {
        self.views.len()
    }

    fn make(&mut self, view: usize, number: u32, ends: Ends) -> Result<Newborn<House>, Failure> {
        let uid = self.rights.lease().map_err(|error| at(Stage::LeaseUid)(error.errno()))?;
        self.make_as(uid, view, number, ends).inspect_err(|_| self.rights.give_back(uid))
    }

    fn limit(&mut self, house: &mut House, limits: &StepLimits) -> Result<Held, Failure> {
        let held = house.holding.begin(house.pid, limits, &self.rights).map_err(at(Stage::Limits))?;
        house.files.leave_room(limits.disk, limits.inodes.into()).map_err(at(Stage::Limits))?;
        Ok(held)
    }

    fn measure(&mut self, house: &mut House) -> Result<Measured, Failure> {
        let disk_full = house.files.is_full().map_err(at(Stage::Measure))?;
        house.holding.measure(house.pid, disk_full).map_err(at(Stage::Measure))
    }

    /// With the first process of a PID namespace goes all of it.
    fn end(&mut self, _house: &mut House, pidfd: BorrowedFd<'_>) {
        // It can only fail when the process is gone.
        let _ = pidfd_send_signal(pidfd, Signal::KILL);
    }

    fn bury(&mut self, house: House) -> Result<(), Failure> {
        let House { pid: _, uid, files, holding } = house;
        drop(files);
        let removed = holding.remove().map_err(at(Stage::Remove));
        self.rights.give_back(uid);
        removed
    }

    fn release(self) {
        self.rights.release();
    }
}

impl Jails {
    fn make_as(&self, uid: u32, view: usize, number: u32, ends: Ends) -> Result<Newborn<House>, Failure> {
        let agent = self.agent.housed()?;
        let files = Files::create(uid).map_err(at(Stage::Files))?;
        let confession = Confession::new().map_err(at(Stage::Clone))?;
        // Last of what can fail by itself: descriptors close when they are let go, control groups have to be removed.
        let View { steps, is_image, .. } = self.views.get(view).ok_or(at(Stage::View)(Errno::NOENT))?;
        let holding = Holding::new(&self.rights, number, *steps).map_err(at(Stage::Cgroup))?;
        let cloned = holding.doors().map_err(at(Stage::Cgroup)).and_then(|doors| {
            let cloned = sys::clone_into_pid_namespace(holding.clone_target()).map_err(at(Stage::Clone))?;
            Ok((doors, cloned))
        });
        let (doors, cloned) = match cloned {
            Ok(cloned) => cloned,
            Err(failure) => {
                let _ = holding.remove();
                return Err(failure);
            }
        };
        let (pid, pidfd) = match cloned {
            Cloned::Parent { pid, pidfd } => (pid, pidfd),
            Cloned::Child => {
                let (stream, told) = (ends.into_agents(), confession.into_told());
                let view = view_place(view);
                let steps = doors.steps.iter().flatten().map(AsFd::as_fd);
                let birth = Birth {
                    room: Room::View { view: &view, workbench: Path::new(WORKBENCH), files: files.as_fd() },
                    uid,
                    users: self.rights.users_of_a_cell(*is_image),
                    groups: self.rights.groups_of_a_cell(),
                    group: &doors.agent,
                    // The agent's stream first, and after it the ways into the groups of the steps.
                    handed: [stream.as_fd()].into_iter().chain(steps).collect(),
                    program: agent,
                    execute: execute_agent,
                    argument: doors.in_words(),
                    failed: told.as_fd(),
                };
                birth.go()
            }
        };
        Ok(Newborn { house: House { pid, uid, files, holding }, pidfd, ends, confession })
    }
}
