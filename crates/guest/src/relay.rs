//! Passes on what the host and the cell say to each other.
//!
//! A line has an end in here, which stays, and a caller, who may go. What the cell says waits for the next caller, and the cell with it: no more
//! is taken from it than a line holds.

#[cfg(any(test, fuzzing))]
pub(crate) mod chance;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use firebox_wire::warden::MESSAGE_BYTES;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

use crate::farewell::{hang_up, say_goodbye};

/// How much of a stream is on its way in one direction.
const STREAM_BYTES: usize = 64 << 10;

/// Whose words are told apart how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    /// Bytes are bytes on both sides.
    Stream,
    /// The cell's side has messages of a fixed size. The host's is a stream of those.
    Messages,
}

/// One line.
pub(crate) struct Line {
    listener: OwnedFd,
    caller: Option<OwnedFd>,
    inside: OwnedFd,
    to_inside: Pipe,
    to_caller: Pipe,
    /// Whether the inside has said its last, and whether it hears anything.
    is_over: bool,
    is_deaf: bool,
    /// Answers to come that nobody waits for: those who asked have gone.
    unheard: u64,
    /// Who was told that there is nothing more to come.
    dismissed: Option<OwnedFd>,
}

impl Line {
    pub(crate) fn new(listener: OwnedFd, inside: OwnedFd, words: Words) -> Line {
        let bytes = match words {
            Words::Stream => STREAM_BYTES,
            Words::Messages => MESSAGE_BYTES,
        };
        let is_whole = words == Words::Messages;
        let (to_inside, to_caller) = (Pipe::new(bytes, is_whole), Pipe::new(bytes, false));
        let (is_over, is_deaf, unheard) = (false, false, 0);
        Line { listener, caller: None, inside, to_inside, to_caller, is_over, is_deaf, unheard, dismissed: None }
    }

    /// Whether the inside is gone, and nobody is there who has not heard all that it said.
    fn has_ended(&self) -> bool {
        self.is_over && (self.to_caller.is_empty() || self.caller.is_none())
    }

    /// The last message from the inside, whoever heard it.
    pub(crate) fn last_message(&self) -> Option<&[u8]> {
        let Pipe { bytes, taken_in, .. } = &self.to_caller;
        // It stays where it was when it was passed on.
        (0 < *taken_in && self.to_inside.is_whole).then_some(bytes)
    }

    /// What is worth waking up for. Whoever calls while somebody else does waits.
    fn events(&self) -> Vec<PollFd<'_>> {
        let when = |flags, does| if does { flags } else { PollFlags::empty() };
        let mut events = Vec::with_capacity(2);
        // That it is gone is told in any case.
        if !self.is_over && (self.to_caller.has_room() || self.to_inside.has_something()) {
            let reads = when(PollFlags::IN, self.caller.is_some() && self.to_caller.has_room());
            events.push(PollFd::new(&self.inside, reads | when(PollFlags::OUT, self.to_inside.has_something())));
        }
        match &self.caller {
            None => events.push(PollFd::new(&self.listener, PollFlags::IN)),
            Some(caller) => {
                let reads = when(PollFlags::IN, self.to_inside.has_room());
                events.push(PollFd::new(caller, reads | when(PollFlags::OUT, self.to_caller.has_something())));
            }
        }
        events
    }

    /// Does what can be done without waiting.
    fn go_on(&mut self) -> Result<(), Errno> {
        if self.caller.is_none() {
            self.caller = now(accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK))?;
        }
        let mut is_there = true;
        if let Some(caller) = &self.caller {
            is_there = self.to_inside.take_from(caller.as_fd())?;
        }
        if !self.is_over {
            let inside = self.inside.as_fd();
            self.is_deaf = self.is_deaf || !self.to_inside.give_to(inside)?;
            if self.is_deaf {
                self.to_inside.clear();
            }
            // Where nobody listens it keeps its words, but for the last, and for those that nobody will ever want.
            let is_heard = self.caller.is_some() || self.unheard > 0 || is_gone(inside)?;
            self.is_over = is_heard && !self.to_caller.take_from(inside)?;
            if self.unheard > 0 && self.to_caller.is_full() {
                self.to_caller.clear();
                self.unheard -= 1;
            }
        }
        if let Some(caller) = &self.caller {
            is_there &= self.to_caller.give_to(caller.as_fd())?;
        }
        if !is_there || (self.is_over && self.to_caller.is_empty()) {
            self.dismissed = self.caller.take().filter(|_| is_there);
            self.dismissed.as_ref().map_or(Ok(()), say_goodbye)?;
            self.forget();
        }
        Ok(())
    }

    /// What was asked and answered with a caller who is gone is nobody's: half a request, and answers that are yet to come. The next caller would
    /// take them for its own.
    fn forget(&mut self) {
        if self.to_inside.is_whole {
            if self.to_inside.has_room() {
                self.to_inside.clear();
            }
            let on_its_way = u64::from(self.to_inside.has_something());
            let (asked, answered) = (self.to_inside.given_on + on_its_way, self.to_caller.taken_in);
            self.unheard = asked.saturating_sub(answered);
            self.to_caller.clear();
        }
    }
}

/// Passes on until this line has nothing to say any more, and those who call have heard what there was.
pub(crate) fn pass_on(lines: &mut [Line], until: usize) -> Result<(), Errno> {
    while !lines.get(until).is_none_or(Line::has_ended) {
        let mut events: Vec<PollFd<'_>> = lines.iter().flat_map(Line::events).collect();
        rustix::io::retry_on_intr(|| poll(&mut events, None))?;
        drop(events);
        for line in &mut *lines {
            line.go_on()?;
        }
    }
    lines.iter_mut().filter_map(|line| line.dismissed.take()).try_for_each(hang_up)
}

/// Bytes on their way in one direction.
struct Pipe {
    bytes: Box<[u8]>,
    given: usize,
    taken: usize,
    /// How often all that it holds was there, and was given on.
    taken_in: u64,
    given_on: u64,
    /// Whether they are given on all at once, or not yet.
    is_whole: bool,
}

impl Pipe {
    fn new(bytes: usize, is_whole: bool) -> Pipe {
        Pipe { bytes: vec![0; bytes].into_boxed_slice(), given: 0, taken: 0, taken_in: 0, given_on: 0, is_whole }
    }

    fn clear(&mut self) {
        (self.given, self.taken) = (0, 0);
    }

    fn is_empty(&self) -> bool {
        self.given == self.taken
    }

    fn is_full(&self) -> bool {
        !self.has_room()
    }

    fn has_room(&self) -> bool {
        self.taken < self.bytes.len()
    }

    fn has_something(&self) -> bool {
        !self.is_empty() && (!self.is_whole || !self.has_room())
    }

    /// False where there is nothing more to come.
    fn take_from(&mut self, from: BorrowedFd<'_>) -> Result<bool, Errno> {
        if !self.has_room() {
            return Ok(true);
        }
        match now(recv(from, &mut self.bytes[self.taken..], RecvFlags::DONTWAIT)) {
            Ok(None) => Ok(true),
            Ok(Some((0, _))) => Ok(false),
            Err(errno) if is_end(errno) => Ok(false),
            Ok(Some((taken, _))) => {
                self.taken += taken;
                self.taken_in += u64::from(self.is_full());
                Ok(true)
            }
            Err(errno) => Err(errno),
        }
    }

    /// False where nobody takes anything any more.
    fn give_to(&mut self, to: BorrowedFd<'_>) -> Result<bool, Errno> {
        while self.has_something() {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match now(send(to, &self.bytes[self.given..self.taken], flags)) {
                Ok(None) => break,
                Ok(Some(given)) => self.given += given,
                Err(errno) if is_end(errno) => return Ok(false),
                Err(errno) => return Err(errno),
            }
        }
        if self.is_empty() {
            self.given_on += u64::from(self.is_full());
            self.clear();
        }
        Ok(true)
    }
}

/// Whether that means that there is nobody at the other end any more.
fn is_end(errno: Errno) -> bool {
    matches!(errno, Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN | Errno::TIMEDOUT)
}

fn is_gone(end: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut asked = [PollFd::from_borrowed_fd(end, PollFlags::empty())];
    rustix::io::retry_on_intr(|| poll(&mut asked, Some(&Timespec::default())))?;
    Ok(!asked[0].revents().is_empty())
}

/// None where it would have to be waited for.
pub(crate) fn now<T>(done: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::thread::{self, JoinHandle};
    use std::time::Duration;

    use rustix::net::{AddressFamily, SocketType, socketpair};

    use super::*;

    /// Both lines at work: where to call for either, and what is inside. The thread ends with the control line.
    struct Bench {
        directory: tempfile::TempDir,
        agent: UnixStream,
        cell: OwnedFd,
        relay: JoinHandle<Result<(), Errno>>,
    }

    impl Bench {
        fn new() -> Bench {
            let directory = tempfile::tempdir().unwrap();
            let (agent, agents) = UnixStream::pair().unwrap();
            let (cell, cells) =
                socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
            let listener = |name: &str| {
                let listener = UnixListener::bind(directory.path().join(name)).unwrap();
                listener.set_nonblocking(true).unwrap();
                OwnedFd::from(listener)
            };
            let mut lines = [
                Line::new(listener("agent"), agents.into(), Words::Stream),
                Line::new(listener("control"), cells, Words::Messages),
            ];
            let relay = thread::spawn(move || pass_on(&mut lines, 1));
            agent.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            Bench { directory, agent, cell, relay }
        }

        fn call(&self, name: &str) -> UnixStream {
            let caller = UnixStream::connect(self.directory.path().join(name)).unwrap();
            caller.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            caller
        }

        /// The next message that the cell gets, whole or none.
        fn message(&self) -> Vec<u8> {
            let mut message = [0; MESSAGE_BYTES + 1];
            let (length, _) = recv(&self.cell, &mut message, RecvFlags::empty()).unwrap();
            message[..length].to_vec()
        }

        /// The cell goes, and with it all.
        fn end(self) {
            drop(self.cell);
            self.relay.join().unwrap().unwrap();
        }
    }

    fn passes(mut from: UnixStream, to: &mut UnixStream) {
        let said: Vec<u8> = (0..5_000_000_u32).map(|number| (number % 251) as u8).collect();
        let mut heard = vec![0; said.len()];
        let expected = said.clone();
        let sender = thread::spawn(move || from.write_all(&said));
        to.read_exact(&mut heard).unwrap();
        sender.join().unwrap().unwrap();
        assert!(heard == expected, "it is not the same");
    }

    #[test]
    fn a_stream_is_the_same_on_both_sides() {
        let mut bench = Bench::new();
        let mut caller = bench.call("agent");
        passes(bench.agent.try_clone().unwrap(), &mut caller);
        passes(caller, &mut bench.agent);
        bench.end();
    }

    #[test]
    fn what_is_said_while_nobody_calls_is_heard_by_the_next() {
        let mut bench = Bench::new();
        let mut heard = [0; 5];
        for words in [b"first", b"other", b"third"] {
            bench.agent.write_all(words).unwrap();
            let mut caller = bench.call("agent");
            caller.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, words);
            caller.write_all(words).unwrap();
            bench.agent.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, words);
        }
        bench.end();
    }

    #[test]
    fn who_calls_while_somebody_does_gets_their_turn() {
        let mut bench = Bench::new();
        let [mut first, mut second] = ["agent"; 2].map(|name| bench.call(name));
        second.write_all(b"second").unwrap();
        first.write_all(b"first!").unwrap();
        let mut heard = [0; 6];
        bench.agent.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"first!");
        drop(first);
        bench.agent.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"second");
        bench.end();
    }

    #[test]
    fn messages_stay_whole_and_half_of_one_is_none() {
        let bench = Bench::new();
        bench.call("control").write_all(&[9; MESSAGE_BYTES - 1]).unwrap();
        let mut caller = bench.call("control");
        let said: Vec<u8> = (0..MESSAGE_BYTES * 3).map(|number| number as u8).collect();
        for some in said.chunks(7) {
            caller.write_all(some).unwrap();
        }
        for expected in said.chunks(MESSAGE_BYTES) {
            assert_eq!(bench.message(), expected);
        }
        for answer in [[1; MESSAGE_BYTES], [2; MESSAGE_BYTES]] {
            send(&bench.cell, &answer, SendFlags::empty()).unwrap();
        }
        let mut heard = [0; MESSAGE_BYTES * 2];
        caller.read_exact(&mut heard).unwrap();
        assert_eq!(heard, [[1; MESSAGE_BYTES], [2; MESSAGE_BYTES]].concat()[..]);
        bench.end();
    }

    #[test]
    fn an_answer_is_heard_by_who_asked_or_by_nobody() {
        let bench = Bench::new();
        let mut asks = bench.call("control");
        asks.write_all(&[1; MESSAGE_BYTES]).unwrap();
        assert_eq!(bench.message(), [1; MESSAGE_BYTES]);
        // Gone before it is answered, and with another question on its way.
        asks.write_all(&[2; MESSAGE_BYTES]).unwrap();
        drop(asks);
        assert_eq!(bench.message(), [2; MESSAGE_BYTES]);
        let mut caller = bench.call("control");
        caller.write_all(&[3; MESSAGE_BYTES]).unwrap();
        for asked in [1, 2, 3] {
            if asked == 3 {
                assert_eq!(bench.message(), [3; MESSAGE_BYTES]);
            }
            send(&bench.cell, &[asked; MESSAGE_BYTES], SendFlags::empty()).unwrap();
        }
        let mut heard = [0; MESSAGE_BYTES];
        caller.read_exact(&mut heard).unwrap();
        assert_eq!(heard, [3; MESSAGE_BYTES]);
        bench.end();
    }

    #[test]
    fn all_that_was_said_before_the_end_is_heard_by_who_still_speaks() {
        let mut bench = Bench::new();
        let mut caller = bench.call("agent");
        let mut said = vec![7; 150_000];
        bench.agent.set_nonblocking(true).unwrap();
        let written = bench.agent.write(&said).unwrap();
        said.truncate(written);
        bench.agent.shutdown(std::net::Shutdown::Both).unwrap();
        let mut speaks = caller.try_clone().unwrap();
        let speaker = thread::spawn(move || while speaks.write_all(b"word").is_ok() {});
        let mut heard = Vec::new();
        caller.read_to_end(&mut heard).unwrap_or_default();
        assert_eq!(heard.len(), said.len());
        speaker.join().unwrap();
        bench.end();
    }

    #[test]
    fn when_the_cell_is_gone_its_last_words_are_heard_and_callers_hung_up_on() {
        let bench = Bench::new();
        let mut caller = bench.call("control");
        caller.write_all(&[3; MESSAGE_BYTES]).unwrap();
        bench.message();
        send(&bench.cell, &[4; MESSAGE_BYTES], SendFlags::empty()).unwrap();
        bench.end();
        let mut heard = Vec::new();
        caller.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, [4; MESSAGE_BYTES]);
    }
}
