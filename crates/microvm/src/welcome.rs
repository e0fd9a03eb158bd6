//! What is said to a guest before there is a cell.
//!
//! One that boots calls, and is told what it is for. One that goes on where another was frozen is called, and told the time, and something that was drawn
//! for it alone.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, SystemTime};

use firebox_cell::{Begun, CellError};
use firebox_guest::{BORN, INTRODUCTION, Introduction, RANDOMNESS_BYTES, RENEWAL, RENEWED, Renewal};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::cells::{ANSWER, call};
use crate::machine::End;
use crate::until::{Until, in_time};

// One number, which the monitor has to know and does not share a crate with the guest for.
const _: () = assert!(INTRODUCTION == firebox_monitor::INTRODUCTION);

/// What is said to guests of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Welcome {
    /// What they are for, to those that boot: as it is written.
    Introduction(Vec<u8>),
    /// To those that go on.
    Renewal {
        /// Whether the tool of a first step stands in them.
        has_tool: bool,
    },
}

/// A distribution's kernel boots in less than a second; on a busy host, or one that emulates it, in many.
const BOOT: Duration = Duration::from_secs(120);
/// The most that a guest says of why it cannot do what it is told.
const MOST_WORDS: u64 = 1024;

impl From<&Introduction> for Welcome {
    fn from(introduction: &Introduction) -> Welcome {
        Welcome::Introduction(introduction.encode())
    }
}

impl Welcome {
    /// Says it, and waits until there is a cell in which a job can begin.
    pub(crate) fn say(&self, door: UnixStream, end: &End) -> Result<(), CellError> {
        match self {
            Welcome::Introduction(introduction) => introduce(door, introduction, BOOT, end),
            Welcome::Renewal { has_tool: _ } => renew(door, end),
        }
    }

    pub(crate) fn begun(&self) -> Begun {
        match self {
            Welcome::Introduction(_) => Begun::No,
            Welcome::Renewal { has_tool: false } => Begun::Agent,
            Welcome::Renewal { has_tool: true } => Begun::Tool,
        }
    }
}

/// Makes a clone one of its own.
fn renew(door: UnixStream, end: &End) -> Result<(), CellError> {
    let said = || {
        call(&door, RENEWAL)?;
        let mut randomness = [0; RANDOMNESS_BYTES];
        // So few bytes come at once, or not at all.
        getrandom(&mut randomness, GetRandomFlags::empty())?;
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
        let mut door = Until::within(&door, ANSWER);
        door.write_all(&Renewal { time, randomness }.encode())?;
        word(&mut door)
    };
    heard(said(), RENEWED, &door, end, ["go on", "have its guest renew itself"])
}

/// Tells the guest what it is for, and waits until there is a cell.
fn introduce(door: UnixStream, introduction: &[u8], within: Duration, end: &End) -> Result<(), CellError> {
    let said = || {
        let mut door = Until::within(&door, within);
        // The door's buffer takes the beginning of it; the rest waits until the guest has called.
        door.write_all(introduction)?;
        word(&mut door)
    };
    heard(said(), BORN, &door, end, ["boot its guest", "make a cell in its guest"])
}

fn word(door: &mut Until<'_>) -> io::Result<u8> {
    let mut word = [0];
    door.read_exact(&mut word)?;
    let [word] = word;
    Ok(word)
}

/// What is to be made of the guest's word: where it is not the one that was hoped for, it says why. `doing` is what a machine does that says nothing, and
/// one that says why not.
fn heard(
    said: io::Result<u8>,
    hoped: u8,
    door: &UnixStream,
    end: &End,
    [silent, refused]: [&'static str; 2],
) -> Result<(), CellError> {
    match said {
        Ok(word) if word == hoped => Ok(()),
        Ok(_) => {
            let mut words = Vec::new();
            // What of it does not come is not told.
            let _ = Until::within(door, ANSWER).take(MOST_WORDS).read_to_end(&mut words);
            let words = String::from_utf8_lossy(&words).escape_debug().to_string();
            Err(CellError::Machine { doing: refused, how: words, source: None })
        }
        Err(error) => Err(end.fault(silent, in_time(error))),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Instant;

    use firebox_guest::FAILED;
    use firebox_monitor::{Report, Whose};

    use super::*;

    /// Where a machine's end is told, by a monitor that has ended with these words, or without any.
    fn ended(words: Option<&str>) -> End {
        let (near, far) = UnixStream::pair().unwrap();
        let report = words.map(|words| Report {
            whose: Whose::Guests,
            words: words.to_owned(),
            last_words: b"Kernel panic\r\n".to_vec(),
        });
        report.into_iter().for_each(|report| report.write(&far).unwrap());
        End::of(near)
    }

    fn told(error: &CellError) -> String {
        let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    /// Introduces it to a guest that hears all of it, and then says this and hangs up.
    fn introduced(answer: &'static [u8], end: &End) -> Result<(), CellError> {
        let (door, mut guest) = UnixStream::pair().unwrap();
        let introduction = vec![7; 300_000];
        let length = introduction.len();
        let guest = thread::spawn(move || {
            let mut heard = vec![0; length];
            guest.read_exact(&mut heard).unwrap();
            guest.write_all(answer).unwrap();
            heard
        });
        let born = introduce(door, &introduction, BOOT, end);
        assert!(guest.join().unwrap() == introduction, "it has heard something else");
        born
    }

    #[test]
    fn a_guest_is_told_all_and_its_word_is_believed() {
        introduced(&[BORN], &ended(None)).unwrap();
    }

    #[test]
    fn a_guest_without_a_cell_says_why_in_words_that_command_nothing() {
        let answer = [&[FAILED], b"cannot make a cell: \x1B[2Jno room".as_slice()].concat().leak();
        let error = introduced(answer, &ended(None)).unwrap_err();
        let expected = "a microVM cannot make a cell in its guest: cannot make a cell: \\u{1b}[2Jno room";
        assert_eq!(told(&error), expected);
    }

    /// As one whose kernel spins.
    #[test]
    fn a_guest_that_never_calls_is_given_up_at_its_time() {
        let ((door, _guest), (near, _monitor)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let begun = Instant::now();
        let error = introduce(door, &[7; 300_000], Duration::from_millis(100), &End::of(near)).unwrap_err();
        assert_eq!(told(&error), "a microVM cannot boot its guest: its guest does not answer in time");
        // And then it is seen whether its monitor has anything to say of that.
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }

    #[test]
    fn who_hangs_up_has_ended_and_its_end_is_told() {
        let error = introduced(b"", &ended(Some("the guest reset itself"))).unwrap_err();
        let expected = "a microVM cannot boot its guest: the guest reset itself; its guest said last: Kernel panic";
        assert_eq!(told(&error), expected);
        let error = introduced(b"", &ended(Some("\x1B[2J\nfirebox: all is well"))).unwrap_err();
        assert!(told(&error).contains("guest: \\u{1b}[2J\\nfirebox: all is well"), "{}", told(&error));
        let error = introduced(b"", &ended(None)).unwrap_err();
        assert_eq!(told(&error), "a microVM cannot boot its guest: its monitor was ended");
    }

    /// Renews a guest that answers the call, hears its renewal, and says this and hangs up. What it has heard.
    fn renewed(answer: &'static [u8], end: &End) -> (Result<(), CellError>, Option<Renewal>) {
        let (door, mut guest) = UnixStream::pair().unwrap();
        let guest = thread::spawn(move || {
            let called = format!("CONNECT {RENEWAL}\n");
            let mut heard = vec![0; called.len()];
            guest.read_exact(&mut heard).unwrap();
            assert_eq!(heard, called.as_bytes());
            guest.write_all(b"OK 1\n").unwrap();
            let heard = Renewal::read(&guest).ok();
            guest.write_all(answer).unwrap();
            heard
        });
        let done = renew(door, end);
        (done, guest.join().unwrap())
    }

    #[test]
    fn each_clone_is_told_the_time_and_what_nobody_else_is_told() {
        let heard = [(), ()].map(|()| {
            let (done, heard) = renewed(&[RENEWED], &ended(None));
            done.unwrap();
            heard.unwrap()
        });
        assert_ne!(heard[0].randomness, heard[1].randomness);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert!(heard.iter().all(|told| now.abs_diff(told.time) < Duration::from_secs(60)), "{now:?}: {heard:?}");
    }

    #[test]
    fn a_clone_that_is_not_renewed_is_none() {
        let told_by = |answer, end: &End| told(&renewed(answer, end).0.unwrap_err());
        let refused = [&[FAILED], b"no such clock".as_slice()].concat().leak();
        let expected = "a microVM cannot have its guest renew itself: no such clock";
        assert_eq!(told_by(refused, &ended(None)), expected);
        assert_eq!(told_by(b"", &ended(None)), "a microVM cannot go on: its monitor was ended");
        let reset = told_by(b"", &ended(Some("the guest reset itself")));
        assert!(reset.starts_with("a microVM cannot go on: the guest reset itself"), "{reset}");
    }
}
