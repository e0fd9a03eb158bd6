//! From a job to its outcome.
//!
//! ```text
//! Job --admit--> Plan --take a cell--> store files --> compile --> run --> Outcome, and the cell is removed
//! ```

use std::time::Instant;

use firebox_jail::Jail;
use firebox_job::{ByteSize, Isolation, Job, Outcome, Policy, Require, TraceId};
use firebox_lang::{Language, Step, Toolchain};

use crate::course::Course;
use crate::edge::Listeners;
use crate::session::Session;
use crate::{Cancel, RunError, Sink, Stdin};

/// A language of this host, and what was found of it. Its place in the engine's list is its view's number.
#[derive(Debug)]
pub struct Installed {
    /// The language.
    pub language: Language,
    /// Its programs on this host, and what a cell sees of them.
    pub toolchain: Toolchain,
}

/// Runs jobs.
#[derive(Debug)]
pub struct Engine {
    installed: Vec<Installed>,
    jail: Jail,
    policy: Policy,
}

/// A cell that stands ready for a job in one language, before that job is known.
pub struct PreparedCell {
    language: usize,
    session: Session,
}

impl Engine {
    /// Over the warden's client and the languages in the order of the views that the warden was started with.
    pub fn new(installed: Vec<Installed>, jail: Jail, policy: Policy) -> Engine {
        Engine { installed, jail, policy }
    }

    /// The languages that jobs can be in.
    pub fn installed(&self) -> &[Installed] {
        &self.installed
    }

    /// Makes a cell in which a job in this language (by its place in the list) can begin at once.
    pub fn prepare(&self, language: usize) -> Result<PreparedCell, RunError> {
        let view = u16::try_from(language).map_err(|_| RunError::NotInstalled(format!("number {language}")))?;
        Ok(PreparedCell { language, session: Session::begin(self.jail.make(view)?)? })
    }

    /// Removes a cell that no job came for.
    pub fn discard(&self, cell: PreparedCell) -> Result<(), RunError> {
        cell.session.end()
    }

    /// Runs a job in a cell of its own, made for it.
    pub fn run(&self, job: &Job, stdin: Stdin, sink: &mut dyn Sink, cancel: &Cancel) -> Result<Outcome, RunError> {
        let admitted = Instant::now();
        let (language, steps) = self.admit(job, &stdin)?;
        let cell = self.prepare(language)?;
        self.course(job, &steps, admitted).take(cell.session, stdin, &mut Listeners { sink, cancel })
    }

    /// Runs a job in a cell that was prepared for its language before.
    pub fn run_in(
        &self,
        cell: PreparedCell,
        job: &Job,
        stdin: Stdin,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<Outcome, RunError> {
        let admitted = Instant::now();
        let (language, steps) = self.admit(job, &stdin)?;
        if language != cell.language {
            return Err(RunError::NotInstalled(job.language.clone()));
        }
        self.course(job, &steps, admitted).take(cell.session, stdin, &mut Listeners { sink, cancel })
    }

    /// Runs one step of our own in a cell for a language, such as a tool's question for its version.
    pub fn probe(&self, language: usize, step: &Step) -> Result<Outcome, RunError> {
        let admitted = Instant::now();
        let (cancel, _canceller) = Cancel::new().map_err(RunError::Wait)?;
        let course = Course {
            trace_id: &TraceId::from_random([0; 16]),
            files: &[],
            steps: std::slice::from_ref(step),
            limits: &self.policy.default,
            building: &self.policy.building,
            require: Require::Required,
            admitted,
        };
        course.take(self.prepare(language)?.session, Stdin::Empty, &mut Listeners { sink: &mut (), cancel: &cancel })
    }

    /// Lets the warden go, and waits until nothing is left.
    pub fn close(self) -> Result<(), RunError> {
        Ok(self.jail.close()?)
    }

    /// Whether and how this job can be run here. Nothing has been made for it yet when it cannot.
    fn admit(&self, job: &Job, stdin: &Stdin) -> Result<(usize, Vec<Step>), RunError> {
        match job.isolation {
            Isolation::Auto | Isolation::Jail => {}
            other @ (Isolation::MicroVm | Isolation::Fence) => return Err(RunError::Isolation(other)),
        }
        let given = match stdin {
            Stdin::Bytes(bytes) => bytes.len() as u64,
            Stdin::Empty | Stdin::Fd(_) => 0,
        };
        let size = ByteSize::bytes(job.sources.bytes() + given);
        if job.limits.input < size {
            return Err(RunError::InputTooLarge { size, limit: job.limits.input });
        }
        let is_it = |installed: &Installed| installed.language.answers_to(&job.language);
        let place =
            self.installed.iter().position(is_it).ok_or_else(|| RunError::NotInstalled(job.language.clone()))?;
        let Installed { language, toolchain } = &self.installed[place];
        Ok((place, language.plan(job, toolchain)?.steps))
    }

    fn course<'a>(&'a self, job: &'a Job, steps: &'a [Step], admitted: Instant) -> Course<'a> {
        Course {
            trace_id: &job.trace_id,
            files: job.sources.files(),
            steps,
            limits: &job.limits,
            building: &self.policy.building,
            require: job.require,
            admitted,
        }
    }
}
