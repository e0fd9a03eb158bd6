//! The sockets between the engine and the warden: whole messages, and now and then descriptors along with them.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use firebox_wire::warden::{MESSAGE_BYTES, Message};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// The most descriptors that come along with a message: the two ends of a new cell.
const MOST_FDS: usize = 2;

/// What came: the bytes of one message, not yet understood, and the descriptors that came along.
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
    /// More descriptors came than belong to any message, or than this process can hold. What did not fit was closed.
    pub(crate) too_many_fds: bool,
}

/// Whether to wait when nothing can be done at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Waits,
    /// Answers AGAIN: the warden waits for nobody in particular.
    Never,
}

/// Sends one message, with descriptors or without.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    message: &impl Message,
    fds: &[BorrowedFd<'_>],
    patience: Patience,
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::NOBUFS);
    }
    let flags = match patience {
        Patience::Waits => SendFlags::NOSIGNAL,
        Patience::Never => SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    };
    let bytes = message.encode();
    rustix::io::retry_on_intr(|| sendmsg(socket, &[IoSlice::new(&bytes)], &mut ancillary, flags)).map(|_| ())
}

/// Takes one message and closes whatever came along; none when the other end is closed.
pub(crate) fn receive_bytes(socket: BorrowedFd<'_>, patience: Patience) -> Result<Option<Vec<u8>>, Errno> {
    Ok(receive(socket, patience)?.map(|received| received.bytes))
}

/// Takes one message; none when the other end is closed.
pub(crate) fn receive(socket: BorrowedFd<'_>, patience: Patience) -> Result<Option<Received>, Errno> {
    // One byte more than a message may have, so that a longer one is seen to be longer.
    let mut bytes = vec![0; MESSAGE_BYTES + 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = match patience {
        Patience::Waits => RecvFlags::CMSG_CLOEXEC,
        Patience::Never => RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
    };
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags)
            .map(|received| (received.bytes, received.flags))
    });
    let (length, flags) = received?;
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    bytes.truncate(length);
    if length == 0 && is_closed(socket)? {
        return Ok(None);
    }
    let too_many_fds = flags.contains(ReturnFlags::CTRUNC) || MOST_FDS < fds.len();
    Ok(Some(Received { bytes, fds, too_many_fds }))
}

/// Whether the other end is closed: to the kernel, a message without a byte reads the same.
fn is_closed(socket: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut asked = [PollFd::from_borrowed_fd(socket, PollFlags::RDHUP)];
    rustix::io::retry_on_intr(|| poll(&mut asked, Some(&Timespec::default())))?;
    Ok(!asked[0].revents().is_empty())
}
