//! Jobs that run, and the way to stop each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use firebox_engine::Canceller;
use tokio::sync::watch;

/// Why a job is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Its client does not want it any more.
    Client,
    /// The service is about to end.
    End,
}

/// All that run.
#[derive(Debug, Default)]
pub(super) struct Stops {
    running: Mutex<Running>,
    busy: Arc<watch::Sender<usize>>,
}

#[derive(Debug, Default)]
struct Running {
    jobs: HashMap<i64, State>,
    /// Whether whatever begins is to be stopped at once.
    is_over: bool,
}

#[derive(Debug, Default)]
struct State {
    why: Option<Why>,
    /// There when there is something to stop.
    canceller: Option<Canceller>,
}

/// Somebody who is about to run a job, runs one, or writes down how it ended.
#[derive(Debug)]
pub(super) struct Busy(Arc<watch::Sender<usize>>);

/// A job that runs, as long as this is there.
#[derive(Debug)]
pub(super) struct Stop<'a> {
    stops: &'a Stops,
    number: i64,
}

impl Stops {
    /// Somebody is about to run a job.
    pub(super) fn busy(&self) -> Busy {
        self.busy.send_modify(|busy| *busy += 1);
        Busy(Arc::clone(&self.busy))
    }

    /// A job begins.
    pub(super) fn begin(&self, number: i64) -> Stop<'_> {
        let mut running = self.running();
        let why = running.is_over.then_some(Why::End);
        running.jobs.insert(number, State { why, canceller: None });
        Stop { stops: self, number }
    }

    /// Stops a job. False if it does not run.
    pub(super) fn one(&self, number: i64, why: Why) -> bool {
        self.running().jobs.get_mut(&number).map(|state| state.stop(why)).is_some()
    }

    /// Stops all that run, and whatever still begins.
    pub(super) fn all(&self) {
        let mut running = self.running();
        running.is_over = true;
        running.jobs.values_mut().for_each(|state| state.stop(Why::End));
    }

    /// Returns when nobody is busy.
    pub(super) async fn none(&self) {
        // The other end is in our hands.
        let _ = self.busy.subscribe().wait_for(|busy| *busy == 0).await;
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|busy| *busy -= 1);
    }
}

impl State {
    fn stop(&mut self, why: Why) {
        // The client's wish stands: what it does not want is not to be run again.
        if self.why != Some(Why::Client) {
            self.why = Some(why);
        }
        if let Some(canceller) = &self.canceller {
            // Failing means that it has been said already.
            let _ = canceller.cancel();
        }
    }
}

impl Stop<'_> {
    /// There is something to stop from here on.
    pub(super) fn arm(&self, canceller: Canceller) {
        if let Some(state) = self.stops.running().jobs.get_mut(&self.number) {
            state.canceller = Some(canceller);
            if let Some(why) = state.why {
                state.stop(why);
            }
        }
    }

    /// Why it was stopped, if it was.
    pub(super) fn why(&self) -> Option<Why> {
        self.stops.running().jobs.get(&self.number).and_then(|state| state.why)
    }
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.stops.running().jobs.remove(&self.number);
    }
}
