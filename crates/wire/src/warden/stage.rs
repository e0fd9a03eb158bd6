//! The stages at which something can fail, and what to say of each.

use crate::DecodeError;

/// What the warden, or a process becoming a cell, was doing when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "each variant's text says what it is")]
pub enum Stage {
    Message = 1,
    View,
    LeaseUid,
    Cgroup,
    Clone,
    Network,
    Hostname,
    Files,
    Mount,
    Proc,
    Root,
    Ids,
    UserNamespace,
    Capabilities,
    Descriptors,
    Agent,
    Limits,
    Measure,
    Remove,
}

impl Stage {
    const ALL: [Stage; 19] = [
        Stage::Message,
        Stage::View,
        Stage::LeaseUid,
        Stage::Cgroup,
        Stage::Clone,
        Stage::Network,
        Stage::Hostname,
        Stage::Files,
        Stage::Mount,
        Stage::Proc,
        Stage::Root,
        Stage::Ids,
        Stage::UserNamespace,
        Stage::Capabilities,
        Stage::Descriptors,
        Stage::Agent,
        Stage::Limits,
        Stage::Measure,
        Stage::Remove,
    ];

    /// What was being done, to follow "cannot ".
    pub fn text(self) -> &'static str {
        match self {
            Stage::Message => "understand a message to the warden",
            Stage::View => "find the view a cell was asked for",
            Stage::LeaseUid => "lease a user id for a cell",
            Stage::Cgroup => "make the control groups of a cell",
            Stage::Clone => "start a process in new namespaces",
            Stage::Network => "bring up the private loopback",
            Stage::Hostname => "set the private host name",
            Stage::Files => "make the file systems of a cell",
            Stage::Mount => "mount the view of a cell",
            Stage::Proc => "mount a private /proc",
            Stage::Root => "enter the new root",
            Stage::Ids => "take on the leased user id",
            Stage::UserNamespace => {
                "enter a user namespace (this host, or the container firebox runs in, forbids them; root needs no such leave)"
            }
            Stage::Capabilities => "drop capabilities",
            Stage::Descriptors => "close descriptors",
            Stage::Agent => "start the agent",
            Stage::Limits => "set the limits of a step",
            Stage::Measure => "measure a step",
            Stage::Remove => "remove a cell",
        }
    }

    /// The stage with this number.
    pub fn from_number(number: u8) -> Result<Stage, DecodeError> {
        Stage::ALL.into_iter().find(|stage| *stage as u8 == number).ok_or(DecodeError::Value(number))
    }
}
