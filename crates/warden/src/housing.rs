//! What one kind of cell is to its warden.

use std::os::fd::{BorrowedFd, OwnedFd};

use firebox_wire::warden::{Failure, Held, Measured, StepLimits};

use crate::{Confession, Ends};

/// What one kind of cell is to its warden: how it is made, held to limits, measured and removed.
///
/// Everything here runs in the warden, which has one thread. The life of a cell, and what the engine may ask of it, is
/// the same for all kinds and not the housing's business.
pub trait Housing {
    /// What is held for one cell, from before it is made until nothing of it is left.
    type House;

    /// Right after the fork: takes the warden to where it lives.
    fn move_in(&mut self) -> Result<(), Failure>;

    /// How many views there are.
    fn views(&self) -> usize;

    /// Makes the process that becomes a cell. `number` counts the cells of this warden.
    fn make(&mut self, view: usize, number: u32, ends: Ends) -> Result<Newborn<Self::House>, Failure>;

    /// Begins a step: holds every process of the cell but the agent to these limits; measuring starts from zero.
    fn limit(&mut self, house: &mut Self::House, limits: &StepLimits) -> Result<Held, Failure>;

    /// What the step has consumed.
    fn measure(&mut self, house: &mut Self::House) -> Result<Measured, Failure>;

    /// Sets about ending every process of a cell. The last to go is its first process, which `pidfd` stands for.
    fn end(&mut self, house: &mut Self::House, pidfd: BorrowedFd<'_>);

    /// Removes what was held for a cell. Its last process is gone and taken leave of.
    fn bury(&mut self, house: Self::House) -> Result<(), Failure>;

    /// The end of the warden: gives back what was claimed at its start.
    fn release(self);
}

/// A cell whose process has been made, and of which it is yet to be heard whether that became a cell.
pub struct Newborn<H> {
    /// What is held for it.
    pub house: H,
    /// Its first process, and the last to go.
    pub pidfd: OwnedFd,
    /// Its sockets.
    pub ends: Ends,
    /// What may come of it.
    pub confession: Confession,
}
