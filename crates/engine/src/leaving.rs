//! What a job leaves behind when its outcome is there.

use std::fmt;
use std::sync::Arc;

use crate::session::Session;
use crate::supply::Supply;

/// The cell of a job that is over, with nobody in it but its agent. When this is dropped the cell is ordered away, and whoever fills the
/// pools hears that a job has gone. Both wake others, who work on the CPUs on which an outcome is still on its way to its client.
#[must_use = "an outcome is sent on first, and this is dropped then"]
pub struct Leaving {
    supply: Arc<Supply>,
    session: Option<Session>,
}

impl Leaving {
    /// Of a job whose cell is in this, unless it is gone already.
    pub(crate) fn new(supply: &Arc<Supply>, session: Option<Session>) -> Leaving {
        Leaving { supply: Arc::clone(supply), session }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.supply.removals.order_for_nobody(session);
        }
    }
}

impl fmt::Debug for Leaving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaving").field("has_cell", &self.session.is_some()).finish()
    }
}
