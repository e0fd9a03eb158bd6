//! The process of one microVM: what it is handed and told, how it confines itself, and what it says in the end.
//!
//! ```text
//! warden --clone--> the walls of a jail --execve--> this program, with nothing open but what it is handed
//!                                                    confine     rlimits, capabilities, Landlock, system calls
//!                                                    doors       comes over the stream: the guest's ways to the host
//!                                                    machine     made, loaded, run: each thread of it under a narrower filter
//!                                                    report      goes over the stream: how it ended, and the guest's last words
//! ```
//!
//! It is a program of its own, and not a copy of its warden's process, so that nothing of what firebox was started with is in the memory of
//! who might lose to a guest: neither its environment nor where things stand in memory. It is static, since there is no library where it runs.
//!
//! Used by `microvm` as well, for what the two say to each other.

mod confine;
mod doors;
mod machine;
mod orders;
mod report;

pub use confine::confine;
pub use doors::{DoorError, Doors};
pub use machine::{INTRODUCTION, NoMachine, Parts, run};
pub use orders::{Handed, Orders};
pub use report::{Report, Whose};
