//! Cells that wait for jobs: a pool for each language, filled beside the jobs that empty them.
//!
//! A job takes a cell that waits or, when none does, makes one at once: there is nothing that it could wait for longer
//! than for that. A cell that is taken is used once, as any other.
//!
//! ```text
//! policy   how many cells are to wait, and what is to be done about it: pure
//! shelves  the cells that wait
//! filler   the thread that does what the policy says
//! ```

mod filler;
mod policy;
mod shelves;

pub(crate) use filler::Filler;
pub use policy::PoolPolicy;
pub(crate) use policy::{CELL_WITH_TOOL, EMPTY_CELL, Filling};
pub(crate) use shelves::{Shelves, Visit};
