//! From a job to its outcome.
//!
//! ```text
//! Job --admit--> Plan --take a cell--> store files --> compile --> run --> Outcome, and the cell is removed
//! ```

use std::time::Instant;

use firebox_cell::{Cell, CellMaker, Layout};
use firebox_job::{ByteSize, Job, Outcome, Policy, Require, SourceFile, TraceId};
use firebox_lang::{Ahead, Language, Step, Toolchain};
use firebox_wire::Halt;

use crate::course::Course;
use crate::edge::Listeners;
use crate::image::Image;
use crate::patience::Patience;
use crate::session::{Begin, Session};
use crate::templates::Templates;
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
    templates: Templates,
}

/// A cell that stands ready for a job in one language, before that job is known.
pub struct PreparedCell {
    language: usize,
    session: Session,
}

/// What a tool and its copy are tried on: nothing at all, and what is wrong in every language.
const TRIAL_TEXTS: [&str; 2] = ["", ")(\n"];

fn halt(ahead: Ahead) -> Halt {
    match ahead {
        Ahead::Loaded => Halt::Loaded,
        Ahead::Started | Ahead::Template => Halt::Asks,
    }
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
        let templates = Templates::for_so_many(installed.len());
        Engine { installed, cells, policy, templates }
    }

    /// The languages that jobs can be in.
    pub fn installed(&self) -> &[Installed] {
        &self.installed
    }

    /// Makes a cell in which a job in this language (by its place in the list) can begin at once, and starts there what can
    /// be started before the job is known.
    pub fn prepare(&self, language: usize) -> Result<PreparedCell, RunError> {
        let mut cell = self.make(language)?;
        match self.start_ahead(&mut cell) {
            Ok(()) => Ok(cell),
            Err(_) => {
                // Its job starts it all by itself then, and says what is wrong, if that is.
                self.templates.give_up(language);
                cell.session.end()?;
                self.make(language)
            }
        }
    }

    /// Makes a cell for a job that is here already.
    fn make(&self, language: usize) -> Result<PreparedCell, RunError> {
        let view = u16::try_from(language).map_err(|_| RunError::NotInstalled(format!("number {language}")))?;
        PreparedCell::new(language, self.cells.make(view)?)
    }

    fn start_ahead(&self, cell: &mut PreparedCell) -> Result<(), RunError> {
        let PreparedCell { language, session } = cell;
        let Some((step, ahead)) = self.first_step_ahead(*language, session.layout()) else { return Ok(()) };
        // In other layouts each cell has its own places, and a tool knows them from its start.
        if ahead == Ahead::Template && *session.layout() == Layout::Viewed {
            let image = self.templates.get(*language, || self.make_template(*language, &step));
            if let Some(image) = image {
                return session.start_ahead(step, Begin::Thawed(&image));
            }
        }
        if self.templates.are_given_up(*language) {
            return Ok(());
        }
        session.start_ahead(step, Begin::Ahead(halt(ahead)))
    }

    fn first_step_ahead(&self, language: usize, layout: &Layout) -> Option<(Step, Ahead)> {
        let Installed { language, toolchain } = self.installed.get(language)?;
        language.first_step_ahead(toolchain, layout)
    }

    /// Has a tool started and frozen before it asks for anything of a job, and tries what comes of that: a copy must say the
    /// same of the same texts as the tool itself.
    fn make_template(&self, language: usize, step: &Step) -> Result<Image, RunError> {
        let mut cell = self.make(language)?;
        let image =
            cell.session.start_ahead(step.clone(), Begin::Ahead(Halt::Asks)).and_then(|()| cell.session.freeze());
        cell.session.end()?;
        let image = image?;
        for text in TRIAL_TEXTS {
            let itself = self.trial(self.make(language)?, step, text)?;
            let mut cell = self.make(language)?;
            cell.session.start_ahead(step.clone(), Begin::Thawed(&image))?;
            let copy = self.trial(cell, step, text)?;
            if (itself.verdict, &itself.stdout, &itself.stderr) != (copy.verdict, &copy.stdout, &copy.stderr) {
                return Err(RunError::Image(std::io::ErrorKind::InvalidData.into()));
            }
        }
        Ok(image)
    }

    /// Runs a first step over a text of ours.
    fn trial(&self, cell: PreparedCell, step: &Step, text: &str) -> Result<Outcome, RunError> {
        let language = &self.installed[cell.language].language;
        let file = SourceFile { path: language.entry().clone(), content: text.as_bytes().to_vec() };
        self.own_course(std::slice::from_ref(&file), step, cell)
    }

    /// Removes a cell that no job came for.
    pub fn discard(&self, cell: PreparedCell) -> Result<(), RunError> {
        cell.session.end()
    }

    /// Runs a job in a cell of its own, made for it.
    pub fn run(&self, job: &Job, stdin: Stdin, sink: &mut dyn Sink, cancel: &Cancel) -> Result<Outcome, RunError> {
        let admitted = Instant::now();
        let admission = self.admit(job, &stdin)?;
        let cell = self.make(admission.language)?;
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
        let cell = self.make(language)?;
        let Installed { language, toolchain } = &self.installed[cell.language];
        let step = language.version_probe(toolchain, cell.session.layout());
        self.own_course(&[], &step, cell)
    }

    /// Something that we want to know ourselves.
    fn own_course(&self, files: &[SourceFile], step: &Step, cell: PreparedCell) -> Result<Outcome, RunError> {
        let admitted = Instant::now();
        let (cancel, _canceller) = Cancel::new().map_err(RunError::Wait)?;
        let course = Course {
            trace_id: &TraceId::from_random([0; 16]),
            files,
            steps: std::slice::from_ref(step),
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
