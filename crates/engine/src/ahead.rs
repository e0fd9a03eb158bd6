//! What is done in a cell before there is a job for it: the tool of the job's first step is started, as far as its language
//! file says.

use std::io;

use firebox_cell::Layout;
use firebox_job::{CellKind, Outcome, SourceFile, Verdict};
use firebox_lang::{Ahead, Copied, Driver, Step, StepAhead};
use firebox_wire::Halt;

use crate::image::Image;
use crate::session::Begin;
use crate::supply::Supply;
use crate::templates::Template;
use crate::{Installed, PreparedCell, RunError};

/// What a tool and its copy are tried on: nothing at all, and what is wrong in every language.
const TRIAL_TEXTS: [&str; 2] = ["", ")(\n"];

impl Supply {
    /// Makes a cell in which a job in this language can begin at once, and starts there what can be started before the job
    /// is known. The one place where the cells of pools are made.
    pub(crate) fn prepare(&self, language: usize) -> Result<PreparedCell, RunError> {
        let mut cell = self.make(language)?;
        if self.is_of_machines() {
            // What can stand in it has stood there since it was frozen.
            return Ok(cell);
        }
        match self.start_ahead(&mut cell) {
            Ok(()) => Ok(cell),
            Err(_) => {
                // Its job starts it all by itself then, and says what is wrong, if that is.
                self.templates.give_up(language);
                self.discard(cell);
                self.make(language)
            }
        }
    }

    /// Makes a cell for a job that is here already and found none that waits.
    pub(crate) fn make_at_once(&self, language: usize) -> Result<PreparedCell, RunError> {
        let mut cell = self.make(language)?;
        self.let_copy(&mut cell);
        Ok(cell)
    }

    /// Where there is a template, the first step of the job that has come for this empty cell can be a copy of it: to make one
    /// takes less than to start the tool.
    pub(crate) fn let_copy(&self, cell: &mut PreparedCell) {
        if self.is_of_machines() {
            return;
        }
        if let Some(template) = self.templates.at_hand(cell.language, || self.installed[cell.language].look())
            && let Some(step) = self.usual_step(cell.language)
        {
            cell.session.can_copy(step.clone(), template);
        }
    }

    /// A file cannot be handed into a machine, and so no image of a process.
    fn is_of_machines(&self) -> bool {
        self.cells.kind() == CellKind::MicroVm
    }

    fn start_ahead(&self, cell: &mut PreparedCell) -> Result<(), RunError> {
        let PreparedCell { language, session } = cell;
        let Some(first) = self.first_step_ahead(*language, session.layout()) else { return Ok(()) };
        let StepAhead { step, ahead, copied, driver, typical } = first;
        // In other layouts each cell has its own places, and a tool knows them from its start.
        if matches!(ahead, Ahead::Template | Ahead::Driver) && *session.layout() == Layout::Viewed {
            let template = self.templates.get(*language, self.installed[*language].look(), || {
                let tool = self.tool_of(*language, &step, driver.as_ref())?;
                let make = |copied| self.make_template(*language, &step, &tool, copied, typical.as_deref());
                let told = copied.as_ref().map(|copied| make(Some(copied)));
                // A tool that cannot be told is copied before it draws any random numbers.
                told.and_then(Result::ok).map_or_else(|| make(None), Ok)
            });
            if let Some(template) = template {
                return session.start_ahead(step, &template.tool, Begin::Thawed(&template.image));
            }
        }
        match halt(ahead) {
            Some(halt) if !self.templates.are_given_up(*language) => {
                session.start_ahead(step.clone(), &step, Begin::Ahead(halt))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What is started for a first step: of one that only drives others, what it would have them do.
    pub(crate) fn tool_of(&self, language: usize, step: &Step, driver: Option<&Driver>) -> Result<Step, RunError> {
        driver.map_or_else(|| Ok(step.clone()), |driver| self.without_driver(language, driver))
    }

    /// Has the driver of others tell what it would have them do, and makes a step of it that does the same.
    fn without_driver(&self, language: usize, driver: &Driver) -> Result<Step, RunError> {
        let told = self.trial(self.make(language)?, &driver.asked, "")?;
        let said = told.steps.last().map(|report| &report.stderr).filter(|said| said.truncated().is_none());
        let said = said.filter(|_| told.verdict == Verdict::Ok);
        said.and_then(|said| driver.replaced(said.bytes())).ok_or(RunError::Image(io::ErrorKind::InvalidData.into()))
    }

    pub(crate) fn first_step_ahead(&self, language: usize, layout: &Layout) -> Option<StepAhead> {
        let Installed { language, toolchain, .. } = self.installed.get(language)?;
        language.first_step_ahead(toolchain, layout)
    }

    /// Has a tool started and frozen before it asks for anything of a job, and tries what comes of that: a copy must say the
    /// same of the same texts as the tool itself.
    fn make_template(
        &self,
        language: usize,
        step: &Step,
        tool: &Step,
        copied: Option<&Copied>,
        typical: Option<&str>,
    ) -> Result<Template, RunError> {
        let mut cell = self.make(language)?;
        let (functions, renewed) = copied.map_or((&[][..], 0), |copied| (&copied.functions, copied.renews));
        let started = cell.session.start_ahead(step.clone(), tool, Begin::ToBeCopied { renewed });
        let image = started.and_then(|()| cell.session.freeze(functions));
        self.discard(cell);
        let mut image = image?;
        if let Some(typical) = typical {
            // Only speed depends on it.
            image = self.learn(language, step, tool, typical, &image).unwrap_or(image);
        }
        for text in TRIAL_TEXTS {
            let itself = self.trial(self.make(language)?, step, text)?;
            let mut cell = self.make(language)?;
            cell.session.start_ahead(step.clone(), tool, Begin::Thawed(&image))?;
            let copy = self.trial(cell, step, text)?;
            if (itself.verdict, &itself.stdout, &itself.stderr) != (copy.verdict, &copy.stdout, &copy.stderr) {
                return Err(RunError::Image(io::ErrorKind::InvalidData.into()));
            }
        }
        Ok(Template { image, tool: tool.clone() })
    }

    /// Has a copy watched over a text of ours. The image, with what was learnt by that.
    fn learn(&self, language: usize, step: &Step, tool: &Step, text: &str, image: &Image) -> Result<Image, RunError> {
        let mut cell = self.make(language)?;
        let began = cell.session.start_ahead(step.clone(), tool, Begin::Thawed(image));
        let learnt = began.and_then(|()| self.learn_from(&[self.entry(language, text)], step, &mut cell.session));
        self.discard(cell);
        image.with(&learnt?)
    }

    /// Runs a first step over a text of ours.
    fn trial(&self, cell: PreparedCell, step: &Step, text: &str) -> Result<Outcome, RunError> {
        self.course_of_ours(&[self.entry(cell.language, text)], step, cell)
    }

    fn entry(&self, language: usize, text: &str) -> SourceFile {
        let language = &self.installed[language].language;
        SourceFile { path: language.entry().clone(), content: text.as_bytes().to_vec() }
    }
}

/// How far a tool itself is brought in each cell; nowhere, when it only drives others.
fn halt(ahead: Ahead) -> Option<Halt> {
    match ahead {
        Ahead::Loaded => Some(Halt::Loaded),
        Ahead::Started | Ahead::Template => Some(Halt::Asks),
        Ahead::Driver => None,
    }
}
