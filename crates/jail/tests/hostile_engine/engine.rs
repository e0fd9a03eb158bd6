//! A process that has started a warden and holds the bare socket to it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use firebox_cell::View;
use firebox_warden::Warden;
use firebox_wire::warden::{CellReply, CellRequest, Made, Make, Message, StepLimits};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Resource, Rlimit, getpid, pidfd_getfd, pidfd_open, prlimit, setrlimit,
};

use crate::idle_agent::idle_agent;

/// Nothing that a warden does takes longer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Descriptors that a warden may have: enough for some cells, few enough to run out of.
const DESCRIPTORS: u64 = 256;

pub(crate) struct Engine {
    pub(crate) socket: OwnedFd,
    /// What is seen of the warden while it has no cell.
    at_rest: Seen,
    pid: u32,
    _warden: Warden,
}

/// A cell as an engine holds it.
pub(crate) struct Cell {
    pub(crate) _stream: OwnedFd,
    pub(crate) socket: OwnedFd,
}

/// What a warden holds, as the host sees it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    descriptors: usize,
    children: String,
    groups: BTreeSet<PathBuf>,
}

pub(crate) const LIMITS: StepLimits =
    StepLimits { memory: 64 << 20, tasks: 16, vcpus: 1, disk: 1 << 20, inodes: 100, wall_ms: 60_000 };

impl Engine {
    pub(crate) fn start() -> Engine {
        let few = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
        setrlimit(Resource::Nofile, few).expect("fewer descriptors");
        let before = own_sockets();
        let warden = firebox_jail::start(&[View { steps: 2, ..View::default() }], idle_agent()).expect("a warden");
        let socket = *own_sockets().difference(&before).next().expect("a socket to the warden");
        let this = pidfd_open(getpid(), PidfdFlags::empty()).expect("this process");
        let socket = pidfd_getfd(&this, socket, PidfdGetfdFlags::empty()).expect("the socket to the warden");
        let greeting = hear(&socket).expect("a greeting");
        assert_eq!(Made::decode(&greeting.0), Ok(Made::Cell { number: 0 }), "the warden stands");
        let pid = fs::read_to_string(format!("/proc/self/task/{}/children", getpid())).expect("children");
        let pid = pid.trim().parse().expect("one child");
        Engine { socket, at_rest: Seen::of(pid), pid, _warden: warden }
    }

    /// Asks for a cell as one should.
    pub(crate) fn make(&self) -> Cell {
        let cell = self.conceive();
        assert_eq!(cell.hear(), Some(CellReply::Born));
        cell
    }

    /// Asks for a cell, and does not wait until it is born.
    pub(crate) fn conceive(&self) -> Cell {
        tell(&self.socket, &Make { view: 0 }.encode(), 0).expect("the warden listens");
        self.hear_of_a_cell()
    }

    /// The cell that was asked for longest ago.
    pub(crate) fn hear_of_a_cell(&self) -> Cell {
        let (bytes, fds) = hear(&self.socket).expect("an answer");
        assert!(matches!(Made::decode(&bytes), Ok(Made::Cell { .. })), "{bytes:?}");
        let [stream, socket] = <[OwnedFd; 2]>::try_from(fds).expect("two descriptors");
        Cell { _stream: stream, socket }
    }

    /// The names of the warden's children: an agent is called so, and what has yet to become one is not.
    pub(crate) fn children(&self) -> Vec<String> {
        let pid = self.pid;
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("a live warden");
        let name = |child: &str| fs::read_to_string(format!("/proc/{child}/comm")).ok();
        children.split_whitespace().filter_map(name).map(|name| name.trim().to_owned()).collect()
    }

    /// Fails unless a well-behaved engine still gets all it asks for, and nothing is left after that.
    pub(crate) fn assert_well(&self) {
        let cell = self.make();
        assert!(matches!(cell.ask(&CellRequest::Limit(LIMITS)), Some(CellReply::Limited(_))));
        assert!(matches!(cell.ask(&CellRequest::Measure), Some(CellReply::Measured(_))));
        assert_eq!(cell.ask(&CellRequest::Remove), Some(CellReply::Removed));
        drop(cell);
        self.assert_at_rest();
    }

    /// Leaves the warden no more than so many descriptors beyond those that it has at rest.
    pub(crate) fn leave_descriptors(&self, spare: u64) {
        self.limit_descriptors(self.at_rest.descriptors as u64 + spare);
    }

    pub(crate) fn leave_all_descriptors(&self) {
        self.limit_descriptors(DESCRIPTORS);
    }

    fn limit_descriptors(&self, most: u64) {
        let limit = Rlimit { current: Some(most), maximum: Some(DESCRIPTORS) };
        let warden = Pid::from_raw(self.pid as i32);
        prlimit(warden, Resource::Nofile, limit).expect("a limit for the warden");
    }

    /// Waits until the warden holds no more than it did before its first cell.
    pub(crate) fn assert_at_rest(&self) {
        let until = Instant::now() + DEADLINE;
        // There is no event for what another process lets go.
        while Seen::of(self.pid) != self.at_rest {
            assert!(Instant::now() < until, "left: {:?}\nbefore: {:?}", Seen::of(self.pid), self.at_rest);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Cell {
    /// What the warden answers; none when it has taken leave of the cell.
    pub(crate) fn ask(&self, request: &CellRequest) -> Option<CellReply> {
        tell(&self.socket, &request.encode(), 0).ok()?;
        self.hear()
    }

    /// What the warden says next; none when it has taken leave of the cell.
    pub(crate) fn hear(&self) -> Option<CellReply> {
        hear(&self.socket).map(|(bytes, _)| CellReply::decode(&bytes).expect("the warden answers as it should"))
    }
}

impl Seen {
    fn of(pid: u32) -> Seen {
        let links = || fs::read_dir(format!("/proc/{pid}/fd")).expect("a live warden").flatten();
        let targets = links().filter_map(|link| fs::read_link(link.path()).ok());
        let groups = targets.filter(|path| path.to_string_lossy().contains("/firebox-"));
        let inside = groups.flat_map(|path| fs::read_dir(path).into_iter().flatten().flatten());
        Seen {
            descriptors: links().count(),
            children: fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("a live warden"),
            groups: inside.map(|entry| entry.path()).filter(|path| path.is_dir()).collect(),
        }
    }
}

/// Says something, with so many descriptors. Never waits.
pub(crate) fn tell(socket: &OwnedFd, bytes: &[u8], fds: usize) -> Result<(), Errno> {
    tell_with(socket, bytes, &vec![socket.as_fd(); fds])
}

pub(crate) fn tell_with(socket: &OwnedFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(fds.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(fds)));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, flags).map(|_| ())
}

/// Whether there is an answer now.
pub(crate) fn is_answered(socket: &OwnedFd) -> bool {
    poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&Timespec::default())).expect("a poll") == 1
}

/// Whether there is an answer, or will be soon: the warden says nothing of those that found no room.
pub(crate) fn has_answer(socket: &OwnedFd) -> bool {
    let soon = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&soon)).expect("a poll") == 1
}

/// The next answer; none at the end.
pub(crate) fn hear(socket: &OwnedFd) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
    let deadline = Timespec::try_from(DEADLINE).expect("a few seconds");
    let ready = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&deadline)).expect("a poll");
    assert_eq!(ready, 1, "the warden does not answer");
    let mut bytes = [0; 128];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let length = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            // Said once, before what is still there to be read: some of what we told was never heard.
            Err(Errno::CONNRESET) => {}
            received => break received.expect("a message or the end").bytes,
        }
    };
    let fds = ancillary.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
        _ => Vec::new(),
    });
    let fds = fds.collect();
    (length != 0).then(|| (bytes[..length].to_vec(), fds))
}

fn own_sockets() -> BTreeSet<i32> {
    let entries = fs::read_dir("/proc/self/fd").expect("own descriptors").flatten();
    let is_socket = |path: &PathBuf| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
    let sockets = entries.map(|entry| entry.path()).filter(is_socket);
    sockets.filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect()
}
