//! What stands between a microVM and its job: a host with one jail in it.
//!
//! ```text
//! kernel --> /init: mounts, modules, the image                                     stand, modules (the program's own)
//!             |- calls the host, is told what the cell shows, says what came of it introduction, host
//!             |- fork --> warden --> a jail: agent, steps                          as on any host
//!             `- passes on, as long as the machine lives                           relay
//!                  agent's stream    <--> whoever of the host calls AGENT
//!                  the cell's socket <--> whoever of the host calls CONTROL
//!             |  who calls RENEWAL says what time it is, and gives randomness     renewal
//! ```
//!
//! The jail in a guest is the one that hosts have, by the same code: the same confinement, the same limits, the same measure. So a job
//! that has the guest's kernel against it has the jail against it as well, and what it meets in there is what it meets in a jail.
//!
//! Callers may go and others come: nothing that the agent says is lost in between. That is what makes a machine fit to be frozen, with no
//! connection open, once its agent is warm.

mod farewell;
mod host;
mod introduction;
mod relay;
mod renewal;
mod sys;

pub use host::{BORN, FAILED, GuestError, Listeners, live};
pub use introduction::{Introduction, NoIntroduction};
/// For a fuzzer: callers, an agent and a cell that do what this says, and what must be true all the same.
#[cfg(any(test, fuzzing))]
pub use relay::chance::play as play_relay;
pub use renewal::{RANDOMNESS_BYTES, RENEWED, Renewal};
pub use sys::{call_host, listen_to_host};

/// How a guest is talked to, and its agent. Another one for every change of what is said at its ports, so that nobody talks to one that was frozen by
/// another version.
pub const PROTOCOL: u32 = 1 << 16 | firebox_wire::VERSION as u32;

/// Where the guest calls the host, once: for its introduction.
pub const INTRODUCTION: u32 = 1024;
/// Where the host calls for the agent's stream.
pub const AGENT: u32 = 1025;
/// Where the host calls for the cell's socket: requests and replies of [`firebox_wire::warden`], of a fixed size each.
pub const CONTROL: u32 = 1026;
/// Where the host calls to make a clone of a frozen machine one of its own: a [`Renewal`].
pub const RENEWAL: u32 = 1027;
