//! The engine's end: what an ordinary process without rights can ask the warden for.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use firebox_cell::{AgentStream, Begun, Cell, CellError, CellHost, CellMaker, Layout, Measured, Removal, StepLimits};
use firebox_job::{CellKind, Enforcement};
use firebox_wire::warden::{CellReply, CellRequest, Made, Make, Message};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::answers::{enforcement, limit_request, measured, refused, unexpected};
use crate::channel::{self, Patience, Received};
use crate::tether::Tether;

/// Makes cells, by way of a warden. Dropping it lets the warden go and waits until nothing is left.
#[derive(Debug)]
pub struct Cells {
    warden: Mutex<Greeting>,
    kind: CellKind,
    ground: Ground,
}

/// Where a warden's cells have their files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ground {
    /// In a root of their own.
    Own,
    /// In directories below this one of the host's, each named after its cell's number.
    Host(PathBuf),
}

impl Ground {
    /// The work directory of a cell on the host's ground, below the cell's own.
    pub const WORK: &str = "job";
    /// The same for temporary files.
    pub const TEMPORARY: &str = "tmp";
    /// What firebox brings along for all cells, below the ground itself.
    pub const SUPPLIES: &str = "supplies";

    fn layout(&self, number: u32) -> Layout {
        match self {
            Ground::Own => Layout::Viewed,
            Ground::Host(base) => {
                let cell = base.join(number.to_string());
                Layout::OnHost {
                    work: cell.join(Ground::WORK),
                    temporary: cell.join(Ground::TEMPORARY),
                    supplies: base.join(Ground::SUPPLIES),
                }
            }
        }
    }
}

#[derive(Debug)]
struct Greeting {
    tether: Tether,
    /// Whether the warden has said that it stands. Waiting for that is left to the first who needs it.
    heard: bool,
}

impl Cells {
    pub(crate) fn new(tether: Tether, kind: CellKind, ground: Ground) -> Cells {
        Cells { warden: Mutex::new(Greeting { tether, heard: false }), kind, ground }
    }
}

impl CellMaker for Cells {
    fn kind(&self) -> CellKind {
        self.kind
    }

    fn make(&self, view: u16) -> Result<Cell, CellError> {
        let (number, stream, socket) = self.bear(&Make { view })?;
        let agent = AgentStream::new(stream)?;
        let host = Box::new(WardensCell { socket, kind: self.kind });
        Ok(Cell { agent, host, layout: self.ground.layout(number), begun: Begun::No })
    }

    fn is_gone(&self) -> bool {
        let warden = self.warden.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let socket = warden.tether.socket();
        // Nothing that it has said: that it has hung up is told in any case.
        let mut ends = [PollFd::new(&socket, PollFlags::empty())];
        poll(&mut ends, Some(&Timespec::default())).is_ok() && ends[0].revents().contains(PollFlags::HUP)
    }

    fn close(self: Box<Self>) -> Result<(), CellError> {
        let greeting = self.warden.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        greeting.tether.release().map_err(gone)
    }
}

impl Cells {
    /// Makes a cell for somebody who is not to be had here: the stream to its agent, and the socket on which the warden hears of it.
    pub fn make_for_another(&self, view: u16) -> Result<(OwnedFd, OwnedFd), CellError> {
        let (_number, stream, socket) = self.bear(&Make { view })?;
        Ok((stream, socket))
    }

    /// The host's side of a cell that was made for another, who is here: limited, measured and removed as the warden knows to.
    pub fn host_of(&self, socket: OwnedFd) -> Box<dyn CellHost> {
        Box::new(WardensCell { socket, kind: self.kind })
    }

    /// Has a cell made, and waits until it is born: its number, its stream and its socket.
    fn bear(&self, make: &Make) -> Result<(u32, OwnedFd, OwnedFd), CellError> {
        let (number, fds) = self.conceive(make)?;
        let mut fds = fds.into_iter();
        let (Some(stream), Some(socket), None) = (fds.next(), fds.next(), fds.next()) else {
            return Err(unexpected("make a cell", "without its two descriptors"));
        };
        // On the cell's own socket, so that others can ask for theirs meanwhile.
        match hear::<CellReply>(socket.as_fd())? {
            (CellReply::Born, fds) if fds.is_empty() => {}
            (CellReply::Failed(failure), _) => return Err(refused(failure)),
            (other, _) => return Err(unexpected("make a cell", &format!("{other:?}"))),
        }
        Ok((number, stream, socket))
    }

    /// Has the warden set about making a cell: which it is, and what it is talked to by.
    fn conceive(&self, make: &Make) -> Result<(u32, Vec<OwnedFd>), CellError> {
        let mut warden = self.warden.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        warden.wait_for()?;
        tell(warden.tether.socket(), make)?;
        match hear::<Made>(warden.tether.socket())? {
            (Made::Cell { number }, fds) => Ok((number, fds)),
            (Made::Failed(failure), _) => Err(refused(failure)),
        }
    }
}

impl Greeting {
    fn wait_for(&mut self) -> Result<(), CellError> {
        if !self.heard {
            match hear::<Made>(self.tether.socket())?.0 {
                Made::Cell { .. } => self.heard = true,
                Made::Failed(failure) => return Err(refused(failure)),
            }
        }
        Ok(())
    }
}

/// The host's side of a cell: a socket of its own to the warden. Closing it removes the cell.
struct WardensCell {
    socket: OwnedFd,
    kind: CellKind,
}

impl WardensCell {
    fn ask(&self, request: &CellRequest) -> Result<CellReply, CellError> {
        tell(self.socket.as_fd(), request)?;
        hear_reply(self.socket.as_fd())
    }
}

impl CellHost for WardensCell {
    fn kind(&self) -> CellKind {
        self.kind
    }

    fn limit(&mut self, limits: &StepLimits) -> Result<Enforcement, CellError> {
        enforcement(self.ask(&limit_request(limits))?)
    }

    fn measure(&mut self, _until: Instant) -> Result<Measured, CellError> {
        measured(self.ask(&CellRequest::Measure)?)
    }

    fn order_removal(self: Box<Self>) -> Result<Box<dyn Removal>, CellError> {
        let WardensCell { socket, kind: _ } = *self;
        tell(socket.as_fd(), &CellRequest::Remove)?;
        Ok(Box::new(WardensRemoval { socket }))
    }
}

/// A cell that its warden has been told to remove. The socket is readable once it has.
struct WardensRemoval {
    socket: OwnedFd,
}

impl Removal for WardensRemoval {
    fn is_over(&self) -> bool {
        poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&Timespec::default())).is_ok_and(|ready| ready != 0)
    }

    fn wait(self: Box<Self>) -> Result<(), CellError> {
        match hear_reply(self.socket.as_fd())? {
            CellReply::Removed => Ok(()),
            other => Err(unexpected("remove a cell", &format!("{other:?}"))),
        }
    }
}

fn gone(errno: Errno) -> CellError {
    CellError::WardenGone { source: errno.into() }
}

fn tell(socket: BorrowedFd<'_>, message: &impl Message) -> Result<(), CellError> {
    channel::send(socket, message, &[], Patience::Waits).map_err(gone)
}

/// Waits for the answer to what was asked about a cell.
fn hear_reply(socket: BorrowedFd<'_>) -> Result<CellReply, CellError> {
    match hear::<CellReply>(socket)? {
        (CellReply::Failed(failure), _) => Err(refused(failure)),
        (reply, fds) if fds.is_empty() => Ok(reply),
        _ => Err(unexpected("answer", "with descriptors that belong to nothing")),
    }
}

/// Waits for one message and the descriptors that come along.
fn hear<M: Message>(socket: BorrowedFd<'_>) -> Result<(M, Vec<OwnedFd>), CellError> {
    match channel::receive(socket, Patience::Waits).map_err(gone)? {
        None => Err(gone(Errno::PIPE)),
        Some(Received { too_many_fds: true, .. }) => Err(unexpected("answer", "with too many descriptors")),
        Some(Received { bytes, fds, too_many_fds: false }) => Ok((M::decode(&bytes)?, fds)),
    }
}

#[cfg(test)]
mod tests;
