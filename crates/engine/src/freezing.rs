//! Cells that are frozen when the tool of their job's first step stands, so that others go on from there.

use firebox_cell::{FrozenInto, Layout};
use firebox_lang::{Ahead, Language, StepAhead, Toolchain};
use firebox_wire::Halt;

use crate::kept::mark_of;
use crate::session::Begin;
use crate::supply::Supply;
use crate::{Engine, PreparedCell, RunError};

/// What a step comes to as a number: nobody can find another step with the same one.
pub type StepMark = [u8; 32];

/// The step whose tool stands in cells that are frozen for this language; none where none does.
pub fn mark_of_first_step(language: &Language, toolchain: &Toolchain) -> Option<StepMark> {
    Some(mark_of(&language.first_step_ahead(toolchain, &Layout::Viewed)?.step))
}

impl Engine {
    /// Starts the tool of a first step in a cell that is to be frozen, as far as its language says.
    pub fn start_to_freeze(&self, cell: &mut PreparedCell) -> Result<(), RunError> {
        self.supply().start_to_freeze(cell)
    }

    /// Has a cell frozen into these files. It is gone then. What does not wait for a job any more is not frozen: all that went on from there would be of no use.
    pub fn freeze(&self, cell: PreparedCell, into: FrozenInto<'_>) -> Result<(), RunError> {
        if !cell.is_waiting() {
            let answer = "that it has ended, or something else".to_owned();
            return Err(RunError::OutOfTurn { doing: "wait for a job", answer });
        }
        Ok(cell.session.let_go().freeze(into)?)
    }
}

impl Supply {
    /// Nearly as in cells of pools. A copy of a process is of no use here, since all of the cell is copied: the tool itself is started. But what a process draws by chance, all
    /// that go on from here would have drawn: so one that draws when it starts, as V8 does, is no more than loaded, and others are stopped where they would draw
    /// for more than tables of their own. Nobody tells them to draw anew, as copies in pools are told.
    fn start_to_freeze(&self, cell: &mut PreparedCell) -> Result<(), RunError> {
        let PreparedCell { language, session } = cell;
        let Some(first) = self.first_step_ahead(*language, session.layout()) else { return Ok(()) };
        let StepAhead { step, ahead, driver, .. } = first;
        let tool = self.tool_of(*language, &step, driver.as_ref())?;
        let halt = match ahead {
            Ahead::Loaded | Ahead::Started => Halt::Loaded,
            Ahead::Template | Ahead::Driver => Halt::AsksOrDraws,
        };
        session.start_ahead(step, &tool, Begin::Ahead(halt))
    }
}
