//! The fence: the kind of cell that needs no namespaces, for containers and hosts that give none.
//!
//! ```text
//! firebox (started by anybody)
//!  |- fork --> warden                  has no more rights than firebox; watches, in the host's `/proc`
//!  |            |- fork --> keeper     subreaper of one cell, in a Landlock domain: kills all in it, however they hide
//!  |            |             `- agent      confined by Landlock and seccomp; a subreaper too
//!  |            |                 `- steps of the job, in a domain of their own: none can signal the agent
//!  |            `- fork --> keeper ...
//!  `- drops its privileges --> engine
//! ```
//!
//! No process of ours can be killed without another that then ends the cell: the keeper outlives the agent, the agent
//! hears of the keeper's death, the keeper of the warden's, and the warden of the engine's.
//!
//! What a fence does not do: it hides nothing that can be learnt without opening a file, and it only watches memory,
//! tasks, CPUs and disk.

mod birth;
mod ground;
mod housing;
mod keeper;
mod room;
mod sights;
mod sys;
mod tree;
mod watch;

pub use housing::start;
