//! What was found out about a kind of cell, as it goes from the process that tried to the one that tells.

use firebox_job::{Protection, Safeguard};
use serde::{Deserialize, Serialize};

/// What was found out about one kind of cell.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Examined {
    /// Which kind.
    pub(super) kind: String,
    /// Whether this host makes such cells.
    pub(super) available: bool,
    /// Why not, if it does not; or why nothing was tried.
    pub(super) why: Option<String>,
    /// What to do about that.
    pub(super) change: Option<String>,
    /// Each safeguard, in the order of the table; none were tried where there is no cell.
    pub(super) safeguards: Vec<Finding>,
}

/// What was found out about one safeguard.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Finding {
    /// Its name.
    pub(super) name: String,
    /// How it stands.
    pub(super) state: State,
    /// Why it is not enforced; nothing where it is.
    pub(super) why: Option<String>,
    /// What to change about that, where something can be.
    pub(super) change: Option<String>,
}

/// How a safeguard stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// The kernel refused what was tried.
    Enforced,
    /// Firebox noticed what was tried, and ended it.
    Watched,
    /// What was tried succeeded.
    Missing,
}

impl State {
    /// The word for it, everywhere.
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Enforced => Protection::Enforced.name(),
            State::Watched => Protection::Watched.name(),
            State::Missing => "missing",
        }
    }
}

impl From<Protection> for State {
    fn from(protection: Protection) -> State {
        match protection {
            Protection::Enforced => State::Enforced,
            Protection::Watched => State::Watched,
        }
    }
}

impl Examined {
    /// A kind that this host does not make.
    pub(super) fn missing(kind: impl ToString, why: String, change: &str) -> Examined {
        let (kind, change) = (kind.to_string(), Some(change.to_owned()));
        Examined { kind, available: false, why: Some(why), change, safeguards: Vec::new() }
    }

    /// A kind that this host can make, in which nothing was tried.
    pub(super) fn untried(kind: impl ToString, why: String, first: &str) -> Examined {
        Examined { available: true, ..Examined::missing(kind, why, first) }
    }

    /// How a safeguard stands in this kind; none where that was not tried.
    pub(super) fn state(&self, safeguard: Safeguard) -> Option<State> {
        let found = self.safeguards.iter().find(|finding| finding.name == safeguard.name());
        found.map(|finding| finding.state).or((!self.available).then_some(State::Missing))
    }
}
