//! Cells in machines: a guest is welcomed, and is then talked to by two calls.
//!
//! ```text
//! boot ------> introduce, and wait for the guest's word --.
//! go on -----> renew, and wait for the guest's word -------`--> call the agent --> call control --> a cell
//! ```
//!
//! What is heard here is the guest's word. What holds whatever that says is the machine: its memory, its processors, and the time after which
//! its warden ends it.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use firebox_cell::{
    AgentStream, Cell, CellError, CellHost, CellMaker, FrozenInto, Layout, Measured, Removal, StepLimits,
};
use firebox_guest::{AGENT, CONTROL};
use firebox_job::{CellKind, Enforcement};
use firebox_monitor::Doors;
use firebox_warden::{Cells, enforcement, limit_request, measured};
use firebox_wire::warden::{CellReply, CellRequest, MESSAGE_BYTES, Message};

use crate::machine::{End, Machine};
use crate::until::{Until, in_time};
use crate::welcome::Welcome;

/// A guest that is there answers at once, however busy its job keeps its processors; unless a hundred others want those of the host.
pub(crate) const ANSWER: Duration = Duration::from_secs(30);
/// `OK ` and a number, and the line feed.
const MOST_GREETING: usize = 32;

/// Makes cells in machines, by way of a warden.
pub struct MicroVms {
    cells: Cells,
    welcomes: Vec<Welcome>,
}

impl MicroVms {
    /// By this warden, whose blueprints are as many as there are welcomes, in the same order.
    pub fn new(cells: Cells, welcomes: Vec<Welcome>) -> MicroVms {
        MicroVms { cells, welcomes }
    }

    /// A cell by the blueprint of that number before there is a maker: to find out whether there are any to be had.
    pub fn one(cells: &Cells, blueprint: u16, welcome: &Welcome) -> Result<Cell, CellError> {
        make(cells, blueprint, welcome)
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
        let welcome = self.welcomes.get(usize::from(view)).ok_or_else(|| CellError::Refused {
            doing: "find what a cell in a microVM is to show",
            source: io::ErrorKind::NotFound.into(),
        })?;
        make(&self.cells, view, welcome)
    }

    fn is_gone(&self) -> bool {
        self.cells.is_gone()
    }

    fn close(self: Box<Self>) -> Result<(), CellError> {
        Box::new(self.cells).close()
    }
}

fn make(cells: &Cells, view: u16, welcome: &Welcome) -> Result<Cell, CellError> {
    let Machine { doors, end, host } = Machine::boot(cells, view)?;
    let Doors { welcome: door, agent, control } = doors;
    welcome.say(door, &end)?;
    let call = |stream, port| call(&stream, port).map(|()| stream).map_err(|error| end.fault("be called", error));
    let (agent, control) = (call(agent, AGENT)?, call(control, CONTROL)?);
    // Whoever talks to the agent waits for it with a time of their own.
    let timeless = agent.set_read_timeout(None).and_then(|()| agent.set_write_timeout(None));
    timeless.map_err(|error| end.fault("be called", error))?;
    let agent = AgentStream::new(agent.into())?;
    Ok(Cell { agent, host: Box::new(InMachine { control, end, host }), layout: Layout::Viewed, begun: welcome.begun() })
}

/// Calls the guest, which listens already.
pub(crate) fn call(stream: &UnixStream, port: u32) -> io::Result<()> {
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
        // In the guest the time runs from before the answer is here, and must not be over before that of the step.
        let in_guest = StepLimits { most: limits.most.saturating_add(ANSWER), ..*limits };
        let enforcement = enforcement(self.ask("limit a step", &limit_request(&in_guest), Instant::now() + ANSWER)?)?;
        // The warden's part of it is the time after which all of it ends, whatever the guest does. So that is the last to begin.
        self.host.limit(limits)?;
        Ok(enforcement)
    }

    fn measure(&mut self, until: Instant) -> Result<Measured, CellError> {
        measured(self.ask("measure a step", &CellRequest::Measure, until)?)
    }

    fn fate(&self) -> Option<CellError> {
        self.end.fate("go on")
    }

    fn freeze(self: Box<Self>, into: FrozenInto<'_>) -> Result<(), CellError> {
        let InMachine { control, end, host } = *self;
        drop(control);
        end.freeze_and_remove(host, into)
    }

    /// The guest is not asked: with its machine goes all there is in it.
    fn order_removal(self: Box<Self>) -> Result<Box<dyn Removal>, CellError> {
        self.host.order_removal()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::mpsc::{Sender, channel};

    use firebox_job::{ByteSize, Protection};
    use firebox_wire::warden::Held;

    use super::*;

    /// A warden's side of a cell that tells what it is asked to limit.
    struct Told(Sender<Duration>);

    impl CellHost for Told {
        fn kind(&self) -> CellKind {
            CellKind::MicroVm
        }

        fn limit(&mut self, limits: &StepLimits) -> Result<Enforcement, CellError> {
            let _ = self.0.send(limits.most);
            let held = Protection::Enforced;
            Ok(Enforcement { memory: held, tasks: held, cpu: held, disk: held })
        }

        fn measure(&mut self, _until: Instant) -> Result<Measured, CellError> {
            Ok(Measured::default())
        }

        fn order_removal(self: Box<Self>) -> Result<Box<dyn Removal>, CellError> {
            Err(CellError::Refused { doing: "remove it", source: io::ErrorKind::Unsupported.into() })
        }
    }

    #[test]
    fn the_wardens_time_runs_from_the_guests_answer_on_and_ends_before_that_in_the_guest() {
        let (control, mut guest) = UnixStream::pair().unwrap();
        let (told, hears) = channel();
        let end = End::of(UnixStream::pair().unwrap().0);
        let mut cell = InMachine { control, end, host: Box::new(Told(told)) };
        let one = NonZeroU32::MIN;
        let most = Duration::from_secs(14);
        let limits =
            StepLimits { memory: ByteSize::mib(1), tasks: one, vcpus: one, disk: ByteSize::mib(1), inodes: 1, most };
        let guest = std::thread::spawn(move || {
            let mut asked = [0; MESSAGE_BYTES];
            guest.read_exact(&mut asked).unwrap();
            std::thread::sleep(Duration::from_millis(50));
            assert!(hears.try_recv().is_err(), "the warden's time runs already");
            let limited = CellReply::Limited(Held { memory: true, tasks: true, cpu: true, disk: true });
            guest.write_all(&limited.encode()).unwrap();
            let CellRequest::Limit(in_guest) = CellRequest::decode(&asked).unwrap() else { panic!("something else") };
            (Duration::from_millis(in_guest.wall_ms), hears.recv().unwrap())
        });
        assert!(cell.limit(&limits).unwrap().is_complete());
        assert_eq!(guest.join().unwrap(), (most + ANSWER, most));
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
