//! What is there for all, in amounts, and how much of it one of them may hold.
//!
//! Where it is shared, nobody takes more than is left to the others: the first may fill half of it, the next half of what is left
//! then, and however much each wants, in one piece or in many, another still finds some.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use firebox_api::{Refusal, RefusalCode};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::admission::Owner;

/// So much of something.
#[derive(Debug)]
pub(crate) struct Commons {
    most: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    by_all: usize,
    /// Only of those who have taken something.
    by: HashMap<u64, usize>,
}

/// What somebody holds of it. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Part {
    commons: Arc<Commons>,
    owner: Owner,
    amount: usize,
}

/// Why there is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoMore {
    /// For nobody.
    Full,
    /// For this owner, who has taken as much as is left to others.
    Shared,
}

impl Commons {
    pub(crate) fn of(most: usize) -> Arc<Commons> {
        Arc::new(Commons { most, taken: Mutex::default(), freed: Notify::new() })
    }

    /// Nothing yet, for this owner.
    pub(crate) fn part(self: &Arc<Commons>, owner: Owner) -> Part {
        Part { commons: Arc::clone(self), owner, amount: 0 }
    }

    #[cfg(test)]
    pub(crate) fn taken_by_all(&self) -> usize {
        self.taken().by_all
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Makes it at least so large, at once or not at all.
    pub(crate) fn grow(&mut self, amount: usize) -> Result<(), NoMore> {
        let more = amount.saturating_sub(self.amount);
        if more == 0 {
            return Ok(());
        }
        let mut taken = self.commons.taken();
        let left = self.commons.most.checked_sub(taken.by_all + more).ok_or(NoMore::Full)?;
        let own = more + taken.by.get(&self.owner.number).copied().unwrap_or_default();
        // The last one may be taken by who has none.
        if self.owner.bounds.shares && left < own && 1 < own {
            return Err(NoMore::Shared);
        }
        taken.by_all += more;
        taken.by.insert(self.owner.number, own);
        self.amount = amount;
        Ok(())
    }

    /// The same, with as much time for others to give something back.
    pub(crate) async fn grow_within(&mut self, amount: usize, within: Duration) -> Result<(), NoMore> {
        let commons = Arc::clone(&self.commons);
        let mut why = NoMore::Full;
        let grown = async {
            loop {
                let freed = commons.freed.notified();
                match self.grow(amount) {
                    Ok(()) => return,
                    Err(no_more) => why = no_more,
                }
                freed.await;
            }
        };
        timeout(within, grown).await.map_err(|_| why)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.amount == 0 {
            return;
        }
        let mut taken = self.commons.taken();
        taken.by_all -= self.amount;
        if let Some(own) = taken.by.get_mut(&self.owner.number) {
            *own -= self.amount;
            if *own == 0 {
                taken.by.remove(&self.owner.number);
            }
        }
        drop(taken);
        self.commons.freed.notify_waiters();
    }
}

impl NoMore {
    /// In words: `what` there is no more of, in the plural.
    pub(crate) fn refusal(self, what: &str) -> Refusal {
        let message = match self {
            NoMore::Full => format!("too many {what} are on their way"),
            NoMore::Shared => format!("of the {what} on their way, this key has as many as are left to others"),
        };
        Refusal::new(RefusalCode::Full, message).with_hint("try again in a moment")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Bounds;

    fn owner(number: u64, shares: bool) -> Owner {
        Owner { number, bounds: Bounds { shares, ..Bounds::default() } }
    }

    fn grown(commons: &Arc<Commons>, owner: Owner, amount: usize) -> Result<Part, NoMore> {
        let mut part = commons.part(owner);
        part.grow(amount).map(|()| part)
    }

    #[test]
    fn all_of_it_is_there_for_one_who_shares_with_nobody() {
        let commons = Commons::of(10);
        let held = grown(&commons, owner(1, false), 10).unwrap();
        assert_eq!(grown(&commons, owner(2, false), 1).unwrap_err(), NoMore::Full);
        drop(held);
        assert!(grown(&commons, owner(2, false), 10).is_ok());
        assert_eq!(grown(&commons, owner(2, false), 11).unwrap_err(), NoMore::Full);
    }

    #[test]
    fn however_much_each_wants_another_finds_some() {
        let commons = Commons::of(1000);
        let mut held = Vec::new();
        let mut all_of = |number| {
            let before = held.len();
            let why = loop {
                match grown(&commons, owner(number, true), 1) {
                    Ok(part) => held.push(part),
                    Err(why) => break why,
                }
            };
            assert_eq!(why, NoMore::Shared);
            held.len() - before
        };
        assert_eq!([all_of(1), all_of(2), all_of(3)], [500, 250, 125]);
        assert_eq!(all_of(1), 0);
        held.clear();
        assert!(commons.taken().by.is_empty());
        assert_eq!(commons.taken().by_all, 0);
    }

    #[test]
    fn nobody_takes_more_in_one_piece_than_in_many() {
        let commons = Commons::of(1000);
        assert_eq!(grown(&commons, owner(1, true), 501).unwrap_err(), NoMore::Shared);
        let held = grown(&commons, owner(1, true), 500).unwrap();
        assert_eq!(grown(&commons, owner(2, true), 251).unwrap_err(), NoMore::Shared);
        drop(held);
        let single = Commons::of(1);
        let held = grown(&single, owner(1, true), 1).unwrap();
        assert_eq!(grown(&single, owner(2, true), 1).unwrap_err(), NoMore::Full);
        drop(held);
    }

    #[tokio::test]
    async fn who_waits_is_told_when_something_is_given_back() {
        let commons = Commons::of(10);
        let held = grown(&commons, owner(1, true), 5).unwrap();
        let mut part = commons.part(owner(1, true));
        assert_eq!(part.grow_within(1, Duration::from_millis(5)).await, Err(NoMore::Shared));
        let waits = part.grow_within(5, Duration::from_secs(60));
        let gives = async {
            tokio::task::yield_now().await;
            drop(held);
        };
        assert_eq!(tokio::join!(waits, gives).0, Ok(()));
    }

    #[test]
    fn a_part_grows_and_never_shrinks_before_it_goes() {
        let commons = Commons::of(10);
        let mut part = commons.part(owner(1, true));
        for amount in [3, 2, 5] {
            part.grow(amount).unwrap();
        }
        assert_eq!(part.grow(6), Err(NoMore::Shared));
        assert_eq!(commons.taken().by_all, 5);
        drop(part);
        assert_eq!(commons.taken().by_all, 0);
    }
}
