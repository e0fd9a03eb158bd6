//! Somebody who has a key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use firebox_engine::Partition;
use firebox_job::Grant;

use super::account::{Account, Spent};
use super::book::Entry;
use super::key::{Fingerprint, KeyId};
use crate::admission::{Bounds, Owner};

/// Somebody who has a key: what it grants, and what they have had of that. One for each key, as long as the service runs.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(super) id: KeyId,
    pub(super) fingerprint: Fingerprint,
    /// The id as a text: what jobs are filed under. A new key of the same name has another.
    pub(crate) name: Arc<str>,
    pub(crate) partition: Arc<Partition>,
    pub(crate) grant: Grant,
    account: Account,
    is_revoked: AtomicBool,
}

impl Holder {
    pub(super) fn of(entry: &Entry) -> Holder {
        let name = entry.id.to_string();
        Holder {
            id: entry.id,
            fingerprint: entry.fingerprint.clone(),
            partition: Arc::new(Partition::named(&name)),
            name: name.into(),
            grant: entry.grant.clone(),
            account: Account::default(),
            is_revoked: AtomicBool::new(entry.revoked.is_some()),
        }
    }

    /// Whose turn it is when theirs comes.
    pub(crate) fn owner(&self) -> Owner {
        let running = self.grant.running.map(|most| most.get() as usize);
        let waiting = self.grant.waiting.map(|most| most as usize);
        // Zero is everybody, where there are no keys.
        Owner { number: self.id.number() + 1, bounds: Bounds { running, waiting, shares: true } }
    }

    pub(crate) fn is_revoked(&self) -> bool {
        self.is_revoked.load(Ordering::Relaxed)
    }

    pub(super) fn revoke(&self) {
        self.is_revoked.store(true, Ordering::Relaxed);
    }

    /// Counts a request, or says how long it takes until there may be one.
    pub(crate) fn ask(&self) -> Result<(), Duration> {
        self.grant.rate.map_or(Ok(()), |rate| self.account.ask(rate, Instant::now()))
    }

    /// Whether a job may begin, or how long it takes until there is CPU time again.
    pub(crate) fn has_cpu(&self) -> Result<(), Duration> {
        self.grant.cpu_per_day.map_or(Ok(()), |per_day| self.account.has_cpu(per_day, SystemTime::now()))
    }

    /// Takes up what their jobs had taken before.
    pub(super) fn recall(&self, spent: Spent) {
        self.account.recall(spent);
    }

    /// What their jobs have taken, if that is to be known later.
    pub(super) fn spent(&self) -> Option<Spent> {
        self.grant.cpu_per_day.map(|_| self.account.spent())
    }

    /// CPU time that a job of theirs has taken.
    pub(crate) fn spend(&self, cpu: Duration) {
        self.account.spend(cpu, SystemTime::now());
    }
}
