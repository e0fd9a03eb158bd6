//! The microVM as a kind of cell: a warden whose cells are monitors.
//!
//! ```text
//! firebox (started by the user)
//!  |- fork --> warden          privileged, single-threaded, an empty root of its own
//!  |            |- clone --> monitor    an empty jail of its own: uid, namespaces, control group; confined; KVM
//!  |            |             `- guest   a kernel of its own, a host with one jail (`guest`)
//!  |            `- clone --> monitor ...
//!  `- drops its privileges --> engine: asks for machines, and talks to their guests by doors that it has made itself
//! ```
//!
//! [`start`] makes the two out of one process, [`Machine::boot`] a machine. Whoever closes a machine's socket to the warden, or is gone, ends
//! the monitor and with it the guest, at once.

mod blueprint;
mod cells;
mod housing;
mod machine;
mod until;
mod welcome;

pub use blueprint::{Beginning, Blueprint, Kernel};
pub use cells::MicroVms;
pub use housing::{start, with_overhead};
pub use machine::{End, Machine};
pub use welcome::Welcome;

/// The program in the walls, for [`start`].
pub static MONITOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/monitor"));
