//! Callers, an agent and a cell that do anything, in any order, and what must be true all the same.
//!
//! A script of bytes says who does what next. Nothing happens by itself, so what went wrong goes wrong again. Every word says whose it is and
//! which of theirs: four bytes of a stream, a whole message on the other line.
//! - Neither side hears anything twice, in another order, or that nobody said.
//! - What one caller hears has no gap. Between two callers there is one at most for what was on its way to somebody who hung up.
//! - The cell gets whole questions; an answer is heard by who asked, or by nobody.
//! - When everybody has gone, it is over.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::net::{AddressFamily, SocketType, socketpair};

use super::*;

/// A word of a stream.
const WORD: usize = 4;
/// When nothing has changed in so many turns, and one for each who may have called and hung up, nothing will.
const QUIET: u32 = 4;
/// So many have called and not hung up.
const MOST_WAITING: usize = 3;

/// Plays one script.
pub fn play(script: &[u8]) {
    let mut stage = [Side::new(Words::Stream), Side::new(Words::Messages)];
    let mut script = script.iter();
    while let Some(byte) = script.next() {
        let side = &mut stage[usize::from(byte >> 7)];
        let count = usize::from(script.as_slice().first().copied().unwrap_or(0));
        match byte % 16 {
            0..=2 => side.call(),
            3..=5 => side.ask(count, 1 + count / 3 % 40),
            6 => side.ask_half(count),
            7 => side.hang_up(count),
            8..=10 => side.say(1 + count),
            11 => side.hear_inside(),
            12 => side.hear_outside(),
            13 if count % 16 == 0 => side.inside = None,
            _ => side.line.go_on().unwrap(),
        }
    }
    stage.into_iter().for_each(Side::end);
}

/// One line, and both of its ends.
struct Side {
    words: Words,
    line: Line,
    place: SocketAddr,
    /// None when it has gone.
    inside: Option<OwnedFd>,
    /// Who called first is listened to first.
    callers: Vec<Caller>,
    called: u8,
    /// The next word of the inside's, and the next that a caller may hear.
    said: u32,
    next: u32,
    /// Who was heard last in there, and how many words of theirs.
    heard: (u8, u32),
    rest: Vec<u8>,
    /// Questions that were heard and not answered.
    open: Vec<(u8, u32)>,
}

/// Who has called.
struct Caller {
    number: u8,
    stream: UnixStream,
    asked: u32,
    answered: u32,
    /// Whether half a question is all that it has said last.
    is_cut: bool,
    /// Whether it has heard anything yet.
    has_heard: bool,
    rest: Vec<u8>,
}

impl Side {
    fn new(words: Words) -> Side {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("firebox-relay-{}-{number}", std::process::id());
        let place = SocketAddr::from_abstract_name(name).unwrap();
        let listener = UnixListener::bind_addr(&place).unwrap();
        listener.set_nonblocking(true).unwrap();
        let kind = if words == Words::Stream { SocketType::STREAM } else { SocketType::SEQPACKET };
        let (inside, lines) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
        let line = Line::new(listener.into(), lines, words);
        let (callers, rest, open) = (Vec::new(), Vec::new(), Vec::new());
        let (called, said, next, heard) = (0, 0, 0, (0, 0));
        Side { words, line, place, inside: Some(inside), callers, called, said, next, heard, rest, open }
    }

    fn bytes(&self) -> usize {
        if self.words == Words::Stream { WORD } else { MESSAGE_BYTES }
    }

    fn call(&mut self) {
        // More would have to wait in front of the listener.
        if MOST_WAITING <= self.callers.len() || self.called == u8::MAX {
            return;
        }
        self.called += 1;
        let stream = UnixStream::connect_addr(&self.place).unwrap();
        let number = self.called;
        let (asked, answered, is_cut, has_heard, rest) = (0, 0, false, false, Vec::new());
        self.callers.push(Caller { number, stream, asked, answered, is_cut, has_heard, rest });
    }

    fn ask(&mut self, who: usize, count: usize) {
        let bytes = self.bytes();
        let Some(caller) = one_of(&mut self.callers, who).filter(|caller| !caller.is_cut) else { return };
        for _ in 0..count {
            let word = word(caller.number, caller.asked, bytes);
            match send(&caller.stream, &word, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => assert_eq!(sent, bytes, "half a word found room"),
                Err(_) => break,
            }
            caller.asked += 1;
        }
    }

    /// From then on it says no more.
    fn ask_half(&mut self, count: usize) {
        let bytes = self.bytes();
        let Some(caller) = one_of(&mut self.callers, count).filter(|caller| !caller.is_cut) else { return };
        let half = &word(caller.number, caller.asked, bytes)[..1 + count % (bytes - 1)];
        if self.words == Words::Messages {
            let sent = send(&caller.stream, half, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
            caller.is_cut = sent.is_ok();
        }
    }

    fn hang_up(&mut self, who: usize) {
        if !self.callers.is_empty() {
            self.callers.remove(who % self.callers.len());
        }
    }

    /// The agent says something of its own; a cell answers what it was asked first.
    fn say(&mut self, count: usize) {
        let Some(inside) = &self.inside else { return };
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match self.words {
            Words::Stream => {
                for _ in 0..count {
                    match send(inside, &word(0, self.said, WORD), flags) {
                        Ok(sent) => assert_eq!(sent, WORD, "half a word found room"),
                        Err(_) => break,
                    }
                    self.said += 1;
                }
            }
            Words::Messages if !self.open.is_empty() => {
                let (number, place) = self.open[0];
                if send(inside, &word(number, place, MESSAGE_BYTES), flags).is_ok() {
                    self.open.remove(0);
                }
            }
            Words::Messages => {}
        }
    }

    fn hear_inside(&mut self) {
        let Some(inside) = &self.inside else { return };
        let mut room = [0; 4096];
        while let Ok((count @ 1.., _)) = recv(inside, &mut room, RecvFlags::DONTWAIT) {
            assert!(self.words == Words::Stream || count == MESSAGE_BYTES, "a message of {count} bytes");
            self.rest.extend_from_slice(&room[..count]);
        }
        let bytes = self.bytes();
        let whole = self.rest.len() / bytes * bytes;
        for heard in self.rest.drain(..whole).collect::<Vec<u8>>().chunks(bytes) {
            let (number, place) = read(heard);
            let (last, next) = self.heard;
            assert!(
                last <= number && place == if last == number { next } else { 0 },
                "{number} said {place} after {next} of {last}"
            );
            self.heard = (number, place + 1);
            if self.words == Words::Messages {
                self.open.push((number, place));
            }
        }
    }

    fn hear_outside(&mut self) {
        let bytes = self.bytes();
        for caller in &mut self.callers {
            let mut room = [0; 4096];
            while let Ok((count @ 1.., _)) = recv(&caller.stream, &mut room, RecvFlags::DONTWAIT) {
                caller.rest.extend_from_slice(&room[..count]);
            }
            let whole = caller.rest.len() / bytes * bytes;
            for heard in caller.rest.drain(..whole).collect::<Vec<u8>>().chunks(bytes) {
                let (number, place) = read(heard);
                match self.words {
                    Words::Stream => {
                        let goes_on = if caller.has_heard { place == self.next } else { self.next <= place };
                        assert!(number == 0 && goes_on && place < self.said, "{place} after {}", self.next);
                        (self.next, caller.has_heard) = (place + 1, true);
                    }
                    Words::Messages => {
                        assert_eq!((number, place), (caller.number, caller.answered), "an answer to somebody else");
                        caller.answered += 1;
                    }
                }
            }
        }
    }

    /// Who is there hears all that there is for them, and everybody goes.
    fn end(mut self) {
        if self.callers.is_empty() {
            self.call();
        }
        let turns = QUIET + u32::from(self.called);
        let mut quiet = 0;
        while quiet < turns {
            let before = self.course();
            self.line.go_on().unwrap();
            self.hear_inside();
            if self.words == Words::Messages {
                self.say(1);
            }
            self.hear_outside();
            quiet = if before == self.course() { quiet + 1 } else { 0 };
        }
        if let (Some(_), Some(first)) = (&self.inside, self.callers.first()) {
            match self.words {
                Words::Stream => assert!(self.said == self.next || !first.has_heard, "words are lost"),
                Words::Messages => assert_eq!(first.asked, first.answered, "answers are lost"),
            }
        }
        self.inside = None;
        for _ in 0..MOST_WAITING {
            (0..turns).for_each(|_| self.line.go_on().unwrap());
            self.hang_up(0);
        }
        (0..turns).for_each(|_| self.line.go_on().unwrap());
        assert!(self.line.has_ended(), "it goes on");
    }

    /// What is another while something still happens.
    fn course(&self) -> ((u8, u32), u32, u32, u64) {
        let answered = self.callers.iter().map(|caller| caller.answered).sum();
        (self.heard, self.next, answered, self.line.unheard)
    }
}

fn one_of(callers: &mut [Caller], who: usize) -> Option<&mut Caller> {
    let count = callers.len();
    callers.get_mut(who.checked_rem(count)?)
}

/// Whose it is and which of theirs; a message is filled with it.
fn word(number: u8, place: u32, bytes: usize) -> Vec<u8> {
    let [a, b, c, _] = place.to_le_bytes();
    [number, a, b, c].into_iter().cycle().take(bytes).collect()
}

fn read(word: &[u8]) -> (u8, u32) {
    assert!(word.chunks(WORD).all(|part| part == &word[..WORD]), "{word:?} is of two");
    (word[0], u32::from_le_bytes([word[1], word[2], word[3], 0]))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_callers_and_those_inside_do(script in proptest::collection::vec(any::<u8>(), 0..400)) {
            super::play(&script);
        }
    }

    #[test]
    fn what_a_fuzzer_begins_with_or_has_found_once() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/relay");
        let seeds: Vec<_> = fs::read_dir(seeds).unwrap().collect();
        assert!(2 <= seeds.len(), "the seeds are missing");
        seeds.into_iter().for_each(|seed| super::play(&fs::read(seed.unwrap().path()).unwrap()));
    }
}
