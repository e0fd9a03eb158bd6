//! The agent's life: one order after the other, and whatever a running step has to say in between.
//!
//! ```text
//!            File            Step             Go
//! Idle ------------> Storing     Idle --> Waiting --> Running
//!   ^---- FileEnd ------'         ^---------------------'  the program ended
//! ```

use core::ffi::CStr;

use firebox_wire::{MAX_PAYLOAD, Order, Refusal, Report, VERSION};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::process::Pid;

use crate::confinement;
use crate::doors::Doors;
use crate::running::{POLLED, Running};
use crate::step::Waiting;
use crate::store::NewFile;
use crate::stream::{Gone, Stream};
use crate::sys::{self, SignalFd};

/// One agent, for as long as its cell.
pub(crate) struct Agent {
    stream: Stream,
    children: SignalFd,
    hands: Hands,
    /// Where output passes through.
    chunk: &'static mut [u8],
}

/// What the agent works on.
struct Hands {
    work: Work,
    /// Standard input that the program has yet to read.
    pending: &'static mut [u8],
    doors: Doors,
    /// How many steps have been prepared.
    steps: u32,
}

enum Work {
    Idle,
    Storing(NewFile),
    Waiting(Waiting),
    Running(Running),
}

impl Agent {
    /// Confines this process and tells the host that it stands.
    pub(crate) fn start(argument: &CStr) -> Result<Agent, Gone> {
        let mut stream = Stream::new(confinement::host())?;
        if rustix::process::getpid() != Pid::INIT {
            stream.send(&Report::Refused { what: Refusal::Confine, errno: Errno::PERM.raw_os_error() })?;
            return Err(Gone::Protocol);
        }
        sys::reset_signals();
        let memory = || sys::pages(MAX_PAYLOAD).map_err(|_| Gone::Memory);
        let (chunk, pending) = (memory()?, memory()?);
        let children = match SignalFd::for_children().and_then(|fd| confinement::enter().map(|()| fd)) {
            Ok(children) => children,
            Err(errno) => {
                stream.send(&Report::Refused { what: Refusal::Confine, errno: errno.raw_os_error() })?;
                return Err(Gone::Protocol);
            }
        };
        stream.send(&Report::Ready { version: VERSION })?;
        Ok(Agent {
            stream,
            children,
            hands: Hands { work: Work::Idle, pending, doors: Doors::from_argument(argument), steps: 0 },
            chunk,
        })
    }

    /// Does what it is told until the host is gone.
    pub(crate) fn serve(&mut self) -> Result<(), Gone> {
        loop {
            let ready = self.wait()?;
            if ready.order {
                self.stream.fill()?;
                // The order borrows the stream's buffer, so the answer is sent once the order is done with.
                while let Some(order) = self.stream.next()? {
                    if let Some(answer) = self.hands.obey(order) {
                        self.stream.send(&answer)?;
                    }
                }
            }
            self.attend(ready.child)?;
        }
    }

    /// Waits until something has happened.
    fn wait(&self) -> Result<Ready, Gone> {
        let of_step = match &self.hands.work {
            Work::Running(running) => running.poll_fds(),
            Work::Idle | Work::Storing(_) | Work::Waiting(_) => [const { None }; POLLED],
        };
        let placeholder = || PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::empty());
        let [a, b, c, d] = of_step.map(|fd| fd.unwrap_or_else(placeholder));
        let mut fds = [
            PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.children.as_fd(), PollFlags::IN),
            a,
            b,
            c,
            d,
        ];
        loop {
            match poll(&mut fds, None) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(_) => return Err(Gone::Memory),
            }
        }
        let [order, child, ..] = fds.map(|fd| !fd.revents().is_empty());
        Ok(Ready { order, child })
    }

    /// Passes on what a running step has to say, and ends it when its program has ended.
    fn attend(&mut self, child: bool) -> Result<(), Gone> {
        if child {
            self.children.clear();
        }
        let Work::Running(running) = &mut self.hands.work else {
            return Ok(());
        };
        running.pass_on(&mut self.stream, self.chunk, self.hands.pending)?;
        if !child {
            return Ok(());
        }
        if let Some(end) = running.reap() {
            let ended = core::mem::replace(&mut self.hands.work, Work::Idle);
            if let Work::Running(running) = ended {
                running.finish(end, &mut self.stream, self.chunk)?;
            }
        }
        Ok(())
    }
}

/// What has happened.
struct Ready {
    order: bool,
    child: bool,
}

impl Hands {
    /// Does one thing. The answer, where there is one at once.
    fn obey(&mut self, order: Order<'_>) -> Option<Report<'static>> {
        let work = core::mem::replace(&mut self.work, Work::Idle);
        let (next, answer) = match (order, work) {
            (Order::File(path), Work::Idle) => match NewFile::create(path) {
                Ok(file) => (Work::Storing(file), None),
                Err(errno) => (Work::Idle, refused(Refusal::Store, errno)),
            },
            (Order::Content(bytes), Work::Storing(file)) => match file.append(bytes) {
                Ok(()) => (Work::Storing(file), None),
                Err(errno) => (Work::Idle, refused(Refusal::Store, errno)),
            },
            (Order::FileEnd, Work::Storing(_)) => (Work::Idle, Some(Report::Stored)),
            (Order::Step(step), Work::Idle) => {
                let doors = self.doors.of_step(self.steps);
                self.steps = self.steps.saturating_add(1);
                match Waiting::fork(&step, doors) {
                    Ok(waiting) => (Work::Waiting(waiting), Some(Report::Prepared)),
                    Err(errno) => (Work::Idle, refused(Refusal::Fork, errno)),
                }
            }
            (Order::Go, Work::Waiting(waiting)) => match Running::start(waiting) {
                Ok(running) => (Work::Running(running), None),
                Err(errno) => (Work::Idle, refused(Refusal::Fork, errno)),
            },
            (Order::Kill, Work::Waiting(waiting)) => {
                let running = Running::never_started(waiting);
                running.kill();
                (Work::Running(running), None)
            }
            (Order::Stdin(bytes), Work::Running(mut running)) => {
                let answer = match running.give_input(bytes, self.pending) {
                    true => None,
                    false => refused(Refusal::Order, Errno::BUSY),
                };
                (Work::Running(running), answer)
            }
            (Order::StdinEnd, Work::Running(mut running)) => {
                running.end_input();
                (Work::Running(running), None)
            }
            (Order::Kill, Work::Running(running)) => {
                running.kill();
                (Work::Running(running), None)
            }
            // The step ended while these were under way.
            (Order::Stdin(_), Work::Idle) => (Work::Idle, Some(Report::StdinTaken)),
            (Order::StdinEnd | Order::Kill, Work::Idle) => (Work::Idle, None),
            (_, work) => (work, refused(Refusal::Order, Errno::PROTO)),
        };
        self.work = next;
        answer
    }
}

fn refused(what: Refusal, errno: Errno) -> Option<Report<'static>> {
    Some(Report::Refused { what, errno: errno.raw_os_error() })
}
