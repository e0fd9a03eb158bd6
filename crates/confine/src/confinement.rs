//! The order in which a process that is about to run jobs gives everything up.
//!
//! Calls every layer once and owns none of them. Called by the agent before it reads its first order.

use crate::capabilities::{self, BoundingSet};
use crate::error::ConfineError;
use crate::landlock::{Landlock, Rule};
use crate::layer::Layer;
use crate::process;
use crate::rlimits::{CoreDumps, Rlimits};
use crate::seccomp::Filter;

/// What a job's processes, and the agent that starts them, may still do.
#[derive(Clone, Copy, Debug)]
pub struct Confinement<'a> {
    /// What each process may use.
    pub rlimits: Rlimits,
    /// Which files may be reached.
    pub files: Files<'a>,
    /// Which system calls may be made.
    pub filter: Filter,
}

/// Which files a confined process may reach.
#[derive(Clone, Copy, Debug)]
pub enum Files<'a> {
    /// Those that these rules give and no others, where the kernel has Landlock.
    Only(&'a [Rule<'a>]),
    /// As it is: whoever made this process has seen to it.
    AsItIs,
}

/// What was enforced. The layers that are not named here always are, or there is a [`ConfineError`] instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confined {
    /// Whether a crash can still start a dump helper on the host.
    pub core_dumps: CoreDumps,
    /// Whether the bounding set could be emptied too.
    pub bounding_set: BoundingSet,
    /// What Landlock enforces by the rules; none without rules.
    pub landlock: Option<Landlock>,
}

impl Confinement<'_> {
    /// Confines the calling thread and all it will start, for good.
    ///
    /// Needs no privilege, and gives up those it finds. After an error, some layers may be in place and others not.
    pub fn enter(&self) -> Result<Confined, ConfineError> {
        // While capabilities last: with them, a hard limit that was inherited too low can be raised.
        let core_dumps = self.rlimits.apply()?;
        // Before Landlock and seccomp, which the kernel gives to the unprivileged only under this promise.
        process::forbid_new_privileges()?;
        let bounding_set = capabilities::drop_capabilities()?;
        // Before seccomp, which closes the calls that it is made of.
        let landlock = match self.files {
            Files::Only(_) if Layer::Landlock.is_left_out() => None,
            Files::Only(rules) => Some(Landlock::restrict(rules)?),
            Files::AsItIs => None,
        };
        // After the last change of credentials, which may set it anew.
        process::forbid_dumps()?;
        // Last, because everything above is what it refuses.
        self.filter.install()?;
        Ok(Confined { core_dumps, bounding_set, landlock })
    }
}
