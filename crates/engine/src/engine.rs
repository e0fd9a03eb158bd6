//! From a job to its outcome.
//!
//! ```text
//! Job --admit--> Plan --take a cell--> store files --> compile --> run --> Outcome, and the cell is removed
//! ```

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firebox_cell::{Cell, CellError, CellMaker, Layout, StreamError};
use firebox_job::{ByteSize, CellKind, Job, Outcome, Policy};
use firebox_lang::Step;

use crate::course::{Course, Over};
use crate::edge::Listeners;
use crate::kept::{Admitted, Keeping, Kept, Partition};
use crate::leaving::Leaving;
use crate::pool::{Filler, Filling, PoolPolicy, Shelves, Visit};
use crate::removals::CellsEnded;
use crate::session::Session;
use crate::supply::Supply;
use crate::templates::Templates;
use crate::{Cancel, Installed, RunError, Sink, Stdin};

/// Runs jobs.
#[derive(Debug)]
pub struct Engine {
    supply: Arc<Supply>,
    policy: Policy,
    /// None where each cell is made when its job is there.
    pools: Option<Pools>,
    /// None where every job is built anew.
    kept: Option<Kept>,
}

/// An engine, for the jobs of one partition: what they build is kept for each other, and for nobody else.
#[derive(Debug, Clone, Copy)]
pub struct Within<'e> {
    engine: &'e Engine,
    partition: &'e Partition,
}

/// Cells that wait, and who sees to it that they do.
#[derive(Debug)]
struct Pools {
    shelves: Arc<Shelves>,
    filler: Filler,
}

/// A cell that stands ready for a job in one language, before that job is known.
pub struct PreparedCell {
    pub(crate) language: usize,
    pub(crate) session: Session,
}

/// A job that can be run.
struct Admission {
    /// The place of its language in the list.
    language: usize,
    /// Its steps, in the layout that most cells have.
    steps: Vec<Step>,
}

impl PreparedCell {
    /// Whether a job can still come: an agent that waits says nothing, and one that is gone can be heard to be.
    pub(crate) fn is_waiting(&self) -> bool {
        self.session.cell.agent.is_quiet()
    }

    /// What stands in it.
    pub(crate) fn filling(&self) -> Filling {
        if self.session.has_tool() { Filling::Tool } else { Filling::Nothing }
    }

    pub(crate) fn into_session(self) -> Session {
        self.session
    }
}

impl Engine {
    /// Over a maker of cells and the languages in the order of the views that it was started with.
    pub fn new(installed: Vec<Installed>, cells: Box<dyn CellMaker>, policy: Policy) -> Engine {
        let templates = Templates::for_so_many(installed.len());
        let supply = Supply::new(installed, cells, policy, templates);
        Engine { supply: Arc::new(supply), policy, pools: None, kept: None }
    }

    /// Keeps cells waiting for jobs from now on, in a thread of its own: not to be called before privileges are dropped.
    pub fn with_pools(self, policy: PoolPolicy) -> Result<Engine, RunError> {
        let shelves = Arc::new(Shelves::new(self.supply.costs(), policy));
        let filler = Filler::start(Arc::clone(&shelves), Arc::clone(&self.supply)).map_err(RunError::Filler)?;
        Ok(Engine { pools: Some(Pools { shelves, filler }), ..self })
    }

    /// Keeps what is built, for jobs that are run [`within`](Engine::within) a partition.
    pub fn with_kept(mut self, kept: Kept) -> Engine {
        self.kept = Some(kept);
        self
    }

    /// What is kept, if anything is.
    pub fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    /// The engine for the jobs of one partition. Jobs that are run without one share nothing with anybody.
    pub fn within<'e>(&'e self, partition: &'e Partition) -> Within<'e> {
        Within { engine: self, partition }
    }

    /// Waits until as many cells wait for jobs as are to, but no longer than this. Whether they do.
    pub fn wait_for_pools(&self, most: Duration) -> bool {
        self.pools.as_ref().is_none_or(|pools| pools.shelves.wait_until_full(most))
    }

    /// The languages that jobs can be in.
    pub fn installed(&self) -> &[Installed] {
        &self.supply.installed
    }

    /// The kind of cell that jobs get.
    pub fn kind(&self) -> CellKind {
        self.supply.cells.kind()
    }

    /// A cell in which a job in this language (by its place in the list) can begin at once: one that waited for it, or
    /// else a new one. Before the job is under way, or the cell is discarded, pools are not filled.
    pub fn take(&self, language: usize) -> Result<PreparedCell, RunError> {
        let visit = self.visit();
        let mut cell =
            self.take_waiting(language, Filling::Tool).map_or_else(|| self.supply.make_at_once(language), Ok)?;
        cell.session.is_for(visit);
        Ok(cell)
    }

    /// Takes a cell for this language into use that was made otherwise than by this, once its agent stands.
    pub fn take_in(&self, language: usize, cell: Cell) -> Result<PreparedCell, RunError> {
        self.supply.take_in(language, cell)
    }

    /// Makes a cell as they wait in pools: with the tool of a first step started, as far as may be.
    pub fn prepare(&self, language: usize) -> Result<PreparedCell, RunError> {
        self.supply.prepare(language)
    }

    /// Makes a cell and removes it: whether that can be done.
    pub fn try_cell(&self) -> Result<(), RunError> {
        let cell = self.supply.make(0)?.into_session().let_go();
        Ok(self.supply.removals.remove(cell)?)
    }

    /// Whether whoever makes cells has died: then no job runs here any more. May have to wait for who talks to it.
    pub fn is_over(&self) -> bool {
        self.supply.cells.is_gone()
    }

    /// What has become of the cells of jobs, and of those that waited for none.
    pub fn cells_ended(&self) -> CellsEnded {
        self.supply.removals.ended()
    }

    /// How many cells wait for jobs, by language.
    pub fn waiting_cells(&self) -> impl Iterator<Item = (&str, usize)> {
        let counts = self.pools.as_ref().map(|pools| pools.shelves.counts()).unwrap_or_default();
        self.installed().iter().zip(counts).map(|(installed, count)| (installed.language.name(), count))
    }

    /// Removes a cell that no job came for.
    pub fn discard(&self, cell: PreparedCell) -> Result<(), RunError> {
        Ok(self.supply.removals.remove(cell.session.let_go())?)
    }

    /// Whether this job can be run here: says no to what [`Engine::run`] would say no to before it makes anything.
    pub fn check(&self, job: &Job, stdin: &Stdin) -> Result<(), RunError> {
        self.admit(job, stdin).map(|_| ())
    }

    /// Runs a job in a cell of its own.
    pub fn run(&self, job: &Job, stdin: Stdin, sink: &mut dyn Sink, cancel: &Cancel) -> Result<Outcome, RunError> {
        self.run_for(None, None, job, stdin, &mut Listeners { sink, cancel }).map(having_left)
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
        self.run_for(None, Some(cell), job, stdin, &mut Listeners { sink, cancel }).map(having_left)
    }

    /// Has a toolchain say its version, in a cell for its language.
    pub fn ask_version(&self, language: usize) -> Result<Outcome, RunError> {
        let cell = self.take(language)?;
        let Installed { language, toolchain, .. } = &self.supply.installed[cell.language];
        let step = language.version_probe(toolchain, cell.session.layout());
        self.supply.course_of_ours(&[], &step, cell)
    }

    /// Where its cells come from.
    pub(crate) fn supply(&self) -> &Supply {
        &self.supply
    }

    /// Lets the maker of cells go, and waits until nothing is left. Says so when a cell could not be removed, also one
    /// whose outcome did not wait for that.
    pub fn close(self) -> Result<(), RunError> {
        let Engine { supply, policy: _, pools, kept: _ } = self;
        if let Some(Pools { shelves, filler }) = pools {
            shelves.close().into_iter().for_each(|cell| supply.discard(cell));
            drop(filler);
        }
        let removed = supply.removals.wait_for_all();
        // The filler's thread has ended, and nobody else had it too.
        let closed = Arc::into_inner(supply).map_or(Ok(()), |supply| supply.cells.close());
        Ok(removed.and(closed)?)
    }

    fn take_waiting(&self, language: usize, wanted: Filling) -> Option<PreparedCell> {
        self.supply.removals.make_room();
        let taken = self.pools.as_ref()?.shelves.take(language, wanted);
        taken.dead.into_iter().for_each(|cell| self.supply.discard(cell));
        let mut cell = taken.cell?;
        if wanted == Filling::Tool && cell.filling() == Filling::Nothing {
            self.supply.let_copy(&mut cell);
        }
        Some(cell)
    }

    fn visit(&self) -> Option<Visit> {
        self.pools.as_ref().map(|pools| pools.shelves.visit())
    }

    /// Whether and how this job can be run here. Nothing has been made for it yet when it cannot.
    fn admit(&self, job: &Job, stdin: &Stdin) -> Result<Admission, RunError> {
        if let Some(asked) = job.isolation.kind().filter(|asked| *asked != self.supply.cells.kind()) {
            return Err(RunError::Isolation { asked, there_is: self.supply.cells.kind() });
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
            self.supply.installed.iter().position(is_it).ok_or_else(|| RunError::NotInstalled(job.language.clone()))?;
        Ok(Admission { language, steps: self.steps(language, job, &Layout::Viewed)? })
    }

    fn steps(&self, language: usize, job: &Job, layout: &Layout) -> Result<Vec<Step>, RunError> {
        let Installed { language, toolchain, .. } = &self.supply.installed[language];
        Ok(language.plan(job, toolchain, layout)?.steps)
    }

    fn run_for(
        &self,
        partition: Option<&Partition>,
        cell: Option<PreparedCell>,
        job: &Job,
        stdin: Stdin,
        listeners: &mut Listeners<'_>,
    ) -> Result<(Outcome, Leaving), RunError> {
        let admitted = Instant::now();
        let admission = self.admit(job, &stdin)?;
        let keeping = self.keeping(partition, job, &admission);
        let removals = &self.supply.removals;
        let cell = match cell {
            Some(cell) if cell.language == admission.language => cell,
            Some(_) => return Err(RunError::NotInstalled(job.language.clone())),
            None => {
                let visit = self.visit();
                let wanted = self.has_use_for(&admission, keeping.as_ref());
                if let Some(cell) = self.take_waiting(admission.language, wanted) {
                    let steps = self.steps_in(&cell, &admission, job)?;
                    let course = self.course(job, &steps, admitted, keeping.as_ref(), &cell);
                    match course.enter(cell.session, removals) {
                        Ok(mut session) => {
                            session.is_for(visit);
                            return Ok(self.leaving(course.go_on(session, stdin, listeners, removals)?));
                        }
                        // It died in the very moment in which it was taken, and nothing of the job has run.
                        Err(
                            RunError::Agent { source: StreamError::Closed, .. }
                            | RunError::Cell(CellError::Machine { .. }),
                        ) => {}
                        Err(error) => return Err(error),
                    }
                }
                let mut cell = self.supply.make_at_once(admission.language)?;
                cell.session.is_for(visit);
                cell
            }
        };
        let steps = self.steps_in(&cell, &admission, job)?;
        let course = self.course(job, &steps, admitted, keeping.as_ref(), &cell);
        let session = course.enter(cell.session, removals)?;
        Ok(self.leaving(course.go_on(session, stdin, listeners, removals)?))
    }

    fn leaving(&self, (outcome, session): Over) -> (Outcome, Leaving) {
        (outcome, Leaving::new(&self.supply, session))
    }

    /// What a job can use of a cell that waits: a tool that is started in another way than the job's first step, or not at all
    /// since what it would build is there already, has to be ended.
    fn has_use_for(&self, admission: &Admission, keeping: Option<&Keeping<'_>>) -> Filling {
        let is_usual = self.supply.begins_as_usual(admission.language, &admission.steps);
        match is_usual && !keeping.is_some_and(Keeping::is_served) {
            true => Filling::Tool,
            false => Filling::Nothing,
        }
    }

    /// A job's way to the store, if it has one.
    fn keeping<'a>(
        &'a self,
        partition: Option<&'a Partition>,
        job: &'a Job,
        admission: &'a Admission,
    ) -> Option<Keeping<'a>> {
        let (kept, partition) = self.kept.as_ref().zip(partition)?;
        let Admission { language: number, steps } = admission;
        let (installed, building) = (self.supply.installed.get(*number)?, &self.policy.building);
        let admitted = Admitted { job, installed, steps, building, cell: self.supply.cells.kind() };
        Keeping::begin(kept, partition, admitted)
    }

    /// The steps in the layout that this cell has.
    fn steps_in<'a>(
        &self,
        cell: &PreparedCell,
        admission: &'a Admission,
        job: &Job,
    ) -> Result<Cow<'a, [Step]>, RunError> {
        match cell.session.layout() {
            Layout::Viewed => Ok(Cow::Borrowed(&admission.steps)),
            elsewhere @ Layout::OnHost { .. } => self.steps(admission.language, job, elsewhere).map(Cow::Owned),
        }
    }

    fn course<'a>(
        &'a self,
        job: &'a Job,
        steps: &'a [Step],
        admitted: Instant,
        keeping: Option<&'a Keeping<'a>>,
        cell: &PreparedCell,
    ) -> Course<'a> {
        Course {
            trace_id: &job.trace_id,
            files: job.sources.files(),
            steps,
            limits: &job.limits,
            building: &self.policy.building,
            require: job.require,
            seed: job.seed,
            admitted,
            // In a cell without a root of its own, a build can see where on the host that cell is.
            keeping: keeping.filter(|_| *cell.session.layout() == Layout::Viewed),
        }
    }
}

impl Within<'_> {
    /// [`Engine::run`], with what is kept.
    pub fn run(&self, job: &Job, stdin: Stdin, sink: &mut dyn Sink, cancel: &Cancel) -> Result<Outcome, RunError> {
        self.run_and_leave(job, stdin, sink, cancel).map(having_left)
    }

    /// The same, for who sends the outcome on before what is left of the job is seen to.
    pub fn run_and_leave(
        &self,
        job: &Job,
        stdin: Stdin,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<(Outcome, Leaving), RunError> {
        let Within { engine, partition } = self;
        engine.run_for(Some(partition), None, job, stdin, &mut Listeners { sink, cancel })
    }

    /// [`Engine::run_in`], with what is kept.
    pub fn run_in(
        &self,
        cell: PreparedCell,
        job: &Job,
        stdin: Stdin,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<Outcome, RunError> {
        let Within { engine, partition } = self;
        engine.run_for(Some(partition), Some(cell), job, stdin, &mut Listeners { sink, cancel }).map(having_left)
    }
}

fn having_left((outcome, leaving): (Outcome, Leaving)) -> Outcome {
    drop(leaving);
    outcome
}
