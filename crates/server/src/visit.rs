//! A request on its way: counted for whoever sent it, from the door until the last of its answer has been taken.
//!
//! Requests hold connections, and connections are for all: one key's requests, each of which may wait for minutes, hold no more
//! of them than are left to others.

use std::sync::Arc;

use firebox_api::Refusal;

use crate::admission::Owner;
use crate::caller::Caller;
use crate::commons::{Commons, Part};

/// It goes with the answer to where that is sent.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) owner: Owner,
    _counted: Arc<Part>,
}

impl Visit {
    /// `all` are as many as there may be connections.
    pub(crate) fn begin(all: &Arc<Commons>, caller: &Caller) -> Result<Visit, Refusal> {
        let owner = caller.owner;
        let mut counted = all.part(owner);
        // One alone is bounded by what connections carry.
        if owner.bounds.shares {
            counted.grow(1).map_err(|why| why.refusal("requests"))?;
        }
        Ok(Visit { owner, _counted: Arc::new(counted) })
    }
}
