//! How a machine comes to be frozen: whoever asked for it sends two files when it is time, and finds the machine in them.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use firebox_vmm::{Hypervisor, Machine, Paused, Pauser, SaveError, Start, Stopped};

use crate::frozen_files::FrozenFiles;
use crate::machine::{Became, NoMachine, WITHOUT_END};

/// Freezes a machine when it is told to over a stream.
#[derive(Debug)]
pub struct Freezer<'a>(BorrowedFd<'a>);

/// A guest that hears late that its callers have hung up still has connections. It is waited for so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// It runs on for so long before it is looked at again.
const MOMENT: Duration = Duration::from_millis(20);

impl<'a> Freezer<'a> {
    /// One that is told over this stream, on which nothing else is said meanwhile.
    pub fn listening(stream: &'a impl AsFd) -> Freezer<'a> {
        Freezer(stream.as_fd())
    }

    /// Runs the machine to its end, or until it is frozen.
    pub(crate) fn run(self, hypervisor: &Hypervisor, machine: Machine, start: &Start) -> Result<Became, NoMachine> {
        let (told, hear) = channel();
        self.listen(machine.pauser(), told)?;
        let mut paused = match machine.run(start, WITHOUT_END)? {
            Stopped::Ended(ran) => return Ok(Became::Ended(ran)),
            Stopped::Paused(paused) => paused,
        };
        // Whoever has it pause has sent the files before.
        let files = hear.recv().map_err(|gone| NoMachine::Write(std::io::Error::other(gone)))?;
        let until = Instant::now() + PATIENCE;
        loop {
            match paused.save(hypervisor, &files.memory) {
                Ok(snapshot) => {
                    (&files.state).write_all(&snapshot.encode()).map_err(NoMachine::Write)?;
                    return Ok(Became::Frozen);
                }
                Err(SaveError::Device { .. }) if Instant::now() < until => {}
                Err(error) => return Err(error.into()),
            }
            paused = match on_for_a_moment(paused)? {
                Stopped::Ended(ran) => return Ok(Became::Ended(ran)),
                Stopped::Paused(paused) => paused,
            };
        }
    }

    /// In a thread of its own, which ends with the process.
    fn listen(&self, pauser: Pauser, told: Sender<FrozenFiles>) -> Result<(), NoMachine> {
        let stream = self.0.try_clone_to_owned().map_err(NoMachine::Thread)?;
        let listen = move || {
            // Who hangs up, or says something else, has nothing frozen; the warden ends what nobody wants any more.
            if let Ok(files) = FrozenFiles::receive(&stream)
                && told.send(files).is_ok()
            {
                pauser.pause();
            }
        };
        thread::Builder::new().spawn(listen).map(|_| ()).map_err(NoMachine::Thread)
    }
}

fn on_for_a_moment(paused: Paused) -> Result<Stopped, NoMachine> {
    let pauser = paused.pauser();
    let soon = move || {
        // Sleeping is no call that a monitor may make; waiting for others is.
        thread::park_timeout(MOMENT);
        pauser.pause();
    };
    thread::Builder::new().spawn(soon).map_err(NoMachine::Thread)?;
    Ok(paused.resume(WITHOUT_END)?)
}
