//! A machine as its owner holds it, who has no rights.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use firebox_cell::{CellError, CellHost, FrozenInto, LastWords};
use firebox_monitor::{Doors, FrozenFiles, HandoverError, Report, Whose};
use firebox_warden::Cells;

use crate::until::Until;

/// A machine that boots or goes on, or has. Dropping it ends it at once.
pub struct Machine {
    /// The ways to the guest: for what is said before there is a cell; and for who wants to call it for the agent, and for control, and says so.
    pub doors: Doors,
    /// Where its end is told.
    pub end: End,
    /// Its side of the warden. Dropping it ends the monitor.
    pub host: Box<dyn CellHost>,
}

/// Where a monitor tells how its machine ended.
#[derive(Debug)]
pub struct End(UnixStream);

/// Who finds that a machine has ended waits so long to hear why: it says so in the moment that it ends, if it can.
const SOON: Duration = Duration::from_secs(2);
/// For a monitor to write a machine down: some GiB, on a slow disk; and for its guest to hear that everybody has hung up.
const TO_FREEZE: Duration = Duration::from_secs(300);

impl Machine {
    /// Has a machine made by the blueprint of that number. When this returns its monitor is confined or about to be, and has it begin.
    pub fn boot(cells: &Cells, blueprint: u16) -> Result<Machine, CellError> {
        let (stream, socket) = cells.make_for_another(blueprint)?;
        let refused = |doing| move |source| CellError::Refused { doing, source };
        let (doors, machines) = Doors::pairs().map_err(refused("make the doors of a machine"))?;
        machines.send(stream.as_fd()).map_err(|error| refused("hand over the doors of a machine")(errno(error)))?;
        Ok(Machine { doors, end: End(UnixStream::from(stream)), host: cells.host_of(socket) })
    }

    /// Has it frozen, with nobody connected to its guest. It is removed when this returns.
    pub fn freeze(self, into: FrozenInto<'_>) -> Result<(), CellError> {
        let Machine { doors, end, host } = self;
        drop(doors);
        end.freeze_and_remove(host, into)
    }

    /// Removes it, and returns when nothing of it is left.
    pub fn remove(self) -> Result<(), CellError> {
        self.host.remove()
    }
}

impl End {
    #[cfg(test)]
    pub(crate) fn of(stream: UnixStream) -> End {
        End(stream)
    }

    /// Waits for it, and tells how it came to that; none if the monitor was ended before it could say so, or nothing came in that time.
    pub fn wait(&self, within: Duration) -> io::Result<Option<Report>> {
        match Report::read(Until::within(&self.0, within)) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(None),
            // What it had not read when it was killed.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            said => said,
        }
    }

    /// Has the machine frozen to whose guest nobody is connected, and removes it.
    pub(crate) fn freeze_and_remove(self, host: Box<dyn CellHost>, into: FrozenInto<'_>) -> Result<(), CellError> {
        let frozen = self.freeze(into);
        let removed = host.remove();
        frozen.and(removed)
    }

    fn freeze(&self, into: FrozenInto<'_>) -> Result<(), CellError> {
        const DOING: &str = "be frozen";
        let files = FrozenFiles { state: into.state, memory: into.memory };
        files.send(self.0.as_fd()).map_err(|error| self.fault(DOING, error))?;
        let none = |how: String| CellError::Machine { doing: DOING, how, source: None };
        match self.wait(TO_FREEZE).map_err(|error| none(error.to_string()))? {
            Some(Report { whose: Whose::Owners, .. }) => Ok(()),
            Some(report) => Err(told(DOING, &report)),
            None => Err(none("its monitor says nothing of it".to_owned())),
        }
    }

    /// Why this could not be done: because the machine has ended, or else for this reason.
    pub(crate) fn fault(&self, doing: &'static str, otherwise: impl std::fmt::Display) -> CellError {
        self.fate(doing).unwrap_or_else(|| CellError::Machine { doing, how: otherwise.to_string(), source: None })
    }

    /// Why the machine cannot do this, if it has ended and that is told soon.
    pub(crate) fn fate(&self, doing: &'static str) -> Option<CellError> {
        Some(told(doing, &self.wait(SOON).ok()??))
    }
}

fn told(doing: &'static str, report: &Report) -> CellError {
    let Report { whose: _, words, last_words } = report;
    CellError::Machine { doing, how: without_commands(words), source: LastWords::of(last_words) }
}

/// The words of a monitor, which a guest may have taken, without what a terminal would take for a command.
fn without_commands(words: &str) -> String {
    let shown = |letter: char| if letter.is_control() { letter.escape_debug().collect() } else { String::from(letter) };
    words.chars().map(shown).collect()
}

fn errno(error: HandoverError) -> io::Error {
    match error {
        HandoverError::Stream(errno) => errno.into(),
        HandoverError::Others => io::ErrorKind::InvalidData.into(),
    }
}
