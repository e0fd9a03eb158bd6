//! The agent's life: one order after the other, and whatever a running step has to say in between.
//!
//! ```text
//!      Step             Go
//! Idle ----> Waiting ------> Running
//!   ^           '--- Kill ------'|
//!   '----------------------------'  the program ended
//!
//!      Fetch
//! Idle -----> HandingOut
//!   ^--- all of it --'
//! ```
//!
//! Files are stored while nothing runs: one at a time, `File` to `FileEnd`.

use firebox_wire::{MAX_PAYLOAD, Order, Refusal, Report, VERSION};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use crate::ahead::Stopped;
use crate::confinement::{self, Left};
use crate::doors::Doors;
use crate::fetch::{Fetched, Footprint};
use crate::freeze::{Hooks, NoImage, freeze, learn};
use crate::running::{self, POLLED, Running};
use crate::step::{NoProcess, Waiting, WaitsFor};
use crate::store::{NewFile, NewMode};
use crate::stream::{Gone, Stream};
use crate::surroundings::Surroundings;
use crate::sys::{self, Came, SignalFd};

/// One agent, for as long as its cell.
pub(crate) struct Agent {
    stream: Stream,
    signals: SignalFd,
    hands: Hands,
    /// Whether a child may have ended of which leave has yet to be taken: one of a step that was over before it was gone ends
    /// at any time.
    bereft: bool,
    /// Where output passes through.
    chunk: &'static mut [u8],
}

/// What the agent works on.
struct Hands {
    work: Work,
    /// The file that is being stored.
    storing: Option<NewFile>,
    /// The image that has come along with an order, for the next process that is thawed.
    image: Option<OwnedFd>,
    /// Standard input that the program has yet to read.
    pending: &'static mut [u8],
    left: Left,
    doors: Doors,
    /// How many steps have been let go.
    steps: u32,
    /// What there was when the last file had been stored.
    stored: Footprint,
}

enum Work {
    Idle,
    Waiting(Waiting),
    Running(Running),
    HandingOut(Fetched),
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
            hands: Hands {
                work: Work::Idle,
                storing: None,
                image: None,
                pending,
                left,
                doors: surroundings.doors(),
                steps: 0,
                stored: Footprint::default(),
            },
            bereft: false,
            chunk,
        })
    }

    /// Does what it is told until the host is gone.
    pub(crate) fn serve(&mut self) -> Result<(), Gone> {
        loop {
            let ready = self.wait()?;
            if ready.order {
                if let Some(image) = self.stream.fill()? {
                    self.hands.image = Some(image);
                }
                // The order borrows the stream's buffer, so the answer is sent once the order is done with.
                while let Some(order) = self.stream.next()? {
                    match self.hands.obey(order) {
                        Answer::None => {}
                        Answer::Report(report) => self.stream.send(&report)?,
                        Answer::Image(stopped, hooks) => self.freeze(&stopped, &hooks)?,
                    }
                    if let Some(fetched) = self.hands.handing_out() {
                        fetched.hand_out(&mut self.stream, self.chunk)?;
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
            Work::Idle | Work::Waiting(_) | Work::HandingOut(_) => [const { None }; POLLED],
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
        self.bereft |= came.child;
        let running = match &mut self.hands.work {
            Work::Running(running) => running,
            // The host hears from our end that this cell is of no use, before it gives it a job.
            Work::Waiting(waiting) if came.child && waiting.has_ended_ahead() => return Err(Gone::Waiting),
            Work::Idle | Work::Waiting(_) | Work::HandingOut(_) => return Ok(()),
        };
        running.pass_on(&mut self.stream, self.chunk, self.hands.pending)?;
        if !core::mem::take(&mut self.bereft) {
            return Ok(());
        }
        if let Some(ended) = running.reap() {
            let work = core::mem::replace(&mut self.hands.work, Work::Idle);
            if let Work::Running(running) = work {
                running.finish(ended, &mut self.stream, self.chunk)?;
            }
        }
        Ok(())
    }
}

impl Agent {
    /// Reports what a process has become that was started ahead.
    fn freeze(&mut self, stopped: &Stopped, hooks: &Hooks) -> Result<(), Gone> {
        let frozen = freeze(stopped, hooks, &mut self.stream, self.chunk);
        running::kill_everyone();
        match frozen {
            Ok(()) => Ok(()),
            Err(NoImage::Refused(errno)) => {
                self.stream.send(&Report::Refused { what: Refusal::Ahead, errno: errno.raw_os_error() })
            }
            Err(NoImage::Gone(gone)) => Err(gone),
        }
    }
}

/// What has happened.
struct Ready {
    order: bool,
    signal: bool,
}

/// What follows from an order at once.
enum Answer {
    None,
    Report(Report<'static>),
    /// The image of a process, which is then ended.
    Image(Stopped, Hooks),
}

impl Hands {
    /// Does one thing.
    fn obey(&mut self, order: Order<'_>) -> Answer {
        let work = core::mem::replace(&mut self.work, Work::Idle);
        let (next, answer) = match (order, work) {
            (
                Order::File(_) | Order::Program(_) | Order::Content(_) | Order::FileEnd,
                work @ (Work::Idle | Work::Waiting(_)),
            ) => (work, self.store(order)),
            (Order::Fetch(order), Work::Idle) if self.storing.is_none() => {
                match Fetched::open(self.left.work(), &order, self.stored) {
                    Ok(fetched) => {
                        let made = fetched.made;
                        (Work::HandingOut(fetched), Answer::Report(Report::Made(made)))
                    }
                    Err(errno) => (Work::Idle, refused(Refusal::Fetch, errno)),
                }
            }
            (Order::Step(step), Work::Idle) if self.storing.is_none() => {
                match Waiting::fork(&step, self.image.take(), self.doors.of_step(self.steps), &self.left) {
                    Ok(waiting) => (Work::Waiting(waiting), Answer::Report(Report::Prepared)),
                    Err(none) => {
                        // What was made of it half way.
                        running::kill_everyone();
                        let (what, errno) = match none {
                            NoProcess::Fork(errno) => (Refusal::Fork, errno),
                            NoProcess::Ahead(errno) => (Refusal::Ahead, errno),
                        };
                        (Work::Idle, refused(what, errno))
                    }
                }
            }
            (Order::Freeze(functions), Work::Waiting(Waiting { for_what: WaitsFor::Us(stopped), .. })) => {
                match Hooks::find(stopped.pid, functions) {
                    Ok(hooks) => (Work::Idle, Answer::Image(stopped, hooks)),
                    Err(errno) => {
                        running::kill_everyone();
                        (Work::Idle, refused(Refusal::Ahead, errno))
                    }
                }
            }
            (Order::Learn(terms), Work::Waiting(Waiting { pid, for_what: WaitsFor::Terms(go), mut pipes, .. })) => {
                pipes.stdin = None;
                let learnt = learn(pid, &go, &terms);
                running::kill_everyone();
                let answer = match learnt {
                    Ok(learnt) => Answer::Report(Report::Learnt(learnt)),
                    Err(errno) => refused(Refusal::Ahead, errno),
                };
                (Work::Idle, answer)
            }
            (Order::Go(terms), Work::Waiting(waiting)) if self.storing.is_none() => {
                self.steps = self.steps.saturating_add(1);
                match Running::start(waiting, &terms, &self.left) {
                    Ok(running) => (Work::Running(running), Answer::None),
                    Err(errno) => (Work::Idle, refused(Refusal::Fork, errno)),
                }
            }
            (Order::Kill, Work::Waiting(waiting)) => {
                let running = Running::never_started(waiting);
                running.kill();
                (Work::Running(running), Answer::None)
            }
            (Order::Stdin(bytes), Work::Running(mut running)) => {
                let answer = match running.give_input(bytes, self.pending) {
                    true => Answer::None,
                    false => refused(Refusal::Order, Errno::BUSY),
                };
                (Work::Running(running), answer)
            }
            (Order::StdinEnd, Work::Running(mut running)) => {
                running.end_input();
                (Work::Running(running), Answer::None)
            }
            (Order::Kill, Work::Running(running)) => {
                running.kill();
                (Work::Running(running), Answer::None)
            }
            // The step ended while these were under way.
            (Order::Stdin(_), Work::Idle) => (Work::Idle, Answer::Report(Report::StdinTaken)),
            (Order::StdinEnd | Order::Kill, Work::Idle) => (Work::Idle, Answer::None),
            (_, work) => (work, refused(Refusal::Order, Errno::PROTO)),
        };
        self.work = next;
        answer
    }

    fn store(&mut self, order: Order<'_>) -> Answer {
        let done = match (order, self.storing.take()) {
            (Order::File(path), None) => NewFile::create(self.left.work(), path, NewMode::Data).map(Some),
            (Order::Program(path), None) => NewFile::create(self.left.work(), path, NewMode::Program).map(Some),
            (Order::Content(bytes), Some(file)) => file.append(bytes).map(|()| Some(file)),
            (Order::FileEnd, Some(_)) => {
                self.stored = Footprint::of(self.left.work());
                return Answer::Report(Report::Stored);
            }
            _ => return refused(Refusal::Order, Errno::PROTO),
        };
        match done {
            Ok(storing) => {
                self.storing = storing;
                Answer::None
            }
            Err(errno) => refused(Refusal::Store, errno),
        }
    }

    /// What has been promised to the host and is to be said at once. After that there is nothing to do again.
    fn handing_out(&mut self) -> Option<Fetched> {
        match core::mem::replace(&mut self.work, Work::Idle) {
            Work::HandingOut(fetched) => Some(fetched),
            other => {
                self.work = other;
                None
            }
        }
    }
}

fn refused(what: Refusal, errno: Errno) -> Answer {
    Answer::Report(Report::Refused { what, errno: errno.raw_os_error() })
}
