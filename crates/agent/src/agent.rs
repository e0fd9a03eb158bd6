//! The agent's life: one order after the other, and whatever a running step has to say in between.
//!
//! ```text
//!            File            Step             Go
//! Idle ------------> Storing     Idle --> Waiting --> Running
//!   ^---- FileEnd ------'         ^---------------------'  the program ended
//! ```

use firebox_wire::{MAX_PAYLOAD, Order, Refusal, Report, VERSION};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;

use crate::confinement::{self, Left};
use crate::doors::Doors;
use crate::running::{POLLED, Running};
use crate::step::Waiting;
use crate::store::NewFile;
use crate::stream::{Gone, Stream};
use crate::surroundings::Surroundings;
use crate::sys::{self, Came, SignalFd};

/// One agent, for as long as its cell.
pub(crate) struct Agent {
    stream: Stream,
    signals: SignalFd,
    hands: Hands,
    /// Where output passes through.
    chunk: &'static mut [u8],
}

/// What the agent works on.
struct Hands {
    work: Work,
    /// Standard input that the program has yet to read.
    pending: &'static mut [u8],
    left: Left,
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
    pub(crate) fn start(surroundings: Surroundings) -> Result<Agent, Gone> {
        let mut stream = Stream::new(confinement::host())?;
        sys::reset_signals();
        let memory = || sys::pages(MAX_PAYLOAD).map_err(|_| Gone::Memory);
        let (chunk, pending) = (memory()?, memory()?);
        let confined = surroundings
            .take_in_orphans()
            .and_then(|()| SignalFd::new(surroundings.heard()))
            .and_then(|signals| confinement::enter(surroundings).map(|left| (signals, left)));
        let (signals, left) = match confined {
            Ok(confined) => confined,
            Err(errno) => {
                stream.send(&Report::Refused { what: Refusal::Confine, errno: errno.raw_os_error() })?;
                return Err(Gone::Protocol);
            }
        };
        stream.send(&Report::Ready { version: VERSION })?;
        Ok(Agent {
            stream,
            signals,
            hands: Hands { work: Work::Idle, pending, left, doors: surroundings.doors(), steps: 0 },
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
            self.attend(ready.signal)?;
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
            PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
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
        let [order, signal, ..] = fds.map(|fd| !fd.revents().is_empty());
        Ok(Ready { order, signal })
    }

    /// Passes on what a running step has to say, and ends it when its program has ended.
    fn attend(&mut self, signal: bool) -> Result<(), Gone> {
        let came = if signal { self.signals.take() } else { Came::default() };
        if came.end {
            return Err(Gone::Host);
        }
        let Work::Running(running) = &mut self.hands.work else {
            return Ok(());
        };
        running.pass_on(&mut self.stream, self.chunk, self.hands.pending)?;
        if !came.child {
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
    signal: bool,
}

impl Hands {
    /// Does one thing. The answer, where there is one at once.
    fn obey(&mut self, order: Order<'_>) -> Option<Report<'static>> {
        let work = core::mem::replace(&mut self.work, Work::Idle);
        let (next, answer) = match (order, work) {
            (Order::File(path), Work::Idle) => match NewFile::create(self.left.work(), path) {
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
                match Waiting::fork(&step, doors, &self.left) {
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
