//! How long the engine waits for an agent.

use std::time::Duration;

/// How long the engine waits for an agent: far longer than an honest one takes, and never longer than that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the answer to an order given while no step runs, which takes an agent a millisecond.
    pub(crate) answer: Duration,
    /// For a killed step to be gone and to hand over what was in its pipes.
    pub(crate) grace: Duration,
}

impl Patience {
    /// The one for real cells.
    pub(crate) const DEFAULT: Patience = Patience { answer: Duration::from_secs(10), grace: Duration::from_secs(2) };
}
