//! What the wardens of all kinds of cell have in common.
//!
//! ```text
//! firebox (started by the user)
//!  |- fork --> warden                 single-threaded; parses only `wire::warden`; makes cells as its `Housing` knows
//!  |            `- agent of a cell, agent of another ...
//!  `- drops its privileges --> engine talks to the warden and, on a stream each, to the agents
//! ```
//!
//! [`Warden::start`] makes the two out of one process. What is left of the caller after [`Warden::drop_privileges`] is an
//! ordinary process without rights, holding [`Cells`]. What differs from one kind of cell to the next is a [`Housing`].

mod agent;
mod answers;
mod channel;
mod client;
mod ends;
mod failure;
mod housing;
mod living;
mod serve;
mod start;
mod sys;
mod tether;
mod watching;

pub use agent::{execute_agent, execute_program, sealed_agent};
pub use answers::{enforcement, limit_request, measured};
pub use client::{Cells, Ground};
pub use ends::Ends;
pub use failure::{Confession, at, confess};
pub use housing::{Housing, Newborn};
pub use start::{EngineUser, StartError, Warden};
pub use sys::{Forked, exit, fork, out_of_the_way, place_descriptors};
pub use watching::{Seen, Watching};
