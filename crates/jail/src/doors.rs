//! The ways into the control groups of a cell, as the warden opens them. The agent has a file of this name for its side.

use std::os::fd::OwnedFd;

/// Ways into control groups for a process that moves itself: a descriptor per hierarchy, each to be written `0` to. There
/// are none where processes are cloned into their group, or where there are no groups.
#[derive(Default)]
pub(crate) struct Doors {
    /// Into the agent's.
    pub(crate) agent: Vec<OwnedFd>,
    /// Into those of the steps, in their order.
    pub(crate) steps: Vec<Vec<OwnedFd>>,
}

impl Doors {
    /// How the agent is told of them: how many there are to a step, and to how many steps.
    pub(crate) fn in_words(&self) -> String {
        format!("{}x{}", self.steps.first().map_or(0, Vec::len), self.steps.len())
    }
}
