//! Who may run now, and who waits: so many places, a bounded queue, and fairness between owners.
//!
//! Owners take turns: one with a thousand jobs in the queue delays another's first job by one job, not by a thousand. So do, within
//! an owner's turns, those who wait here and the owner's jobs that wait on disk, of which one ticket at a time stands here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Whose turn it is. The same for all jobs of one owner.
pub(crate) type Owner = u64;

/// Places, and who waits for one.
#[derive(Debug)]
pub(crate) struct Admission {
    state: Mutex<State>,
    most_waiting: usize,
}

#[derive(Debug)]
struct State {
    free: usize,
    running: usize,
    /// Owners in the order of their turns, each with at least one who waits.
    owners: VecDeque<Waiting>,
    next: u64,
    closed: bool,
}

#[derive(Debug)]
struct Waiting {
    owner: Owner,
    /// In the order in which they came.
    queue: VecDeque<Stander>,
    /// For jobs that wait on disk.
    from_disk: VecDeque<Stander>,
    /// Whose turn it is when both wait.
    disk_is_next: bool,
}

type Stander = (u64, oneshot::Sender<Place>);

/// Where those wait who are to be called up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Here, with a client that waits too.
    Here,
    /// On disk.
    Disk,
}

/// There is no place, and no room in the queue; or there will not be one any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    Full,
    Closed,
}

/// A place among those that run. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
}

/// A place in the queue. Dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Ticket {
    admission: Arc<Admission>,
    number: u64,
    granted: oneshot::Receiver<Place>,
}

/// How full it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Occupancy {
    pub(crate) running: usize,
    pub(crate) waiting: usize,
    pub(crate) is_full: bool,
}

impl Admission {
    pub(crate) fn new(places: usize, most_waiting: usize) -> Arc<Admission> {
        let state = State { free: places, running: 0, owners: VecDeque::new(), next: 0, closed: false };
        Arc::new(Admission { state: Mutex::new(state), most_waiting })
    }

    /// Takes a place, or one in the queue for it. Does not wait.
    pub(crate) fn enter(self: &Arc<Admission>, owner: Owner) -> Result<Ticket, NoPlace> {
        self.stand(owner, Line::Here)
    }

    /// The same for an owner's jobs that wait on disk, where there is room for them.
    pub(crate) fn line_up(self: &Arc<Admission>, owner: Owner) -> Result<Ticket, NoPlace> {
        self.stand(owner, Line::Disk)
    }

    fn stand(self: &Arc<Admission>, owner: Owner, line: Line) -> Result<Ticket, NoPlace> {
        let mut state = self.state();
        if state.closed {
            return Err(NoPlace::Closed);
        }
        let (grant, granted) = oneshot::channel();
        let number = state.next;
        state.next += 1;
        if state.free > 0 {
            state.free -= 1;
            state.running += 1;
            // Its other end is in our hands.
            let _ = grant.send(Place { admission: Arc::clone(self) });
        } else if line == Line::Disk || state.waiting() < self.most_waiting {
            state.line_up(owner, line, (number, grant));
        } else {
            return Err(NoPlace::Full);
        }
        Ok(Ticket { admission: Arc::clone(self), number, granted })
    }

    /// Lets nobody in any more, and sends away who waits.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.owners.clear();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    pub(crate) fn occupancy(&self) -> Occupancy {
        let state = self.state();
        let waiting = state.waiting();
        let is_full = state.free == 0 && self.most_waiting <= waiting;
        Occupancy { running: state.running, waiting, is_full }
    }

    fn leave(self: &Arc<Admission>) {
        let next = {
            let mut state = self.state();
            state.running -= 1;
            let next = state.call_up();
            match next {
                Some(_) => state.running += 1,
                None => state.free += 1,
            }
            next
        };
        if let Some(grant) = next {
            // Whoever has gone meanwhile gives the place back by dropping it, outside of the lock.
            drop(grant.send(Place { admission: Arc::clone(self) }));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.owners.iter().map(|owner| owner.queue.len()).sum()
    }

    fn line_up(&mut self, owner: Owner, line: Line, stander: Stander) {
        let at = self.owners.iter().position(|waiting| waiting.owner == owner).unwrap_or_else(|| {
            let (queue, from_disk) = (VecDeque::new(), VecDeque::new());
            self.owners.push_back(Waiting { owner, queue, from_disk, disk_is_next: false });
            self.owners.len() - 1
        });
        match line {
            Line::Here => self.owners[at].queue.push_back(stander),
            Line::Disk => self.owners[at].from_disk.push_back(stander),
        }
    }

    /// The first of the owner whose turn it is.
    fn call_up(&mut self) -> Option<oneshot::Sender<Place>> {
        let mut waiting = self.owners.pop_front()?;
        let (_, grant) = waiting.call_up()?;
        if !waiting.is_empty() {
            self.owners.push_back(waiting);
        }
        Some(grant)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.from_disk.is_empty()
    }

    fn call_up(&mut self) -> Option<Stander> {
        let from_disk = !self.from_disk.is_empty() && (self.disk_is_next || self.queue.is_empty());
        self.disk_is_next = !from_disk;
        if from_disk { self.from_disk.pop_front() } else { self.queue.pop_front() }
    }

    fn remove(&mut self, ticket: u64) {
        self.queue.retain(|(number, _)| *number != ticket);
        self.from_disk.retain(|(number, _)| *number != ticket);
    }
}

impl Ticket {
    /// Waits for the place.
    pub(crate) async fn wait(mut self) -> Result<Place, NoPlace> {
        (&mut self.granted).await.map_err(|_| NoPlace::Closed)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        for waiting in &mut state.owners {
            waiting.remove(self.number);
        }
        state.owners.retain(|waiting| !waiting.is_empty());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Owner = 1;
    const B: Owner = 2;

    fn is_in(ticket: &mut Ticket) -> Option<Place> {
        ticket.granted.try_recv().ok()
    }

    #[test]
    fn those_who_find_no_place_wait_and_those_who_find_no_room_are_told_at_once() {
        let admission = Admission::new(1, 1);
        let mut first = admission.enter(A).unwrap();
        let place = is_in(&mut first).unwrap();
        let mut second = admission.enter(A).unwrap();
        assert!(is_in(&mut second).is_none());
        assert_eq!(admission.enter(A).unwrap_err(), NoPlace::Full);
        assert_eq!(admission.occupancy(), Occupancy { running: 1, waiting: 1, is_full: true });
        drop(place);
        let place = is_in(&mut second).unwrap();
        assert_eq!(admission.occupancy(), Occupancy { running: 1, waiting: 0, is_full: false });
        drop(place);
        assert_eq!(admission.occupancy().running, 0);
    }

    #[test]
    fn owners_take_turns() {
        let admission = Admission::new(1, 10);
        let mut first = admission.enter(A).unwrap();
        let mut place = is_in(&mut first);
        let mut waiting = vec![(A, admission.enter(A).unwrap()), (A, admission.enter(A).unwrap())];
        waiting.extend([(B, admission.enter(B).unwrap()), (B, admission.enter(B).unwrap())]);
        let mut order = Vec::new();
        while !waiting.is_empty() {
            place = None;
            let at = waiting.iter_mut().position(|(_, ticket)| {
                place = is_in(ticket);
                place.is_some()
            });
            order.push(waiting.remove(at.unwrap()).0);
        }
        assert_eq!(order, [A, B, A, B]);
        drop(place);
        assert_eq!(admission.occupancy(), Occupancy { running: 0, waiting: 0, is_full: false });
    }

    #[test]
    fn what_waits_on_disk_takes_turns_with_who_waits_here_and_is_never_turned_away() {
        let admission = Admission::new(1, 3);
        let mut first = admission.enter(A).unwrap();
        let mut place = is_in(&mut first);
        let mut waiting: Vec<_> = (0..2).map(|_| ("here", admission.enter(A).unwrap())).collect();
        waiting.push(("other", admission.enter(B).unwrap()));
        assert_eq!(admission.enter(A).unwrap_err(), NoPlace::Full);
        waiting.extend((0..3).map(|_| ("disk", admission.line_up(A).unwrap())));
        assert_eq!(admission.occupancy().waiting, 3);
        let mut order = Vec::new();
        while !waiting.is_empty() {
            place = None;
            let at = waiting.iter_mut().position(|(_, ticket)| {
                place = is_in(ticket);
                place.is_some()
            });
            order.push(waiting.remove(at.unwrap()).0);
        }
        assert_eq!(order, ["here", "other", "disk", "here", "disk", "disk"]);
        drop(place);
    }

    #[test]
    fn whoever_gives_up_waiting_holds_up_nobody() {
        let admission = Admission::new(1, 2);
        let mut first = admission.enter(A).unwrap();
        let place = is_in(&mut first).unwrap();
        let gone = admission.enter(A).unwrap();
        let mut stays = admission.enter(B).unwrap();
        drop(gone);
        assert_eq!(admission.occupancy().waiting, 1);
        drop(place);
        assert!(is_in(&mut stays).is_some());
    }

    #[test]
    fn a_place_that_comes_when_nobody_is_there_any_more_goes_to_the_next() {
        let admission = Admission::new(1, 2);
        let mut first = admission.enter(A).unwrap();
        let place = is_in(&mut first).unwrap();
        let second = admission.enter(A).unwrap();
        let mut third = admission.enter(A).unwrap();
        // Granted, and never looked at.
        drop(place);
        drop(second);
        assert!(is_in(&mut third).is_some());
        assert_eq!(admission.occupancy(), Occupancy { running: 0, waiting: 0, is_full: false });
    }

    #[tokio::test]
    async fn nobody_waits_for_what_will_not_come() {
        let admission = Admission::new(1, 2);
        let first = admission.enter(A).unwrap().wait().await.unwrap();
        let second = admission.enter(A).unwrap();
        admission.close();
        assert_eq!(second.wait().await.unwrap_err(), NoPlace::Closed);
        assert_eq!(admission.enter(A).unwrap_err(), NoPlace::Closed);
        drop(first);
    }
}
