//! The Linux jail: what its warden does to make one.
//!
//! ```text
//! firebox (started by the user)
//!  |- fork --> warden          privileged, single-threaded, an empty root of its own
//!  |            |- clone --> agent      PID 1 of a cell: own namespaces, own uid, confined
//!  |            |             `- steps of the job
//!  |            `- clone --> agent ...
//!  `- drops its privileges --> engine
//! ```
//!
//! [`start`] makes the two out of one process. The warden's life and its messages are those of every warden.
//!
//! The walls of a jail stand around processes of another kind of cell, too: [`Enclosures`].

mod beneath;
mod birth;
mod cgroup;
mod doors;
mod enclosure;
mod files;
mod holding;
mod housing;
mod instance;
mod lease;
mod owners;
mod quarters;
mod rights;
mod sys;
mod users;
mod view;

pub use enclosure::{Enclosure, EnclosureLimits, Enclosures};
pub use housing::start;

/// Which version of control groups this host has, or what it lacks for them.
pub fn control_groups() -> Result<&'static str, String> {
    cgroup::version()
}
