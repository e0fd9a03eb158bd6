//! What fences are to their warden.

use std::env;
use std::os::fd::{BorrowedFd, OwnedFd};

use firebox_cell::View;
use firebox_confine::{Landlock, Unavailable};
use firebox_job::CellKind;
use firebox_warden::{
    Confession, Ends, EngineUser, Forked, Ground as Places, Housing, Newborn, StartError, Warden, at, fork,
    sealed_agent,
};
use firebox_wire::warden::{Failure, Held, Measured, Stage, StepLimits};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open, set_child_subreaper};

use crate::birth::Birth;
use crate::ground::Ground;
use crate::keeper::Keeper;
use crate::room::Room;
use crate::sights::Sights;
use crate::watch::{StepWatch, host_proc};

/// The version of Landlock that knows of signals: without it nobody could be kept from the user's other processes, and
/// nobody could be sure to have ended all of a job's.
const LANDLOCK: u32 = 6;

/// Starts a warden that makes fences with these views.
pub fn start(views: &[View], agent: &'static [u8]) -> Result<Warden, StartError> {
    fit()?;
    if views.iter().any(|view| view.is_image) {
        let why = "a fence shares the root of the host, and has no place for that of an image";
        return Err(StartError::Unfit(why.to_owned()));
    }
    let below = env::temp_dir();
    let ground = Ground::claim(&below).map_err(|source| StartError::RunDirectory { path: below, source })?;
    let supplies = ground.path().join(Places::SUPPLIES);
    let sights = views.iter().map(|view| Sights::open(view, &supplies)).collect::<Result<_, _>>();
    let sights = match sights {
        Ok(sights) => sights,
        Err(error) => {
            // What cannot be removed is left for the next start.
            let _ = ground.remove();
            return Err(error);
        }
    };
    let places = Places::Host(ground.path().to_owned());
    let proc = host_proc().map_err(StartError::kernel("open /proc"))?;
    let fences = Fences { sights, ground, proc, agent: sealed_agent(agent)? };
    Warden::start(fences, CellKind::Fence, places, EngineUser::Same)
}

/// Whether fences can be had on this host.
fn fit() -> Result<(), StartError> {
    let version = Landlock::version().map_err(|error| StartError::kernel("ask for Landlock")(error.errno()))?;
    let lacking = match version {
        Ok(version) if LANDLOCK <= version => return Ok(()),
        Ok(version) | Err(Unavailable::TooOld { abi: version }) => format!("this kernel's is version {version}"),
        Err(Unavailable::NotBuilt) => "this kernel has none".to_owned(),
        Err(Unavailable::SwitchedOff) => "this kernel was started without it (add `landlock` to `lsm=`)".to_owned(),
        Err(Unavailable::Forbidden) => "the container that firebox runs in forbids it".to_owned(),
    };
    Err(StartError::Unfit(format!("a fence needs Landlock of version {LANDLOCK} (Linux 6.12), and {lacking}")))
}

/// What is held for all fences.
struct Fences {
    sights: Vec<Sights>,
    ground: Ground,
    proc: OwnedFd,
    agent: OwnedFd,
}

/// What is held for one fence.
struct House {
    keeper: Pid,
    room: Room,
    /// Closing it ends the cell.
    lifeline: Option<OwnedFd>,
    watch: StepWatch,
}

impl Housing for Fences {
    type House = House;

    /// Nothing of what firebox was started with is needed any more, but the user's own name.
    fn move_in(&mut self) -> Result<(), Failure> {
        // For an agent whose keeper was killed.
        set_child_subreaper(Some(getpid())).map_err(at(Stage::Clone))?;
        let dropped = firebox_confine::drop_capabilities()
            .and_then(|_| firebox_confine::forbid_new_privileges())
            .and_then(|()| firebox_confine::forbid_dumps());
        dropped.map_err(|error| at(Stage::Capabilities)(error.errno()))
    }

    fn views(&self) -> usize {
        self.sights.len()
    }

    fn make(&mut self, view: usize, number: u32, ends: Ends) -> Result<Newborn<House>, Failure> {
        let watch = StepWatch::new(&self.proc).map_err(at(Stage::Descriptors))?;
        let room = Room::make(&self.ground, number).map_err(at(Stage::Files))?;
        match self.fork_keeper(view, &room, ends) {
            Ok(Forks { keeper, pidfd, lifeline, ends, confession }) => {
                let house = House { keeper, room, lifeline: Some(lifeline), watch };
                Ok(Newborn { house, pidfd, ends, confession })
            }
            Err(failure) => {
                let _ = room.remove(&self.ground);
                Err(failure)
            }
        }
    }

    fn limit(&mut self, house: &mut House, limits: &StepLimits) -> Result<Held, Failure> {
        house.watch.begin(house.keeper, &house.room, limits).map_err(at(Stage::Limits))?;
        Ok(Held { memory: false, tasks: false, cpu: false, disk: false })
    }

    fn measure(&mut self, house: &mut House) -> Result<Measured, Failure> {
        house.watch.look(house.keeper, &house.room).map_err(at(Stage::Measure))
    }

    fn end(&mut self, house: &mut House, _keeper: BorrowedFd<'_>) {
        house.lifeline = None;
    }

    fn bury(&mut self, house: House) -> Result<(), Failure> {
        let House { keeper: _, room, lifeline: _, watch } = house;
        // After a keeper that was killed the agent is our child, and ends the cell.
        watch.wait_for_an_orphaned_agent();
        room.remove(&self.ground).map_err(at(Stage::Remove))
    }

    fn release(self) {
        // What cannot be removed is left for the next start.
        let _ = self.ground.remove();
    }
}

/// A keeper that was forked.
struct Forks {
    keeper: Pid,
    pidfd: OwnedFd,
    lifeline: OwnedFd,
    ends: Ends,
    confession: Confession,
}

impl Fences {
    fn fork_keeper(&self, view: usize, room: &Room, ends: Ends) -> Result<Forks, Failure> {
        let confession = Confession::new().map_err(at(Stage::Clone))?;
        let (keepers_end, lifeline) = pipe_with(PipeFlags::CLOEXEC).map_err(at(Stage::Clone))?;
        match fork().map_err(at(Stage::Clone))? {
            Forked::Child => {
                drop(lifeline);
                let told = confession.into_told();
                let birth = Birth { sights: &self.sights[view], room, stream: ends.into_agents(), agent: &self.agent };
                Keeper { birth, lifeline: keepers_end, told }.run()
            }
            Forked::Parent(keeper) => {
                let pidfd = pidfd_open(keeper, PidfdFlags::empty()).map_err(at(Stage::Clone))?;
                Ok(Forks { keeper, pidfd, lifeline, ends, confession })
            }
        }
    }
}
