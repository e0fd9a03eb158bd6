//! Cells that are frozen when the tool of their job's first step stands, so that others go on from there.

use firebox_cell::{FrozenInto, Layout};
use firebox_lang::{Ahead, StepAhead};
use firebox_wire::Halt;

use crate::kept::mark_of;
use crate::session::Begin;
use crate::supply::Supply;
use crate::{Engine, Installed, PreparedCell, RunError};

/// What a step comes to as a number: nobody can find another step with the same one.
pub type StepMark = [u8; 32];

impl Installed {
    /// The step whose tool stands in cells that are frozen for this language; none where none does.
    pub fn mark_of_first_step(&self) -> Option<StepMark> {
        Some(mark_of(&self.language.first_step_ahead(&self.toolchain, &Layout::Viewed)?.step))
    }
}

impl Engine {
    /// Starts the tool of a first step in a cell that is to be frozen, as far as its language says.
    pub fn start_to_freeze(&self, cell: &mut PreparedCell) -> Result<(), RunError> {
        self.supply().start_to_freeze(cell)
    }

    /// Has a cell frozen into these files. It is gone then.
    pub fn freeze(&self, cell: PreparedCell, into: FrozenInto<'_>) -> Result<(), RunError> {
        Ok(cell.session.let_go().freeze(into)?)
    }
}

impl Supply {
    /// Nearly as in cells of pools. A copy of a process is of no use here, since all of the cell is copied: the tool itself is started. And what settles its luck when it
    /// starts, as V8 does, would settle it for all that go on from here, so it is no more than loaded.
    fn start_to_freeze(&self, cell: &mut PreparedCell) -> Result<(), RunError> {
        let PreparedCell { language, session } = cell;
        let Some(first) = self.first_step_ahead(*language, session.layout()) else { return Ok(()) };
        let StepAhead { step, ahead, driver, .. } = first;
        let tool = match &driver {
            None => step.clone(),
            Some(driver) => self.without_driver(*language, driver)?,
        };
        let halt = match ahead {
            Ahead::Loaded | Ahead::Started => Halt::Loaded,
            Ahead::Template | Ahead::Driver => Halt::Asks,
        };
        session.start_ahead(step, &tool, Begin::Ahead(halt))
    }
}
