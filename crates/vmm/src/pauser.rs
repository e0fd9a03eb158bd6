//! How a machine is asked to pause, by whoever: from another thread, or by a device that its guest writes to.

use std::mem;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use crate::threads::Told;

/// Asks one machine to pause. Copies ask the same machine.
///
/// A machine that is asked while it does not run pauses before its next instruction.
#[derive(Debug, Clone, Default)]
pub struct Pauser(Arc<Mutex<Asked>>);

#[derive(Debug, Default)]
enum Asked {
    /// It does not run, and nobody has asked.
    #[default]
    No,
    /// It does not run, and is not to.
    Before,
    /// It runs, and whoever watches over it hears of it here.
    Runs(Sender<Told>),
}

impl Pauser {
    /// Asks. Whether there is anything to be paused by then, whoever runs the machine is told: a guest may have ended first.
    pub fn pause(&self) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*asked {
            Asked::No | Asked::Before => *asked = Asked::Before,
            // Nobody listens any more when the machine has ended.
            Asked::Runs(told) => _ = told.send(Told::Pause),
        }
    }

    /// The machine is about to run. Whether it may: else somebody has asked before.
    pub(crate) fn begin(&self, told: Sender<Told>) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match mem::replace(&mut *asked, Asked::Runs(told)) {
            Asked::Before => {
                *asked = Asked::No;
                false
            }
            Asked::No | Asked::Runs(_) => true,
        }
    }

    /// The machine runs no longer.
    pub(crate) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Asked::No;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn whoever_asks_before_is_heard_once() {
        let (told, hear) = channel();
        let pauser = Pauser::default();
        pauser.clone().pause();
        assert!(!pauser.begin(told.clone()));
        assert!(pauser.begin(told));
        assert!(hear.try_recv().is_err());
    }

    #[test]
    fn whoever_asks_meanwhile_is_heard_and_no_longer_after_the_end() {
        let (told, hear) = channel();
        let pauser = Pauser::default();
        assert!(pauser.begin(told.clone()));
        pauser.pause();
        assert!(matches!(hear.try_recv(), Ok(Told::Pause)));
        pauser.end();
        assert!(pauser.begin(told));
    }
}
