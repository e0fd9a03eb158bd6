//! Who asks: what is theirs, and what they may.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use firebox_engine::Partition;

use crate::admission::Owner;

/// Whoever sent a request, as the door found out. It goes with the request to whatever answers it.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Under what name their jobs are filed. No secret, and never empty.
    pub(crate) name: Arc<str>,
    /// Whose turn it is when theirs comes.
    pub(crate) owner: Owner,
    /// Compiled results that are theirs alone, so that timing tells nobody what others ran.
    pub(crate) partition: Arc<Partition>,
}

impl Caller {
    /// The one there is where there are no keys.
    pub(crate) fn everybody() -> Caller {
        let name = "everybody";
        Caller { name: name.into(), owner: 0, partition: Arc::new(Partition::named(name)) }
    }

    /// One of whom nothing is known but the name, such as that something was kept of theirs.
    pub(crate) fn named(name: &str) -> Caller {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Caller { name: name.into(), owner: hasher.finish(), partition: Arc::new(Partition::named(name)) }
    }
}
