//! A cell in use: its agent driven through one order after the other.
//!
//! Whatever the agent says is checked against what was asked. It never decides about a limit: those are measured by
//! the host and timed here.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firebox_cell::{Cell, CellHost, Layout, StepLimits, StreamError};
use firebox_job::{Enforcement, Seed, SourceFile, SourcePath};
use firebox_lang::Step;
use firebox_wire::{
    Ends, Halt, MAX_PAYLOAD, Order, Refusal, Report, Start, StepOrder, StepStdin, StringsBuilder, Terms, VERSION,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::RunError;
use crate::image::{Image, ImageBuilder};
use crate::laps::Laps;
use crate::patience::Patience;
use crate::pool::Visit;
use crate::templates::Template;

/// How a file's content is cut into frames.
const CONTENT_BYTES: usize = 64 * 1024;

/// A compiler has few threads left when it ends.
const MOST_TAKEN_DOWN: u32 = 16;

/// A cell in use.
pub(crate) struct Session {
    pub(crate) cell: Cell,
    pub(crate) patience: Patience,
    /// Where the time of the job in it goes.
    pub(crate) laps: Laps,
    /// When the agent must have given its last answer, once that is known.
    latest: Option<Instant>,
    /// What there is for the first step before the job is looked at.
    ahead: Option<Ahead>,
    /// For those who want to know that there is a job.
    visit: Option<Visit>,
    /// So many threads of the step before can still be there.
    taken_down: u32,
}

/// A step that can begin otherwise than from nothing.
enum Ahead {
    /// Its process was made before it was known whether there would be a job for it, and has this in common with those in
    /// other cells.
    Stands(Step, Seed),
    /// Its process can be a copy of this.
    Copy(Step, Arc<Template>),
}

/// A step whose process stands and waits.
pub(crate) struct Prepared {
    pub(crate) enforcement: Enforcement,
}

impl Session {
    /// Takes a cell into use, once its agent has said that it stands.
    pub(crate) fn begin(cell: Cell, patience: Patience) -> Result<Session, RunError> {
        let mut session = Session::go_on(cell, patience);
        match session.answer("start", session.deadline())? {
            Answer::Ready(VERSION) => Ok(session),
            other => Err(other.out_of_turn("start")),
        }
    }

    /// Takes a cell into use whose agent has said before that it stands.
    pub(crate) fn go_on(cell: Cell, patience: Patience) -> Session {
        Session {
            cell,
            patience,
            laps: Laps::since(Instant::now()),
            latest: None,
            ahead: None,
            visit: None,
            taken_down: 0,
        }
    }

    /// Says of a cell that goes on that the tool of this step stands in it, as in all others that go on from there.
    pub(crate) fn found_standing(&mut self, step: Step) {
        self.ahead = Some(Ahead::Stands(step, Seed::MayBeShared));
    }

    /// Where the cell's programs find things.
    pub(crate) fn layout(&self) -> &Layout {
        &self.cell.layout
    }

    /// Says when the job in it must have ended. An agent that takes its time for each of many answers does not get more
    /// than that and our patience once.
    pub(crate) fn end_by(&mut self, until: Instant) {
        self.latest = Some(until + self.patience.answer);
    }

    /// Says which job's this is, where somebody wants to know when that gets under way and when it is over.
    pub(crate) fn is_for(&mut self, visit: Option<Visit>) {
        self.visit = visit;
    }

    /// Puts the job's files into the work directory.
    pub(crate) fn store(&mut self, files: &[SourceFile]) -> Result<(), RunError> {
        for SourceFile { path, content } in files {
            self.store_file(&Order::File(path.as_str().as_bytes()), path, content)?;
        }
        Ok(())
    }

    /// Puts one file into the work directory, which is begun with this order.
    pub(crate) fn store_file(&mut self, begin: &Order<'_>, path: &SourcePath, content: &[u8]) -> Result<(), RunError> {
        const DOING: &str = "store a file";
        let until = self.deadline();
        self.send(DOING, begin, until)?;
        for chunk in content.chunks(CONTENT_BYTES) {
            self.send(DOING, &Order::Content(chunk), until)?;
        }
        self.send(DOING, &Order::FileEnd, until)?;
        match self.answer(DOING, until)? {
            Answer::Stored => Ok(()),
            Answer::Refused(Refusal::Store, errno) => {
                let source = std::io::Error::from_raw_os_error(errno);
                Err(RunError::Store { path: path.as_str().to_owned(), source })
            }
            other => Err(other.out_of_turn(DOING)),
        }
    }

    /// Has a process made before there is a job for it, which serves this step.
    pub(crate) fn start_ahead(&mut self, step: Step, tool: &Step, how: Begin<'_>) -> Result<(), RunError> {
        self.make(tool, how)?;
        self.ahead = Some(Ahead::Stands(step, how.seed()));
        Ok(())
    }

    /// Whether the process of a step was made in it before its job came.
    pub(crate) fn has_tool(&self) -> bool {
        matches!(self.ahead, Some(Ahead::Stands(..)))
    }

    /// Says of a cell in which nothing was started that this step can be a copy.
    pub(crate) fn can_copy(&mut self, step: Step, template: Arc<Template>) {
        self.ahead = Some(Ahead::Copy(step, template));
    }

    /// What the process has become that was started ahead. It is gone then.
    pub(crate) fn freeze(&mut self, functions: &[String]) -> Result<Image, RunError> {
        const DOING: &str = "freeze a process";
        self.ahead = None;
        let until = self.deadline();
        let mut names = vec![0; MAX_PAYLOAD / 2];
        let mut builder = StringsBuilder::new(&mut names);
        if !functions.iter().all(|name| builder.push(name.as_bytes())) {
            return Err(RunError::ArgumentsTooLarge { step: DOING.to_owned() });
        }
        self.send(DOING, &Order::Freeze(builder.finish()), until)?;
        let mut image = ImageBuilder::new()?;
        while Instant::now() < until {
            match self.cell.agent.receive().map_err(|source| RunError::Agent { doing: DOING, source })? {
                None => self.wait_for_report(DOING, until)?,
                Some(Report::Image(bytes)) => image.append(bytes)?,
                Some(Report::Frozen { asks }) => return image.finish(asks),
                Some(report) => return Err(Answer::from(&report).out_of_turn(DOING)),
            }
        }
        Err(RunError::Silent { doing: DOING })
    }

    /// What an agent can learn of a thawed process that stands and waits, from the word to go to its end. It is gone then.
    pub(crate) fn learn(&mut self, limits: &StepLimits) -> Result<Vec<u8>, RunError> {
        const DOING: &str = "learn from a process";
        let until = self.deadline();
        self.send(DOING, &Order::Learn(terms(limits, StepStdin::Empty, Ends::Gone)), until)?;
        self.hear(DOING, until, |report| match report {
            Report::Learnt(bytes) => Ok(bytes.to_vec()),
            report => Err(Answer::from(report).out_of_turn(DOING)),
        })?
    }

    /// Has the step's process made, unless one stands already that serves, and holds it to its limits. Nothing of the job runs
    /// yet.
    pub(crate) fn prepare(&mut self, step: &Step, limits: &StepLimits, seed: Seed) -> Result<Prepared, RunError> {
        let mut stood = false;
        match self.ahead.take() {
            Some(Ahead::Stands(ahead, own)) if ahead == *step && (own, seed) != (Seed::MayBeShared, Seed::Fresh) => {
                stood = true;
            }
            Some(Ahead::Stands(..)) => {
                self.dismiss()?;
                self.make(step, Begin::Fresh)?;
            }
            Some(Ahead::Copy(ahead, template)) if ahead == *step && seed == Seed::MayBeShared => {
                match self.make(&template.tool, Begin::Thawed(&template.image)) {
                    Err(RunError::Refused { what: Refusal::Ahead, .. }) => self.make(step, Begin::Fresh)?,
                    made => {
                        made?;
                        stood = true;
                    }
                }
            }
            Some(Ahead::Copy(..)) | None => self.make(step, Begin::Fresh)?,
        }
        self.laps.end(|stages| &mut stages.prepare);
        let enforcement = match self.cell.host.limit(limits) {
            // What waits may be more already than the job is granted. Who starts from nothing finds that out as it grows.
            Err(_) if stood => {
                self.dismiss()?;
                self.make(step, Begin::Fresh)?;
                self.cell.host.limit(limits)?
            }
            limited => limited?,
        };
        self.laps.end(|stages| &mut stages.limit);
        Ok(Prepared { enforcement })
    }

    fn make(&mut self, step: &Step, how: Begin<'_>) -> Result<(), RunError> {
        const DOING: &str = "prepare a step";
        let mut argv = vec![0; MAX_PAYLOAD];
        let mut env = vec![0; MAX_PAYLOAD];
        let order = step_order(step, how, &mut argv, &mut env)
            .ok_or_else(|| RunError::ArgumentsTooLarge { step: step.name.clone() })?;
        let until = self.deadline();
        let sent = match how {
            Begin::Thawed(image) => self.cell.agent.send_with(&order, image.as_fd(), until),
            Begin::Fresh | Begin::Ahead(_) | Begin::ToBeCopied { .. } => self.cell.agent.send(&order, until),
        };
        match sent {
            Err(StreamError::TooLong) => return Err(RunError::ArgumentsTooLarge { step: step.name.clone() }),
            sent => sent.map_err(|source| self.lost(DOING, source))?,
        }
        match self.answer(DOING, until)? {
            Answer::Prepared => Ok(()),
            other => Err(other.out_of_turn(DOING)),
        }
    }

    /// Ends a process that stands and waits, since there is no use for it.
    fn dismiss(&mut self) -> Result<(), RunError> {
        const DOING: &str = "dismiss a process";
        let until = self.deadline();
        self.send(DOING, &Order::Kill, until)?;
        while Instant::now() < until {
            match self.answer(DOING, until)? {
                // What it has printed by then, and that it once was started.
                Answer::Output | Answer::Started => {}
                Answer::Ended => return Ok(()),
                other => return Err(other.out_of_turn(DOING)),
            }
        }
        Err(RunError::Silent { doing: DOING })
    }

    /// Lets the process that waits go, on its limits and with its input.
    pub(crate) fn go(&mut self, limits: &StepLimits, stdin: StepStdin, ends: Ends) -> Result<(), RunError> {
        let terms = terms(limits, stdin, ends);
        // Who is still being taken down counts; a control group counts without them.
        let tasks = terms.tasks.saturating_add(self.taken_down);
        self.taken_down = match ends {
            Ends::Over => MOST_TAKEN_DOWN,
            Ends::Gone => 0,
        };
        self.send("start a step", &Order::Go(Terms { tasks, ..terms }), self.deadline())?;
        if let Some(visit) = &mut self.visit {
            visit.gets_under_way();
        }
        Ok(())
    }

    /// Passes something on to a step that runs. There is room for it, since the agent has said that it took what was
    /// passed on before: only a hostile one keeps us waiting here, and not for long.
    pub(crate) fn pass_on(&mut self, order: &Order<'_>) -> Result<(), RunError> {
        let until = Instant::now() + self.patience.grace;
        match self.cell.agent.send(order, until) {
            // What it said before it ended is heard next.
            Ok(()) | Err(StreamError::Closed) => Ok(()),
            Err(source) => Err(RunError::Agent { doing: "pass on standard input", source }),
        }
    }

    /// Tells the agent to end the step now. Where it does not hear that, the end of the cell does it.
    pub(crate) fn kill(&mut self, until: Instant) -> Result<(), RunError> {
        match self.cell.agent.send(&Order::Kill, until) {
            Ok(()) | Err(StreamError::Closed | StreamError::Deaf) => Ok(()),
            Err(source) => Err(RunError::Agent { doing: "end a step", source }),
        }
    }

    /// The host's side of the cell: there is nothing more to say to its agent.
    pub(crate) fn let_go(self) -> Box<dyn CellHost> {
        let Cell { agent, host, layout: _, begun: _ } = self.cell;
        drop(agent);
        host
    }

    pub(crate) fn send(&mut self, doing: &'static str, order: &Order<'_>, until: Instant) -> Result<(), RunError> {
        self.cell.agent.send(order, until).map_err(|source| self.lost(doing, source))
    }

    /// Why the agent is not there any more: the place around it is gone, or it is.
    pub(crate) fn lost(&self, doing: &'static str, source: StreamError) -> RunError {
        let fate = matches!(source, StreamError::Closed).then(|| self.cell.host.fate()).flatten();
        fate.map_or(RunError::Agent { doing, source }, RunError::Cell)
    }

    /// When the answer to an order given now must be there.
    pub(crate) fn deadline(&self) -> Instant {
        let answer = Instant::now() + self.patience.answer;
        self.latest.map_or(answer, |latest| latest.min(answer))
    }

    /// Waits for the one answer to an order given while no step runs.
    fn answer(&mut self, doing: &'static str, until: Instant) -> Result<Answer, RunError> {
        self.hear(doing, until, |report| Answer::from(report))
    }

    /// Waits for the next report while no step runs, and makes something of it.
    pub(crate) fn hear<T>(
        &mut self,
        doing: &'static str,
        until: Instant,
        make: impl FnOnce(&Report<'_>) -> T,
    ) -> Result<T, RunError> {
        loop {
            match self.cell.agent.receive() {
                Ok(Some(report)) => return Ok(make(&report)),
                Ok(None) => {}
                Err(source) => return Err(self.lost(doing, source)),
            }
            self.wait_for_report(doing, until)?;
        }
    }

    fn wait_for_report(&self, doing: &'static str, until: Instant) -> Result<(), RunError> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(RunError::Silent { doing });
        }
        wait(&mut [PollFd::from_borrowed_fd(self.cell.agent.as_fd(), PollFlags::IN)], Some(left))
    }
}

/// How the process of a step begins.
#[derive(Clone, Copy)]
pub(crate) enum Begin<'a> {
    /// With its program, when it is let go.
    Fresh,
    /// With its program at once, as far as to here.
    Ahead(Halt),
    /// With its program at once, as far as copies of it may be.
    ToBeCopied {
        /// So many random bytes at once are drawn anew in each.
        renewed: u32,
    },
    /// As what another had become, and gone on with as far as to where it asks for something of the job.
    Thawed(&'a Image),
}

impl Begin<'_> {
    /// A copy shares what was settled before it was one.
    fn seed(self) -> Seed {
        match self {
            Begin::Thawed(_) => Seed::MayBeShared,
            Begin::Fresh | Begin::Ahead(_) | Begin::ToBeCopied { .. } => Seed::Fresh,
        }
    }

    fn renewed(self) -> u32 {
        match self {
            Begin::ToBeCopied { renewed } => renewed,
            Begin::Fresh | Begin::Ahead(_) | Begin::Thawed(_) => 0,
        }
    }

    fn start(self) -> Start {
        match self {
            Begin::Fresh => Start::Fresh,
            Begin::Ahead(halt) => Start::Ahead(halt),
            Begin::ToBeCopied { .. } => Start::Ahead(Halt::AsksOrDraws),
            Begin::Thawed(image) if image.asks() => Start::Thawed,
            Begin::Thawed(_) => Start::ThawedAhead(Halt::Asks),
        }
    }
}

/// A report while no step runs, freed from the buffer it came in.
pub(crate) enum Answer {
    Ready(u16),
    Stored,
    Prepared,
    Output,
    Started,
    Ended,
    Refused(Refusal, i32),
    Other(String),
}

impl From<&Report<'_>> for Answer {
    fn from(report: &Report<'_>) -> Answer {
        match report {
            Report::Ready { version } => Answer::Ready(*version),
            Report::Stored => Answer::Stored,
            Report::Prepared => Answer::Prepared,
            Report::Refused { what, errno } => Answer::Refused(*what, *errno),
            // What it holds came out of a cell: its kind says enough.
            Report::Stdout(_) | Report::Stderr(_) => Answer::Output,
            Report::Started => Answer::Started,
            Report::Ended(_) => Answer::Ended,
            Report::Content(_) | Report::Made(_) => Answer::Other("a file".to_owned()),
            Report::Image(_) => Answer::Other("a part of an image".to_owned()),
            Report::Learnt(_) => Answer::Other("what was learnt of a process".to_owned()),
            Report::StdinTaken | Report::Frozen { .. } => Answer::Other(format!("{report:?}")),
        }
    }
}

impl Answer {
    pub(crate) fn out_of_turn(self, doing: &'static str) -> RunError {
        let answer = match self {
            Answer::Refused(what, errno) => {
                return RunError::Refused { what, source: std::io::Error::from_raw_os_error(errno) };
            }
            Answer::Ready(version) => format!("that it speaks version {version} of the frames, not {VERSION}"),
            Answer::Stored => "that a file is stored".to_owned(),
            Answer::Prepared => "that a step is prepared".to_owned(),
            Answer::Output => "output".to_owned(),
            Answer::Started => "that a program was started".to_owned(),
            Answer::Ended => "that a step has ended".to_owned(),
            Answer::Other(text) => text,
        };
        RunError::OutOfTurn { doing, answer }
    }
}

fn terms(limits: &StepLimits, stdin: StepStdin, ends: Ends) -> Terms {
    Terms {
        stdin,
        // Only a file with holes can grow past what the disk holds, and SIGXFSZ is then the program's own signal; a dense
        // one meets the end of the disk first, which a program can cope with and the host can measure.
        file_bytes: limits.disk.as_u64().saturating_mul(2),
        // The agent counts too.
        tasks: limits.tasks.get().saturating_add(1),
        ends,
    }
}

fn step_order<'b>(step: &Step, how: Begin<'_>, argv: &'b mut [u8], env: &'b mut [u8]) -> Option<Order<'b>> {
    let mut arguments = StringsBuilder::new(argv);
    let mut variables = StringsBuilder::new(env);
    let fits = step.argv.iter().all(|argument| arguments.push(argument))
        && step.env.iter().all(|(name, value)| variables.push(format!("{name}={value}").as_bytes()));
    let (start, renewed) = (how.start(), how.renewed());
    fits.then(|| Order::Step(StepOrder { argv: arguments.finish(), env: variables.finish(), start, renewed }))
}

/// Waits for one of these, or for the time to pass.
pub(crate) fn wait(fds: &mut [PollFd<'_>], most: Option<Duration>) -> Result<(), RunError> {
    // Rounded up by a microsecond, so that a deadline has passed when the wait for it is over.
    let timeout = most.and_then(|most| Timespec::try_from(most + Duration::from_micros(1)).ok());
    match poll(fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(RunError::Wait(errno.into())),
    }
}
