//! What a process does to itself before it, or anything it starts, meets code that nobody trusts.
//!
//! The principal type is [`Confinement`]: what a job's processes may still do. Its [`enter`](Confinement::enter) is one
//! straight line of [`Layer`]s in the order that makes each possible, and answers what the kernel in fact granted. The
//! layers can be used one by one as well, by a process with needs of its own.
//!
//! ```no_run
//! use firebox_confine::{Access, Confinement, Files, Filter, Rlimits, Rule};
//! # fn open(path: &str) -> rustix::fd::OwnedFd {
//! #     rustix::fs::open(path, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap()
//! # }
//! let (root, work) = (open("/"), open("/job"));
//! let confined = Confinement {
//!     rlimits: Rlimits { open_files: Some(1024), ..Rlimits::default() },
//!     files: Files::Only(&[Rule::new(&root, Access::ReadExecute), Rule::new(&work, Access::Full)]),
//!     filter: Filter::JOB,
//! }
//! .enter()?;
//! # Ok::<(), firebox_confine::ConfineError>(())
//! ```
//!
//! Everything here acts on the calling thread and on what it starts later, and nothing can be undone. So the caller has
//! one thread when it begins; a thread that ran already would stay free. No `std`, no allocation and no C library: the
//! agent, which uses this first of all, has none of them.

#![cfg_attr(not(test), no_std)]

mod capabilities;
mod confinement;
mod descriptors;
mod error;
mod landlock;
mod layer;
pub mod leave_out;
mod process;
mod rlimits;
mod seccomp;
mod sys;

pub use capabilities::{BoundingSet, drop_capabilities};
pub use confinement::{Confined, Confinement, Files};
pub use descriptors::forget_descriptors_from;
pub use error::{ConfineError, Failure};
pub use landlock::{Access, Domain, Landlock, Rights, Rule, Scopes, Unavailable};
pub use layer::Layer;
pub use process::{
    die_with_parent, forbid_dumps, forbid_new_privileges, hear_of_parents_death, parent_is_out_of_reach,
};
pub use rlimits::{CoreDumps, Rlimits};
pub use seccomp::Filter;
