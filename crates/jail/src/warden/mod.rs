//! The warden: the one process with privileges. It makes and removes the host's side of cells, and nothing else.
//!
//! ```text
//! Warden::start      the caller's process, still with its rights: opens all that a warden will need, then forks
//!   `- serve         the warden: leaves the host's file system, then answers messages until its engine is gone
//! drop_privileges    the caller's process gives its rights up and is left with a `Jail`
//! ```

mod holding;
mod living;
mod quarters;
mod serve;
mod start;
mod watching;

pub use start::{StartError, Warden};
