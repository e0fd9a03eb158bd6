//! How long the engine waits for an agent.

use std::time::Duration;

use firebox_job::CellKind;

/// How long the engine waits for an agent: far longer than an honest one takes, and never longer than that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the answer to an order given while no step runs.
    pub(crate) answer: Duration,
    /// For a killed step to be gone and to hand over what was in its pipes.
    pub(crate) grace: Duration,
}

impl Patience {
    /// The one for cells of this kind.
    pub(crate) const fn with(kind: CellKind) -> Patience {
        let answer = match kind {
            // It takes an agent a millisecond.
            CellKind::Jail | CellKind::Fence => Duration::from_secs(10),
            // Its kernel, too, waits for a processor that a hundred others want, and touches for the first time what it answers with.
            CellKind::MicroVm => Duration::from_secs(30),
        };
        Patience { answer, grace: Duration::from_secs(2) }
    }
}
