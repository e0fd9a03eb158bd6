//! The Linux jail and its warden.
//!
//! ```text
//! firebox (started by the user)
//!  |- fork --> warden          privileged, single-threaded, an empty root of its own; parses only `wire::warden`
//!  |            |- clone --> agent      PID 1 of a cell: own namespaces, own uid, confined
//!  |            |             `- steps of the job
//!  |            `- clone --> agent ...
//!  `- drops its privileges --> engine  talks to the warden and, on a stream each, to the agents
//! ```
//!
//! [`Warden::start`] makes the two out of one process; what is left of the caller after
//! [`Warden::drop_privileges`] is an ordinary process without rights, holding a [`Jail`] to make cells with.

mod birth;
mod cgroup;
mod channel;
mod client;
mod doors;
mod failure;
mod files;
mod instance;
mod lease;
mod rights;
mod sys;
mod tether;
mod view;
mod warden;

pub use client::Jail;
pub use warden::{StartError, Warden};
