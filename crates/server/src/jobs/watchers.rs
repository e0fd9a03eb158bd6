//! Those who wait for a change of a job.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// For each job that somebody waits for: how many times it has changed meanwhile.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<HashMap<i64, watch::Sender<u64>>>);

/// One who waits. To be had before looking, so that no change falls between the two.
#[derive(Debug)]
pub(super) struct Watching {
    watchers: Arc<Watchers>,
    number: i64,
    /// There until this goes.
    changes: Option<watch::Receiver<u64>>,
}

impl Watchers {
    pub(super) fn watch(self: &Arc<Watchers>, number: i64) -> Watching {
        let changes = self.all().entry(number).or_insert_with(|| watch::Sender::new(0)).subscribe();
        Watching { watchers: Arc::clone(self), number, changes: Some(changes) }
    }

    /// The job has changed.
    pub(super) fn tell(&self, number: i64) {
        if let Some(sender) = self.all().get(&number) {
            sender.send_modify(|changes| *changes += 1);
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<i64, watch::Sender<u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watching {
    /// Returns when the job has changed since this was made, or since this returned last.
    pub(super) async fn changed(&mut self) {
        if let Some(changes) = &mut self.changes {
            // The other end goes after this one.
            let _ = changes.changed().await;
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut all = self.watchers.all();
        // Before the lock is let go: of two who leave at once, one is the last.
        self.changes = None;
        if all.get(&self.number).is_some_and(|sender| sender.receiver_count() == 0) {
            all.remove(&self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_who_waits_for_a_job_is_told_and_nobody_else() {
        let watchers = Arc::new(Watchers::default());
        let (mut first, mut second, other) = (watchers.watch(1), watchers.watch(1), watchers.watch(2));
        watchers.tell(1);
        watchers.tell(3);
        first.changed().await;
        second.changed().await;
        assert!(!other.changes.as_ref().unwrap().has_changed().unwrap());
        drop((first, second, other));
        assert!(watchers.all().is_empty());
    }

    #[test]
    fn nothing_is_left_of_those_who_leave_at_once() {
        let watchers = Arc::new(Watchers::default());
        for number in 0..2000 {
            let both = [watchers.watch(number), watchers.watch(number)];
            std::thread::scope(|scope| {
                for one in both {
                    scope.spawn(move || drop(one));
                }
            });
        }
        assert!(watchers.all().is_empty());
    }
}
