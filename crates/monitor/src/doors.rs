//! The guest's ways to the host: three sockets, which whoever asked for the machine makes and sends over the stream.
//!
//! So they need not go through the warden, which knows nothing of what is said there.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// One end of each way.
#[derive(Debug)]
pub struct Doors {
    /// Where the guest calls the host.
    pub introduction: UnixStream,
    /// Somebody who calls the guest, when they want to.
    pub agent: UnixStream,
    /// And somebody else who does.
    pub control: UnixStream,
}

/// Why there are no doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// The stream failed.
    #[error("cannot use the stream: {0}")]
    Stream(#[from] Errno),
    /// Something else came.
    #[error("what came over the stream are no doors")]
    Others,
}

/// What comes along with the descriptors: a message without a byte is none.
const WORD: [u8; 4] = *b"FBM1";
const DOORS: usize = 3;

impl Doors {
    /// Both ends: the host's, and the machine's.
    pub fn pairs() -> std::io::Result<(Doors, Doors)> {
        let (introduction, introductions) = UnixStream::pair()?;
        let (agent, agents) = UnixStream::pair()?;
        let (control, controls) = UnixStream::pair()?;
        Ok((
            Doors { introduction, agent, control },
            Doors { introduction: introductions, agent: agents, control: controls },
        ))
    }

    /// Sends the machine's ends.
    pub fn send(&self, stream: BorrowedFd<'_>) -> Result<(), DoorError> {
        let Doors { introduction, agent, control } = self;
        let doors = [introduction.as_fd(), agent.as_fd(), control.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DOORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(&doors)) {
            return Err(DoorError::Stream(Errno::NOBUFS));
        }
        let sent =
            rustix::io::retry_on_intr(|| sendmsg(stream, &[IoSlice::new(&WORD)], &mut ancillary, SendFlags::NOSIGNAL))?;
        if sent == WORD.len() { Ok(()) } else { Err(DoorError::Stream(Errno::IO)) }
    }

    /// Waits for them.
    pub fn receive(stream: BorrowedFd<'_>) -> Result<Doors, DoorError> {
        let mut word = [0; WORD.len()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DOORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let length = rustix::io::retry_on_intr(|| {
            recvmsg(stream, &mut [IoSliceMut::new(&mut word)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
                .map(|received| received.bytes)
        })?;
        let mut came: Vec<OwnedFd> = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                came.extend(descriptors);
            }
        }
        let [introduction, agent, control] =
            <[OwnedFd; DOORS]>::try_from(came).map_err(|_| DoorError::Others)?.map(UnixStream::from);
        if word.get(..length) != Some(&WORD) {
            return Err(DoorError::Others);
        }
        Ok(Doors { introduction, agent, control })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn each_door_leads_to_where_it_was_sent_from() {
        let (near, far) = UnixStream::pair().unwrap();
        let (mut hosts, machines) = Doors::pairs().unwrap();
        machines.send(near.as_fd()).unwrap();
        drop(machines);
        let mut come = Doors::receive(far.as_fd()).unwrap();
        let Doors { introduction, agent, control } = &mut hosts;
        for (ours, theirs, word) in [
            (introduction, &mut come.introduction, b"one"),
            (agent, &mut come.agent, b"two"),
            (control, &mut come.control, b"six"),
        ] {
            ours.write_all(word).unwrap();
            let mut heard = [0; 3];
            theirs.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, word);
        }
    }

    #[test]
    fn what_brings_no_doors_or_ends_is_refused() {
        for said in [b"FBM1".as_slice(), b"FBM", b""] {
            let (mut near, far) = UnixStream::pair().unwrap();
            near.write_all(said).unwrap();
            drop(near);
            assert_eq!(Doors::receive(far.as_fd()).err(), Some(DoorError::Others));
        }
    }
}
