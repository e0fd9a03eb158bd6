//! Who may run now, and who waits: so many places, a bounded queue, and fairness between owners.
//!
//! Owners take turns: one with a thousand jobs in the queue delays another's first job by one job, not by a thousand. An
//! owner can have bounds of their own, and where there are several, none of them takes more of the queue than is left to
//! the others: however much one sends, another still finds room.
//!
//! Within an owner's turns, those who wait here take turns with the owner's jobs that wait on disk, of which one ticket at a time
//! stands here.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// Whose turn it is, and what they may have at once. The same for all jobs of one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) number: u64,
    pub(crate) bounds: Bounds,
}

impl Owner {
    /// Where there are no keys, and where somebody shows none.
    pub(crate) const NOBODY: Owner =
        Owner { number: 0, bounds: Bounds { running: None, waiting: None, shares: false } };
}

/// What one owner may have at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bounds {
    /// Jobs that run; beyond it the next one waits.
    pub(crate) running: Option<usize>,
    /// Jobs that wait; beyond it the next one is refused.
    pub(crate) waiting: Option<usize>,
    /// Whether the queue is there for others, too.
    pub(crate) shares: bool,
}

/// Places, and who waits for one.
#[derive(Debug)]
pub(crate) struct Admission {
    state: Mutex<State>,
    most_waiting: usize,
}

/// As long as a place is free, whoever waits is held back by bounds of their own.
#[derive(Debug)]
struct State {
    free: usize,
    running: usize,
    waiting: usize,
    /// Everybody who has a job here.
    lines: HashMap<u64, Line>,
    /// Those who wait, in the order of their turns.
    turns: VecDeque<u64>,
    next: u64,
    closed: bool,
}

/// What one owner has here.
#[derive(Debug)]
struct Line {
    running: usize,
    most_running: Option<usize>,
    /// In the order in which they came.
    queue: BTreeMap<u64, oneshot::Sender<Place>>,
    /// For jobs that wait on disk.
    from_disk: BTreeMap<u64, oneshot::Sender<Place>>,
    /// Whose turn it is when both wait.
    disk_is_next: bool,
}

/// Where those wait who are to be called up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// Here, with a client that waits too.
    Here,
    /// On disk.
    OnDisk,
}

/// There is no place, and no room in the queue; or there will not be one any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// Nobody finds room.
    Full,
    /// Others still find room: this owner has taken as much of the queue as is left.
    Shared,
    /// This owner may have no more jobs wait.
    Bound,
    /// It was waited for so long, and no longer.
    Late(Duration),
    Closed,
}

/// A place among those that run. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    owner: u64,
}

/// A place in the queue. Dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Ticket {
    admission: Arc<Admission>,
    owner: u64,
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
        let state = State {
            free: places,
            running: 0,
            waiting: 0,
            lines: HashMap::new(),
            turns: VecDeque::new(),
            next: 0,
            closed: false,
        };
        Arc::new(Admission { state: Mutex::new(state), most_waiting })
    }

    /// Takes a place, or one in the queue for it. Does not wait.
    pub(crate) fn enter(self: &Arc<Admission>, owner: Owner) -> Result<Ticket, NoPlace> {
        self.stand(owner, Wait::Here)
    }

    /// The same for an owner's jobs that wait on disk, where there is room for them.
    pub(crate) fn line_up(self: &Arc<Admission>, owner: Owner) -> Result<Ticket, NoPlace> {
        self.stand(owner, Wait::OnDisk)
    }

    fn stand(self: &Arc<Admission>, owner: Owner, wait: Wait) -> Result<Ticket, NoPlace> {
        let Owner { number: owner, bounds: Bounds { running, waiting, shares } } = owner;
        let mut state = self.state();
        if state.closed {
            return Err(NoPlace::Closed);
        }
        let (grant, granted) = oneshot::channel();
        let number = state.next;
        let own = state.lines.get(&owner).map_or(0, |line| line.queue.len());
        if state.has_room_for(owner) {
            state.begin(owner, running);
            // Its other end is in our hands.
            let _ = grant.send(self.place(owner));
        } else {
            if wait == Wait::Here {
                let left = self.most_waiting.saturating_sub(state.waiting);
                if waiting.is_some_and(|most| most <= own) {
                    return Err(NoPlace::Bound);
                }
                if left == 0 {
                    return Err(NoPlace::Full);
                }
                if shares && left <= own {
                    return Err(NoPlace::Shared);
                }
            }
            state.line_up(owner, running, wait, number, grant);
        }
        state.next += 1;
        Ok(Ticket { admission: Arc::clone(self), owner, number, granted })
    }

    /// Whether one more of this owner's would run at once.
    pub(crate) fn has_room_for(&self, owner: Owner) -> bool {
        self.state().has_room_for(owner.number)
    }

    /// Whether the only one that runs leaves a place in which one more of this owner's would run at once.
    pub(crate) fn has_room_beside_one(&self, owner: Owner) -> bool {
        let state = self.state();
        state.running == 1 && state.has_room_for(owner.number)
    }

    /// Lets nobody in any more, and sends away who waits.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.waiting = 0;
        state.turns.clear();
        for line in state.lines.values_mut() {
            line.queue.clear();
            line.from_disk.clear();
        }
        state.lines.retain(|_, line| line.running > 0);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    pub(crate) fn occupancy(&self) -> Occupancy {
        let state = self.state();
        let is_full = state.free == 0 && self.most_waiting <= state.waiting;
        Occupancy { running: state.running, waiting: state.waiting, is_full }
    }

    fn place(self: &Arc<Admission>, owner: u64) -> Place {
        Place { admission: Arc::clone(self), owner }
    }

    fn leave(self: &Arc<Admission>, owner: u64) {
        let next = {
            let mut state = self.state();
            state.end(owner);
            state.call_up()
        };
        if let Some((owner, grant)) = next {
            // Whoever has gone meanwhile gives the place back by dropping it, outside of the lock.
            drop(grant.send(self.place(owner)));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn line(&mut self, owner: u64, most_running: Option<usize>) -> &mut Line {
        let (queue, from_disk) = (BTreeMap::new(), BTreeMap::new());
        let line = || Line { running: 0, most_running, queue, from_disk, disk_is_next: false };
        self.lines.entry(owner).or_insert_with(line)
    }

    fn has_room_for(&self, owner: u64) -> bool {
        self.free > 0 && self.lines.get(&owner).is_none_or(Line::has_room)
    }

    fn begin(&mut self, owner: u64, most_running: Option<usize>) {
        self.free -= 1;
        self.running += 1;
        self.line(owner, most_running).running += 1;
    }

    fn end(&mut self, owner: u64) {
        self.free += 1;
        self.running -= 1;
        if let Some(line) = self.lines.get_mut(&owner) {
            line.running -= 1;
        }
        self.forget_if_gone(owner);
    }

    fn line_up(
        &mut self,
        owner: u64,
        most_running: Option<usize>,
        wait: Wait,
        number: u64,
        grant: oneshot::Sender<Place>,
    ) {
        let line = self.line(owner, most_running);
        let is_first = line.is_empty();
        match wait {
            Wait::Here => line.queue.insert(number, grant),
            Wait::OnDisk => line.from_disk.insert(number, grant),
        };
        self.waiting += usize::from(wait == Wait::Here);
        if is_first {
            self.turns.push_back(owner);
        }
    }

    /// Gives a place that is free to the first of the owner whose turn it is. Owners whose bounds hold them back keep theirs.
    fn call_up(&mut self) -> Option<(u64, oneshot::Sender<Place>)> {
        let has_room = |owner: &u64| self.lines.get(owner).is_some_and(Line::has_room);
        let at = self.turns.iter().position(has_room)?;
        let owner = self.turns.remove(at)?;
        let line = self.lines.get_mut(&owner)?;
        let (wait, grant) = line.call_up()?;
        line.running += 1;
        if !line.is_empty() {
            self.turns.push_back(owner);
        }
        self.waiting -= usize::from(wait == Wait::Here);
        self.free -= 1;
        self.running += 1;
        Some((owner, grant))
    }

    fn give_up(&mut self, owner: u64, number: u64) {
        let Some(line) = self.lines.get_mut(&owner) else { return };
        let was_here = line.queue.remove(&number).is_some();
        if !was_here && line.from_disk.remove(&number).is_none() {
            return;
        }
        let is_empty = line.is_empty();
        self.waiting -= usize::from(was_here);
        if is_empty {
            self.turns.retain(|waiting| *waiting != owner);
        }
        self.forget_if_gone(owner);
    }

    fn forget_if_gone(&mut self, owner: u64) {
        if self.lines.get(&owner).is_some_and(|line| line.running == 0 && line.is_empty()) {
            self.lines.remove(&owner);
        }
    }
}

impl Line {
    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.from_disk.is_empty()
    }

    fn call_up(&mut self) -> Option<(Wait, oneshot::Sender<Place>)> {
        let from_disk = !self.from_disk.is_empty() && (self.disk_is_next || self.queue.is_empty());
        self.disk_is_next = !from_disk;
        let (wait, queue) = match from_disk {
            true => (Wait::OnDisk, &mut self.from_disk),
            false => (Wait::Here, &mut self.queue),
        };
        queue.pop_first().map(|(_, grant)| (wait, grant))
    }

    fn has_room(&self) -> bool {
        self.most_running.is_none_or(|most| self.running < most)
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
        self.admission.state().give_up(self.owner, self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.leave(self.owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Owner = Owner { number: 1, bounds: Bounds { running: None, waiting: None, shares: false } };
    const B: Owner = Owner { number: 2, ..A };

    fn bounded(number: u64, running: Option<usize>, waiting: Option<usize>) -> Owner {
        Owner { number, bounds: Bounds { running, waiting, shares: false } }
    }

    fn sharing(number: u64) -> Owner {
        Owner { number, bounds: Bounds { shares: true, ..Bounds::default() } }
    }

    /// Lets one owner enter until they are refused: how often it went well, and why it did not in the end.
    fn flood(admission: &Arc<Admission>, owner: Owner) -> (Vec<Ticket>, NoPlace) {
        let mut tickets = Vec::new();
        loop {
            match admission.enter(owner) {
                Ok(ticket) => tickets.push(ticket),
                Err(why) => return (tickets, why),
            }
        }
    }

    fn is_in(ticket: &mut Ticket) -> Option<Place> {
        ticket.granted.try_recv().ok()
    }

    /// Gives this place up, and then each that comes of it: who had them, in their order.
    fn order_of_turns<T>(place: Place, mut waiting: Vec<(T, Ticket)>) -> Vec<T> {
        let mut place = Some(place);
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(place.take());
            let at = waiting.iter_mut().position(|(_, ticket)| {
                place = is_in(ticket);
                place.is_some()
            });
            order.push(waiting.remove(at.unwrap()).0);
        }
        order
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
        let place = is_in(&mut first).unwrap();
        let mut waiting = vec![(A, admission.enter(A).unwrap()), (A, admission.enter(A).unwrap())];
        waiting.extend([(B, admission.enter(B).unwrap()), (B, admission.enter(B).unwrap())]);
        assert_eq!(order_of_turns(place, waiting), [A, B, A, B]);
        assert_eq!(admission.occupancy(), Occupancy { running: 0, waiting: 0, is_full: false });
    }

    #[test]
    fn what_waits_on_disk_takes_turns_with_who_waits_here_and_is_never_turned_away() {
        let admission = Admission::new(1, 3);
        let mut first = admission.enter(A).unwrap();
        let place = is_in(&mut first).unwrap();
        let mut waiting: Vec<_> = (0..2).map(|_| ("here", admission.enter(A).unwrap())).collect();
        waiting.push(("other", admission.enter(B).unwrap()));
        assert_eq!(admission.enter(A).unwrap_err(), NoPlace::Full);
        waiting.extend((0..3).map(|_| ("disk", admission.line_up(A).unwrap())));
        assert_eq!(admission.occupancy().waiting, 3);
        assert_eq!(order_of_turns(place, waiting), ["here", "other", "disk", "here", "disk", "disk"]);
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

    #[test]
    fn an_owner_at_their_bound_waits_beside_a_free_place_that_others_take() {
        let admission = Admission::new(2, 10);
        let one = bounded(1, Some(1), None);
        let mut first = admission.enter(one).unwrap();
        let place = is_in(&mut first).unwrap();
        let mut second = admission.enter(one).unwrap();
        assert!(is_in(&mut second).is_none(), "two of them run");
        let mut other = admission.enter(B).unwrap();
        let others = is_in(&mut other).expect("a place is free");
        drop(others);
        assert!(is_in(&mut second).is_none(), "the place that another left does not help");
        assert_eq!(admission.occupancy(), Occupancy { running: 1, waiting: 1, is_full: false });
        drop(place);
        let place = is_in(&mut second).expect("their own place does");
        drop(place);
        assert_eq!(admission.occupancy(), Occupancy { running: 0, waiting: 0, is_full: false });
        assert!(admission.state().lines.is_empty(), "who has nothing here is forgotten");
    }

    #[test]
    fn whoever_is_held_back_by_a_bound_keeps_their_turn() {
        let admission = Admission::new(2, 10);
        let one = bounded(1, Some(1), None);
        let (mut first, mut other) = (admission.enter(one).unwrap(), admission.enter(B).unwrap());
        let (own, others) = (is_in(&mut first).unwrap(), is_in(&mut other).unwrap());
        let mut held = admission.enter(one).unwrap();
        let (mut next, mut last) = (admission.enter(B).unwrap(), admission.enter(B).unwrap());
        drop(others);
        let others = is_in(&mut next).expect("the one before is held back");
        assert!(is_in(&mut held).is_none());
        drop(own);
        assert!(is_in(&mut held).is_some(), "it was first in the queue");
        drop(others);
        assert!(is_in(&mut last).is_some());
    }

    #[test]
    fn more_than_may_wait_is_refused_to_this_owner_alone() {
        let admission = Admission::new(1, 10);
        let place = is_in(&mut admission.enter(B).unwrap());
        let (tickets, why) = flood(&admission, bounded(1, None, Some(2)));
        assert_eq!((tickets.len(), why), (2, NoPlace::Bound));
        assert!(admission.enter(B).is_ok());
        assert_eq!(admission.enter(bounded(3, None, Some(0))).unwrap_err(), NoPlace::Bound);
        drop(place);
    }

    #[test]
    fn nobody_takes_more_of_the_queue_than_is_left_to_others() {
        let admission = Admission::new(1, 1000);
        let mut first = admission.enter(sharing(1)).unwrap();
        let place = is_in(&mut first).unwrap();
        let (mut first, why) = flood(&admission, sharing(1));
        assert_eq!((first.len(), why), (500, NoPlace::Shared));
        let (second, _) = flood(&admission, sharing(2));
        let (third, _) = flood(&admission, sharing(3));
        assert_eq!((second.len(), third.len()), (250, 125));
        // Each of many finds room, and takes turns with who came with a thousand.
        let mut late = admission.enter(sharing(4)).unwrap();
        drop(place);
        let mut others: Vec<Ticket> = first.drain(..).chain(second).chain(third).collect();
        let mut before = 0;
        while is_in(&mut late).is_none() {
            let place = others.iter_mut().find_map(is_in).expect("somebody has the place");
            before += 1;
            drop(place);
        }
        assert_eq!(before, 3, "so many jobs of others came before");
        // Alone, one takes all of it.
        let admission = Admission::new(1, 1000);
        let (tickets, why) = flood(&admission, A);
        assert_eq!((tickets.len(), why), (1001, NoPlace::Full));
    }

    #[test]
    fn whatever_is_done_in_whatever_order_the_numbers_add_up() {
        let admission = Admission::new(3, 8);
        let mut seed = 7_u64;
        let mut dice = |sides: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % sides
        };
        let (mut tickets, mut places): (Vec<Ticket>, Vec<Place>) = (Vec::new(), Vec::new());
        for _ in 0..20_000 {
            match dice(4) {
                0 | 1 => {
                    let number = dice(4);
                    let owner = match number {
                        0 => bounded(0, Some(1), None),
                        1 => bounded(1, Some(2), Some(2)),
                        number => sharing(number),
                    };
                    tickets.extend(if dice(4) == 0 { admission.line_up(owner) } else { admission.enter(owner) });
                }
                2 if !tickets.is_empty() => drop(tickets.swap_remove(dice(tickets.len() as u64) as usize)),
                _ if !places.is_empty() => drop(places.swap_remove(dice(places.len() as u64) as usize)),
                _ => {}
            }
            places.extend(tickets.iter_mut().filter_map(is_in));
            let state = admission.state();
            assert_eq!((state.running, state.free), (places.len(), 3 - places.len()));
            let queued: usize = state.lines.values().map(|line| line.queue.len()).sum();
            assert!(state.waiting == queued && queued <= 8);
            assert_eq!(state.lines.values().map(|line| line.running).sum::<usize>(), places.len());
            let waits = |owner: &&u64| !state.lines[owner].is_empty();
            assert_eq!(state.turns.iter().filter(waits).count(), state.turns.len());
            assert_eq!(state.lines.values().filter(|line| !line.is_empty()).count(), state.turns.len());
            let could_run = state.turns.iter().any(|owner| state.lines[owner].has_room());
            assert!(state.free == 0 || !could_run, "a place is free, and somebody waits for it");
        }
    }
}
