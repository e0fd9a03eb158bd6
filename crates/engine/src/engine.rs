//! From a job to its outcome.
//!
//! ```text
//! Job --admit--> Plan --take a cell--> store files --> compile --> run --> Outcome, and the cell is removed
//! ```

use std::time::Instant;

use firebox_cell::{Cell, CellMaker, Layout};
use firebox_job::{ByteSize, Job, Outcome, Policy, Require, TraceId};
use firebox_lang::{Language, Step, Toolchain};

use crate::course::Course;
use crate::edge::Listeners;
use crate::patience::Patience;
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
    cells: Box<dyn CellMaker>,
    policy: Policy,
}

/// A cell that stands ready for a job in one language, before that job is known.
pub struct PreparedCell {
    language: usize,
    session: Session,
}

/// A job that can be run.
struct Admission {
    /// The place of its language in the list.
    language: usize,
    /// Its steps, in the layout that most cells have.
    steps: Vec<Step>,
}

impl PreparedCell {
    /// Takes a new cell into use, once its agent stands.
    pub fn new(language: usize, cell: Cell) -> Result<PreparedCell, RunError> {
        Ok(PreparedCell { language, session: Session::begin(cell, Patience::DEFAULT)? })
    }
}

impl Engine {
    /// Over a maker of cells and the languages in the order of the views that it was started with.
    pub fn new(installed: Vec<Installed>, cells: Box<dyn CellMaker>, policy: Policy) -> Engine {
        Engine { installed, cells, policy }
    }

    /// The languages that jobs can be in.
    pub fn installed(&self) -> &[Installed] {
        &self.installed
    }

    /// Makes a cell in which a job in this language (by its place in the list) can begin at once.
    pub fn prepare(&self, language: usize) -> Result<PreparedCell, RunError> {
        let view = u16::try_from(language).map_err(|_| RunError::NotInstalled(format!("number {language}")))?;
        PreparedCell::new(language, self.cells.make(view)?)
    }

    /// Removes a cell that no job came for.
    pub fn discard(&self, cell: PreparedCell) -> Result<(), RunError> {
        cell.session.end()
    }

    /// Runs a job in a cell of its own, made for it.
    pub fn run(&self, job: &Job, stdin: Stdin, sink: &mut dyn Sink, cancel: &Cancel) -> Result<Outcome, RunError> {
        let admitted = Instant::now();
        let admission = self.admit(job, &stdin)?;
        let cell = self.prepare(admission.language)?;
        self.go_through(admission, cell, job, admitted, stdin, &mut Listeners { sink, cancel })
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
        let admission = self.admit(job, &stdin)?;
        if admission.language != cell.language {
            return Err(RunError::NotInstalled(job.language.clone()));
        }
        self.go_through(admission, cell, job, admitted, stdin, &mut Listeners { sink, cancel })
    }

    /// Has a toolchain say its version, in a cell for its language.
    pub fn ask_version(&self, language: usize) -> Result<Outcome, RunError> {
        let admitted = Instant::now();
        let (cancel, _canceller) = Cancel::new().map_err(RunError::Wait)?;
        let cell = self.prepare(language)?;
        let Installed { language, toolchain } = &self.installed[cell.language];
        let step = language.version_probe(toolchain, cell.session.layout());
        let course = Course {
            trace_id: &TraceId::from_random([0; 16]),
            files: &[],
            steps: std::slice::from_ref(&step),
            limits: &self.policy.default,
            building: &self.policy.building,
            require: Require::Required,
            admitted,
        };
        course.take(cell.session, Stdin::Empty, &mut Listeners { sink: &mut (), cancel: &cancel })
    }

    /// Lets the maker of cells go, and waits until nothing is left.
    pub fn close(self) -> Result<(), RunError> {
        Ok(self.cells.close()?)
    }

    /// Whether and how this job can be run here. Nothing has been made for it yet when it cannot.
    fn admit(&self, job: &Job, stdin: &Stdin) -> Result<Admission, RunError> {
        if let Some(asked) = job.isolation.kind().filter(|asked| *asked != self.cells.kind()) {
            return Err(RunError::Isolation { asked, there_is: self.cells.kind() });
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
        let language =
            self.installed.iter().position(is_it).ok_or_else(|| RunError::NotInstalled(job.language.clone()))?;
        Ok(Admission { language, steps: self.steps(language, job, &Layout::Viewed)? })
    }

    fn steps(&self, language: usize, job: &Job, layout: &Layout) -> Result<Vec<Step>, RunError> {
        let Installed { language, toolchain } = &self.installed[language];
        Ok(language.plan(job, toolchain, layout)?.steps)
    }

    fn go_through(
        &self,
        admission: Admission,
        cell: PreparedCell,
        job: &Job,
        admitted: Instant,
        stdin: Stdin,
        listeners: &mut Listeners<'_>,
    ) -> Result<Outcome, RunError> {
        let Admission { language, steps } = admission;
        let steps = match cell.session.layout() {
            Layout::Viewed => steps,
            elsewhere @ Layout::OnHost { .. } => self.steps(language, job, elsewhere)?,
        };
        self.course(job, &steps, admitted).take(cell.session, stdin, listeners)
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
