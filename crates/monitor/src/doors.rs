//! The guest's ways to the host: three sockets, which whoever asked for the machine makes and sends over the stream.
//!
//! So they need not go through the warden, which knows nothing of what is said there.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use crate::handover::{self, HandoverError};

/// One end of each way.
#[derive(Debug)]
pub struct Doors {
    /// For what is said before there is a cell: where a guest that boots calls the host; and where one that goes on is called.
    pub welcome: UnixStream,
    /// Somebody who calls the guest, when they want to.
    pub agent: UnixStream,
    /// And somebody else who does.
    pub control: UnixStream,
}

/// What comes along with them.
const WORD: handover::Word = *b"FBM1";

impl Doors {
    /// Both ends: the host's, and the machine's.
    pub fn pairs() -> std::io::Result<(Doors, Doors)> {
        let (welcome, welcomed) = UnixStream::pair()?;
        let (agent, agents) = UnixStream::pair()?;
        let (control, controls) = UnixStream::pair()?;
        Ok((Doors { welcome, agent, control }, Doors { welcome: welcomed, agent: agents, control: controls }))
    }

    /// Sends the machine's ends.
    pub fn send(&self, stream: BorrowedFd<'_>) -> Result<(), HandoverError> {
        let Doors { welcome, agent, control } = self;
        handover::send(stream, WORD, [welcome.as_fd(), agent.as_fd(), control.as_fd()])
    }

    /// Waits for them.
    pub fn receive(stream: BorrowedFd<'_>) -> Result<Doors, HandoverError> {
        let doors: [OwnedFd; 3] = handover::receive(stream, WORD)?;
        let [welcome, agent, control] = doors.map(UnixStream::from);
        Ok(Doors { welcome, agent, control })
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
        let Doors { welcome, agent, control } = &mut hosts;
        for (ours, theirs, word) in [
            (welcome, &mut come.welcome, b"one"),
            (agent, &mut come.agent, b"two"),
            (control, &mut come.control, b"six"),
        ] {
            ours.write_all(word).unwrap();
            let mut heard = [0; 3];
            theirs.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, word);
        }
    }
}
