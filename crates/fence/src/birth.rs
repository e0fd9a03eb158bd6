//! How a process becomes the agent of a fence: from the fork to its first instruction.
//!
//! It begins with what firebox was started with, and ends able to open what the view shows and its own directories, and
//! to signal nobody outside. The agent then closes most system calls to itself before it reads anything.

use std::os::fd::{AsFd, OwnedFd};

use firebox_confine::{Access, Domain, Layer, Rule};
use firebox_warden::{at, confess, execute_agent, exit, out_of_the_way, place_descriptors};
use firebox_wire::warden::{Failure, Stage};
use rustix::fs::Mode;
use rustix::io::Errno;

use crate::room::Room;
use crate::sights::Sights;

/// Where the agent expects its stream; its work directory follows.
const AGENT_STREAM: i32 = 3;

/// What a process needs to become the agent of a fence.
pub(crate) struct Birth<'a> {
    pub(crate) sights: &'a Sights,
    pub(crate) room: &'a Room,
    /// The agent's end of its stream.
    pub(crate) stream: OwnedFd,
    /// The agent itself.
    pub(crate) agent: &'a OwnedFd,
}

impl Birth<'_> {
    /// Becomes the agent. What goes wrong is told, and ends the process.
    pub(crate) fn go(&self, told: OwnedFd) -> ! {
        // The agent's descriptors go to fixed numbers in the end; these two are needed after that.
        let kept = out_of_the_way(told.as_fd()).and_then(|told| Ok((told, out_of_the_way(self.agent.as_fd())?)));
        let (told, failure) = match kept {
            Ok((told, agent)) => {
                let failure = match self.steps() {
                    Err(failure) => failure,
                    Ok(()) => at(Stage::Agent)(execute_agent(agent.as_fd(), "fence")),
                };
                (told, failure)
            }
            Err(errno) => (told, at(Stage::Descriptors)(errno)),
        };
        confess(told.as_fd(), failure);
        exit(125)
    }

    /// All steps, in the order of security.
    fn steps(&self) -> Result<(), Failure> {
        self.keepers_death()?;
        self.files()?;
        self.privileges()?;
        self.descriptors()
    }

    /// The agent ends its cell when nobody is above it any more.
    fn keepers_death(&self) -> Result<(), Failure> {
        let keeper = rustix::process::getppid();
        firebox_confine::hear_of_parents_death(keeper).map_err(|error| at(Stage::Clone)(error.errno()))
    }

    /// From here on nothing can be opened but what the view shows, and its own.
    fn files(&self) -> Result<(), Failure> {
        rustix::process::umask(Mode::from_raw_mode(0o022));
        if Layer::FilesDomain.is_left_out() {
            return Ok(());
        }
        let own = [&self.room.work, &self.room.temporary].map(|directory| Rule::new(directory, Access::Full));
        let rules: Vec<Rule<'_>> = self.sights.rules().chain(own).collect();
        let enter = || match Domain::of_files(&rules).map_err(|error| error.errno())? {
            Some(domain) => domain.enter().map_err(|error| error.errno()),
            None => Err(Errno::NOTSUP),
        };
        enter().map_err(at(Stage::Files))
    }

    /// Root in a container has some left. The files above were opened with them; nothing else needs any.
    fn privileges(&self) -> Result<(), Failure> {
        let dropped = firebox_confine::drop_capabilities();
        dropped.map(drop).map_err(|error| at(Stage::Capabilities)(error.errno()))
    }

    fn descriptors(&self) -> Result<(), Failure> {
        let kept = [self.stream.as_fd(), self.room.work.as_fd()];
        place_descriptors(&kept, AGENT_STREAM).map_err(at(Stage::Descriptors))
    }
}
