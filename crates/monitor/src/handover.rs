//! Descriptors that go over the stream between a monitor and whoever asked for its machine, so that they need not go through the warden.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// What comes along with the descriptors, and says what they are: a message without a byte is none.
pub(crate) type Word = [u8; 4];

/// More than ever go at once.
const MOST: usize = 4;

/// Why descriptors did not get over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    /// The stream failed.
    #[error("cannot use the stream: {0}")]
    Stream(#[from] Errno),
    /// Something else came, or nothing any more.
    #[error("what came over the stream is not what should have")]
    Others,
}

pub(crate) fn send<const N: usize>(
    stream: BorrowedFd<'_>,
    word: Word,
    descriptors: [BorrowedFd<'_>; N],
) -> Result<(), HandoverError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(HandoverError::Stream(Errno::NOBUFS));
    }
    let sent = retry_on_intr(|| sendmsg(stream, &[IoSlice::new(&word)], &mut ancillary, SendFlags::NOSIGNAL))?;
    if sent == word.len() { Ok(()) } else { Err(HandoverError::Stream(Errno::IO)) }
}

/// Waits for so many with that word.
pub(crate) fn receive<const N: usize>(stream: BorrowedFd<'_>, word: Word) -> Result<[OwnedFd; N], HandoverError> {
    let mut came = Word::default();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let length = retry_on_intr(|| {
        recvmsg(stream, &mut [IoSliceMut::new(&mut came)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
            .map(|received| received.bytes)
    })?;
    let mut descriptors: Vec<OwnedFd> = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            descriptors.extend(some);
        }
    }
    if came.get(..length) != Some(&word) {
        return Err(HandoverError::Others);
    }
    descriptors.try_into().map_err(|_| HandoverError::Others)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    const ASKED: Word = *b"FBX1";

    fn received(stream: &UnixStream) -> Result<[OwnedFd; 2], HandoverError> {
        receive(stream.as_fd(), ASKED)
    }

    #[test]
    fn what_brings_no_descriptors_or_others_or_ends_is_refused() {
        for said in [ASKED.as_slice(), b"FBX", b""] {
            let (mut near, far) = UnixStream::pair().unwrap();
            near.write_all(said).unwrap();
            drop(near);
            assert_eq!(received(&far).err(), Some(HandoverError::Others));
        }
        for (word, is_one) in [(ASKED, true), (*b"FBX2", false)] {
            let (near, far) = UnixStream::pair().unwrap();
            send(near.as_fd(), word, [near.as_fd(), near.as_fd()]).unwrap();
            assert_eq!(received(&far).is_ok(), is_one, "{word:?}");
        }
        let (near, far) = UnixStream::pair().unwrap();
        send(near.as_fd(), ASKED, [near.as_fd()]).unwrap();
        assert_eq!(received(&far).err(), Some(HandoverError::Others), "one is not two");
    }
}
