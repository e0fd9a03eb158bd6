//! Cells that are being removed while nobody waits for it.
//!
//! A job's outcome need not wait until its cell is gone: to have the removal ordered is enough. What has been ordered is
//! kept here until it is known how it ended. There is no thread for that: whoever wants a cell next finds out, and waits
//! when there are too many, so that cells do not pile up behind a warden that lags.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use firebox_cell::{CellError, CellHost, Removal};

use crate::session::Session;

/// When so many are under way, one has to end before there is another cell. Each holds a descriptor, and what its job
/// had in memory and files. As many more can come together as there are jobs at once.
const MOST: usize = 16;

/// The removals that were ordered and not yet heard of.
#[derive(Default)]
pub(crate) struct Removals(Mutex<State>);

#[derive(Default)]
struct State {
    /// The oldest first.
    under_way: VecDeque<Box<dyn Removal>>,
    /// The first that went wrong, until somebody asks.
    failed: Option<CellError>,
    gone: u64,
    leaked: u64,
}

/// What has become of the cells that there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CellsEnded {
    /// Nothing is left of them: the warden has said so.
    pub gone: u64,
    /// Something may be left of them: the warden said that it could not remove it all, or could not be asked any more.
    pub leaked: u64,
    /// The warden has been told to remove them, and has not said yet what came of it.
    pub leaving: u64,
}

impl Removals {
    /// Has a cell removed, and does not wait for that.
    pub(crate) fn order(&self, cell: Box<dyn CellHost>) -> Result<(), CellError> {
        let ordered = cell.order_removal();
        let mut state = self.state();
        match ordered {
            Ok(removal) => state.under_way.push_back(removal),
            Err(error) => {
                state.leaked += 1;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Has a cell removed, and returns when nothing is left of it.
    pub(crate) fn remove(&self, cell: Box<dyn CellHost>) -> Result<(), CellError> {
        let removed = cell.remove();
        match removed {
            Ok(()) => self.state().gone += 1,
            Err(_) => self.state().leaked += 1,
        }
        removed
    }

    /// The same as [`Removals::order`] for a cell whose end concerns no job: when it goes wrong, [`Removals::wait_for_all`] says so.
    pub(crate) fn order_for_nobody(&self, session: Session) {
        if let Err(error) = self.order(session.let_go()) {
            self.state().note(error);
        }
    }

    /// What has become of all cells so far. Waits for none.
    pub(crate) fn ended(&self) -> CellsEnded {
        let mut state = self.state();
        let (over, leaving) = std::mem::take(&mut state.under_way).into_iter().partition(|removal| removal.is_over());
        state.under_way = leaving;
        let over: VecDeque<_> = over;
        over.into_iter().for_each(|removal| state.end(removal));
        CellsEnded { gone: state.gone, leaked: state.leaked, leaving: state.under_way.len() as u64 }
    }

    /// To be called before a cell is taken or made: returns when there are not too many on their way out.
    pub(crate) fn make_room(&self) {
        while let Some(oldest) = self.one_too_many() {
            // Not under the lock: others have cells that are over.
            let ended = oldest.wait();
            self.state().count(ended);
        }
    }

    /// Returns when nothing of any of them is left, and says what went wrong with the first that did since the last time.
    pub(crate) fn wait_for_all(&self) -> Result<(), CellError> {
        let mut state = self.state();
        while let Some(removal) = state.under_way.pop_front() {
            state.end(removal);
        }
        state.failed.take().map_or(Ok(()), Err)
    }

    fn one_too_many(&self) -> Option<Box<dyn Removal>> {
        let mut state = self.state();
        if state.under_way.len() < MOST {
            return None;
        }
        while state.under_way.front().is_some_and(|oldest| oldest.is_over()) {
            let over = state.under_way.pop_front()?;
            state.end(over);
        }
        if state.under_way.len() < MOST { None } else { state.under_way.pop_front() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&mut self, removal: Box<dyn Removal>) {
        self.count(removal.wait());
    }

    fn count(&mut self, ended: Result<(), CellError>) {
        match ended {
            Ok(()) => self.gone += 1,
            Err(error) => {
                self.leaked += 1;
                self.note(error);
            }
        }
    }

    fn note(&mut self, error: CellError) {
        self.failed.get_or_insert(error);
    }
}

impl fmt::Debug for Removals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Removals").field("under_way", &self.state().under_way.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;
    use std::time::Duration;

    use super::*;

    const MOMENT: Duration = Duration::from_secs(10);

    /// A removal that is over once somebody says so.
    struct Lagging {
        /// Hears that it is waited for.
        awaited: Sender<()>,
        over: Receiver<()>,
    }

    impl Removal for Lagging {
        fn is_over(&self) -> bool {
            false
        }

        fn wait(self: Box<Self>) -> Result<(), CellError> {
            self.awaited.send(()).unwrap();
            self.over
                .recv_timeout(MOMENT)
                .map_err(|_| CellError::Refused { doing: "end in time", source: std::io::ErrorKind::TimedOut.into() })
        }
    }

    #[test]
    fn whoever_wants_a_cell_waits_for_the_oldest_when_too_many_are_on_their_way_out() {
        let removals = Removals::default();
        let (awaited, hears) = channel();
        let lag = || {
            let (end, over) = channel();
            removals.state().under_way.push_back(Box::new(Lagging { awaited: awaited.clone(), over }));
            end
        };
        let mut ends: VecDeque<Sender<()>> = (1..MOST).map(|_| lag()).collect();
        removals.make_room();
        assert!(hears.try_recv().is_err(), "there was room for one more");

        ends.push_back(lag());
        thread::scope(|threads| {
            let wants_a_cell = threads.spawn(|| removals.make_room());
            hears.recv_timeout(MOMENT).expect("it waits");
            assert!(!wants_a_cell.is_finished());
            ends.pop_front().expect("the oldest").send(()).unwrap();
            wants_a_cell.join().unwrap();
        });
        assert_eq!(removals.state().under_way.len(), MOST - 1);

        ends.iter().for_each(|end| end.send(()).unwrap());
        removals.wait_for_all().unwrap();
        assert_eq!(removals.state().under_way.len(), 0);
    }

    /// A cell that is removed at once, or not.
    struct Ended(Result<(), ()>);

    impl Removal for Ended {
        fn is_over(&self) -> bool {
            true
        }

        fn wait(self: Box<Self>) -> Result<(), CellError> {
            self.0.map_err(|()| CellError::Refused { doing: "remove it", source: std::io::ErrorKind::Other.into() })
        }
    }

    #[test]
    fn what_the_warden_could_not_remove_is_counted_and_told() {
        let removals = Removals::default();
        let (awaited, _hears) = channel();
        let (_end, over) = channel();
        removals.state().under_way.push_back(Box::new(Lagging { awaited, over }));
        for ended in [Ok(()), Err(()), Ok(())] {
            removals.state().under_way.push_back(Box::new(Ended(ended)));
        }
        assert_eq!(removals.ended(), CellsEnded { gone: 2, leaked: 1, leaving: 1 });
        assert_eq!(removals.ended(), CellsEnded { gone: 2, leaked: 1, leaving: 1 });
        removals.state().under_way.clear();
        assert!(removals.wait_for_all().is_err());
    }
}
