//! Where an engine's cells come from and where they go. Whoever makes or removes one does it here: jobs, and the filler
//! of the pools.

use std::time::Instant;

use firebox_cell::{Begun, Cell, CellMaker, Layout};
use firebox_job::{ByteSize, Outcome, Policy, Require, Seed, SourceFile, TraceId};
use firebox_lang::Step;

use crate::course::Course;
use crate::edge::Listeners;
use crate::patience::Patience;
use crate::pool::{CELL_WITH_TOOL, EMPTY_CELL};
use crate::removals::Removals;
use crate::session::Session;
use crate::templates::Templates;
use crate::{Cancel, Installed, PreparedCell, RunError, Stdin};

/// What it takes to have a cell, and to be rid of it.
#[derive(Debug)]
pub(crate) struct Supply {
    pub(crate) installed: Vec<Installed>,
    pub(crate) cells: Box<dyn CellMaker>,
    pub(crate) policy: Policy,
    pub(crate) templates: Templates,
    pub(crate) removals: Removals,
    /// The steps that tools are started for ahead of jobs, by language, in the layout that most cells have.
    usual: Vec<Option<Step>>,
}

impl Supply {
    pub(crate) fn new(
        installed: Vec<Installed>,
        cells: Box<dyn CellMaker>,
        policy: Policy,
        templates: Templates,
    ) -> Supply {
        let usual = |Installed { language, toolchain, .. }: &Installed| {
            Some(language.first_step_ahead(toolchain, &Layout::Viewed)?.step)
        };
        let usual = installed.iter().map(usual).collect();
        Supply { installed, cells, policy, templates, removals: Removals::default(), usual }
    }

    /// Whether these steps, in that layout, begin with what is started ahead of jobs.
    pub(crate) fn begins_as_usual(&self, language: usize, steps: &[Step]) -> bool {
        self.usual_step(language).is_some_and(|usual| steps.first() == Some(usual))
    }

    /// The step that a tool is started for ahead of jobs, in that layout.
    pub(crate) fn usual_step(&self, language: usize) -> Option<&Step> {
        self.usual.get(language)?.as_ref()
    }

    /// Makes a cell for a job in this language that is here already.
    pub(crate) fn make(&self, language: usize) -> Result<PreparedCell, RunError> {
        let view = u16::try_from(language).map_err(|_| RunError::NotInstalled(format!("number {language}")))?;
        self.take_in(language, self.cells.make(view)?)
    }

    /// Takes a cell into use, once its agent stands.
    pub(crate) fn take_in(&self, language: usize, cell: Cell) -> Result<PreparedCell, RunError> {
        let begun = cell.begun;
        let patience = Patience::with(cell.host.kind());
        let session = match begun {
            Begun::No => Session::begin(cell, patience)?,
            Begun::Agent | Begun::Tool => Session::go_on(cell, patience),
        };
        let mut cell = PreparedCell { language, session };
        if begun == Begun::Tool {
            let step = self.usual_step(language).ok_or(RunError::OutOfTurn {
                doing: "go on with a tool",
                answer: "that it has one, where there is none for its language".to_owned(),
            })?;
            cell.session.found_standing(step.clone());
        }
        Ok(cell)
    }

    /// What a cell costs that waits for jobs in each of the languages.
    pub(crate) fn costs(&self) -> impl Iterator<Item = ByteSize> {
        self.installed.iter().map(|installed| match installed.language.starts_ahead() {
            true => CELL_WITH_TOOL,
            false => EMPTY_CELL,
        })
    }

    /// Has a cell removed that no job came for.
    pub(crate) fn discard(&self, cell: PreparedCell) {
        self.removals.order_for_nobody(cell.into_session());
    }

    /// Runs a step because we want to know something ourselves.
    pub(crate) fn course_of_ours(
        &self,
        files: &[SourceFile],
        step: &Step,
        cell: PreparedCell,
    ) -> Result<Outcome, RunError> {
        let (cancel, _canceller) = Cancel::new().map_err(RunError::Wait)?;
        let trace_id = TraceId::from_random([0; 16]);
        let course = self.of_ours(&trace_id, files, step);
        course.take(cell.session, Stdin::Empty, &mut Listeners { sink: &mut (), cancel: &cancel }, &self.removals)
    }

    /// What an agent can learn of a step's thawed process, which it watches to its end.
    pub(crate) fn learn_from(
        &self,
        files: &[SourceFile],
        step: &Step,
        session: &mut Session,
    ) -> Result<Vec<u8>, RunError> {
        let trace_id = TraceId::from_random([0; 16]);
        let course = self.of_ours(&trace_id, files, step);
        session.store(files)?;
        let limits = course.step_limits(step.kind, course.admitted + self.policy.default.timeout);
        session.prepare(step, &limits, Seed::MayBeShared)?;
        session.learn(&limits)
    }

    fn of_ours<'a>(&'a self, trace_id: &'a TraceId, files: &'a [SourceFile], step: &'a Step) -> Course<'a> {
        Course {
            trace_id,
            files,
            steps: std::slice::from_ref(step),
            limits: &self.policy.default,
            building: &self.policy.building,
            require: Require::Required,
            // A copy is tried as what it is.
            seed: Seed::MayBeShared,
            admitted: Instant::now(),
            keeping: None,
        }
    }
}
