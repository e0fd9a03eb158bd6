//! The process of one microVM: what it is handed and told, how it confines itself, and what it says in the end.
//!
//! ```text
//! warden --clone--> the walls of a jail --execve--> this program, with nothing open but what it is handed
//!                                                    orders      its one argument: what the machine is to have, and what is to become of it
//!                                                    confine     rlimits, capabilities, Landlock, system calls
//!                                                    doors       comes over the stream: the guest's ways to the host
//!                                                    machine     made, loaded or restored, run: each thread of it under a narrower filter
//!                                                    freezer     files come over the stream, and the machine goes into them
//!                                                    report      goes over the stream: how it ended, and the guest's last words
//! ```
//!
//! It is a program of its own, and not a copy of its warden's process, so that nothing of what firebox was started with is in the memory of
//! who might lose to a guest: neither its environment nor where things stand in memory. It is static, since there is no library where it runs.
//!
//! Used by `microvm` as well, for what the two say to each other.

mod confine;
mod doors;
mod freezer;
mod frozen_files;
mod handover;
mod machine;
mod orders;
mod report;

pub use confine::confine;
pub use doors::Doors;
pub use freezer::Freezer;
pub use frozen_files::FrozenFiles;
pub use handover::HandoverError;
pub use machine::{Became, INTRODUCTION, NoMachine, Parts, run};
pub use orders::{Course, Handed, Orders};
pub use report::{Report, Whose};
