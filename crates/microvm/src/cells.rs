//! Cells in machines: each is introduced to its guest, which makes it, and is then talked to by two calls.
//!
//! ```text
//! boot --> introduce, and wait for the guest's word --> call the agent --> call control --> a cell
//! ```
//!
//! What is heard here is the guest's word. What holds whatever that says is the machine: its memory, its processors, and the time after which
//! its warden ends it.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use firebox_cell::{AgentStream, Cell, CellError, CellHost, CellMaker, Layout, Measured, Removal, StepLimits};
use firebox_guest::{AGENT, BORN, CONTROL, INTRODUCTION, Introduction};
use firebox_job::{CellKind, Enforcement};
use firebox_monitor::Doors;
use firebox_warden::{Cells, enforcement, limit_request, measured};
use firebox_wire::warden::{CellReply, CellRequest, MESSAGE_BYTES, Message};

use crate::machine::{End, Machine};
use crate::until::Until;

// One number, which the monitor has to know and does not share a crate with the guest for.
const _: () = assert!(INTRODUCTION == firebox_monitor::INTRODUCTION);

/// A distribution's kernel boots in less than a second; on a busy host, or one that emulates it, in many.
const BOOT: Duration = Duration::from_secs(120);
/// A guest that is there answers at once, however busy its job keeps its processors.
const ANSWER: Duration = Duration::from_secs(20);
/// The most that a guest says of why it has no cell.
const MOST_WORDS: u64 = 1024;
/// `OK ` and a number, and the line feed.
const MOST_GREETING: usize = 32;

/// Makes cells in machines, by way of a warden.
pub struct MicroVms {
    cells: Cells,
    introductions: Vec<Vec<u8>>,
}

impl MicroVms {
    /// By this warden, whose blueprints are as many as there are introductions, in the same order.
    pub fn new(cells: Cells, introductions: &[Introduction]) -> MicroVms {
        MicroVms { cells, introductions: introductions.iter().map(Introduction::encode).collect() }
    }

    /// A cell before there is a maker: to find out whether there are any to be had.
    pub fn first(cells: &Cells, introduction: &Introduction) -> Result<Cell, CellError> {
        make(cells, 0, &introduction.encode())
    }
}

impl fmt::Debug for MicroVms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MicroVms").field("cells", &self.cells).finish_non_exhaustive()
    }
}

impl CellMaker for MicroVms {
    fn kind(&self) -> CellKind {
        CellKind::MicroVm
    }

    fn make(&self, view: u16) -> Result<Cell, CellError> {
        let introduction = self.introductions.get(usize::from(view)).ok_or_else(|| CellError::Refused {
            doing: "find what a cell in a microVM is to show",
            source: io::ErrorKind::NotFound.into(),
        })?;
        make(&self.cells, view, introduction)
    }

    fn is_gone(&self) -> bool {
        self.cells.is_gone()
    }

    fn close(self: Box<Self>) -> Result<(), CellError> {
        Box::new(self.cells).close()
    }
}

fn make(cells: &Cells, view: u16, introduction: &[u8]) -> Result<Cell, CellError> {
    let Machine { doors, end, host } = Machine::boot(cells, view)?;
    let Doors { introduction: door, agent, control } = doors;
    introduce(door, introduction, BOOT, &end)?;
    let call = |stream, port| call(&stream, port).map(|()| stream).map_err(|error| end.fault("be called", error));
    let (agent, control) = (call(agent, AGENT)?, call(control, CONTROL)?);
    // Whoever talks to the agent waits for it with a time of their own.
    let timeless = agent.set_read_timeout(None).and_then(|()| agent.set_write_timeout(None));
    timeless.map_err(|error| end.fault("be called", error))?;
    let agent = AgentStream::new(agent.into())?;
    Ok(Cell { agent, host: Box::new(InMachine { control, end, host }), layout: Layout::Viewed })
}

/// Tells the guest what it is for, and waits until there is a cell.
fn introduce(door: UnixStream, introduction: &[u8], within: Duration, end: &End) -> Result<(), CellError> {
    const DOING: &str = "boot its guest";
    let said = || {
        let mut door = Until::within(&door, within);
        // The door's buffer takes the beginning of it; the rest waits until the guest has called.
        door.write_all(introduction)?;
        let mut word = [0];
        door.read_exact(&mut word)?;
        Ok(word == [BORN])
    };
    match said() {
        Ok(true) => Ok(()),
        Ok(false) => {
            let mut words = Vec::new();
            // What of it does not come is not told.
            let _ = Until::within(&door, ANSWER).take(MOST_WORDS).read_to_end(&mut words);
            let words = String::from_utf8_lossy(&words).escape_debug().to_string();
            Err(CellError::Machine { doing: "make a cell in its guest", how: words, source: None })
        }
        Err(error) => Err(end.fault(DOING, in_time(error))),
    }
}

/// Calls the guest, which listens already.
fn call(stream: &UnixStream, port: u32) -> io::Result<()> {
    let mut stream = Until::within(stream, ANSWER);
    stream.write_all(format!("CONNECT {port}\n").as_bytes())?;
    let mut greeting = Vec::new();
    // Byte for byte: what comes behind the line feed is the guest's.
    while greeting.len() < MOST_GREETING {
        let mut byte = [0];
        stream.read_exact(&mut byte).map_err(in_time)?;
        if byte == *b"\n" {
            break;
        }
        greeting.extend(byte);
    }
    if greeting.starts_with(b"OK ") { Ok(()) } else { Err(io::Error::other("its monitor answers nonsense")) }
}

/// What the end of time is called.
fn in_time(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, "its guest does not answer in time")
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            io::Error::new(error.kind(), "its monitor was ended")
        }
        _ => error,
    }
}

/// The host's side of a cell in a machine.
struct InMachine {
    /// To the guest.
    control: UnixStream,
    end: End,
    /// To the warden.
    host: Box<dyn CellHost>,
}

impl InMachine {
    fn ask(&mut self, doing: &'static str, request: &CellRequest, until: Instant) -> Result<CellReply, CellError> {
        let mut reply = [0; MESSAGE_BYTES];
        let mut control = Until::moment(&self.control, until);
        let asked = control.write_all(&request.encode()).and_then(|()| control.read_exact(&mut reply));
        asked.map_err(|error| match in_time(error) {
            // A machine that is there and says nothing has no end to tell of.
            late if late.kind() == io::ErrorKind::TimedOut => {
                CellError::Machine { doing, how: late.to_string(), source: None }
            }
            error => self.end.fault(doing, error),
        })?;
        Ok(CellReply::decode(&reply)?)
    }
}

impl CellHost for InMachine {
    fn kind(&self) -> CellKind {
        CellKind::MicroVm
    }

    fn limit(&mut self, limits: &StepLimits) -> Result<Enforcement, CellError> {
        // The warden's part of it is the time after which all of it ends.
        self.host.limit(limits)?;
        enforcement(self.ask("limit a step", &limit_request(limits), Instant::now() + ANSWER)?)
    }

    fn measure(&mut self, until: Instant) -> Result<Measured, CellError> {
        measured(self.ask("measure a step", &CellRequest::Measure, until)?)
    }

    fn fate(&self) -> Option<CellError> {
        self.end.fate("go on")
    }

    /// The guest is not asked: with its machine goes all there is in it.
    fn order_removal(self: Box<Self>) -> Result<Box<dyn Removal>, CellError> {
        self.host.order_removal()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

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

    #[test]
    fn a_call_is_answered_with_ok_or_is_none() {
        for (answer, is_one) in [
            (b"OK 2147483648\nthe guest's".as_slice(), true),
            (b"NO\n", false),
            (b"", false),
            (b"OK", false),
            (&[b'O'; 100], false),
        ] {
            let (mut host, mut monitor) = UnixStream::pair().unwrap();
            monitor.write_all(answer).unwrap();
            monitor.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(call(&host, 1025).is_ok(), is_one, "{}", String::from_utf8_lossy(answer));
            let mut asked = [0; 13];
            monitor.read_exact(&mut asked).unwrap();
            assert_eq!(&asked, b"CONNECT 1025\n");
            if is_one {
                let mut rest = Vec::new();
                host.read_to_end(&mut rest).unwrap();
                assert_eq!(rest, b"the guest's");
            }
        }
    }
}
