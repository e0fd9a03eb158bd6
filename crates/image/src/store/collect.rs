//! Removing what no name stands for.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::record::Record;
use crate::store::claim::remove_whatever;
use crate::store::held::Unheld;
use crate::store::lock::Lock;
use crate::store::quota::size_of;
use crate::store::{Kind, SENDING, STAGING, Store, StoreError, at, names_in, random};

/// What a collection did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// How many things were removed.
    pub removed: u64,
    /// The bytes they took.
    pub freed: u64,
    /// How many things were kept only because somebody runs on them.
    pub in_use: u64,
}

impl Store {
    /// Removes everything that no name stands for, and what killed processes have left. Fails when somebody is adding. What cannot be removed
    /// keeps nothing else from it: a disk may be so full that there is room only once others are gone. Why the first could not is told in the end.
    pub fn collect(&self) -> Result<Collected, StoreError> {
        let _alone = Lock::alone_now(&self.path.join("lock"))?.ok_or(StoreError::Busy)?;
        // All records are read before anything is removed: one that cannot be read might stand for anything.
        let kept = self.reachable()?;
        let mut collected = Collected::default();
        let mut failed = None;
        let mut go_on_after = |done: Result<(), StoreError>| {
            if let Err(error) = done {
                failed.get_or_insert(error);
            }
        };
        // What takes no room to remove goes first.
        [SENDING, STAGING].into_iter().for_each(|directory| go_on_after(self.clear(directory)));
        for kind in Kind::ALL {
            let all = self.all(kind).unwrap_or_else(|error| {
                go_on_after(Err(error));
                Vec::new()
            });
            for digest in all.into_iter().filter(|digest| !kept.contains(&(kind, *digest))) {
                go_on_after(self.collect_one(kind, &digest, &mut collected));
            }
        }
        go_on_after(self.collect_proofs());
        failed.map_or(Ok(collected), Err)
    }

    fn clear(&self, directory: &str) -> Result<(), StoreError> {
        let directory = self.path.join(directory);
        let removed: Vec<_> = names_in(&directory)?.iter().map(|name| remove_whatever(&directory.join(name))).collect();
        removed.into_iter().collect()
    }

    /// Everything that names stand for.
    pub(crate) fn reachable(&self) -> Result<BTreeSet<(Kind, Digest)>, StoreError> {
        let mut kept = BTreeSet::new();
        for name in self.names()? {
            if let Some(record) = self.record(&name)? {
                kept.extend(record.things());
            }
        }
        Ok(kept)
    }

    fn collect_one(&self, kind: Kind, digest: &Digest, collected: &mut Collected) -> Result<(), StoreError> {
        let place = self.place(kind, digest);
        let unheld = self.unheld(kind, digest)?;
        if let Unheld::No = unheld {
            collected.in_use += 1;
            return Ok(());
        }
        let freed = size_of(&place, kind == Kind::Blob)?;
        self.throw_away(kind, digest)?;
        collected.freed += freed;
        collected.removed += 1;
        Ok(())
    }

    /// Removes a thing. It is gone at once and as a whole, though its parts may take longer.
    pub(super) fn throw_away(&self, kind: Kind, digest: &Digest) -> Result<(), StoreError> {
        let place = self.place(kind, digest);
        // A file goes as a whole wherever it is, and another name for it may be what there is no room for.
        if kind == Kind::Blob {
            return remove_whatever(&place);
        }
        let gone = self.path.join(STAGING).join(format!("gone-{:032x}", random()?));
        std::fs::rename(&place, &gone).map_err(at("rename", &place))?;
        remove_whatever(&gone)
    }

    /// What is written down about an image.
    pub fn record(&self, name: &crate::store::ImageName) -> Result<Option<Record>, StoreError> {
        let Some(bytes) = self.read_name(name)? else { return Ok(None) };
        let damaged = || StoreError::Damaged(self.path.join("names").join(name.to_string()));
        Record::decode(&bytes).map(Some).ok_or_else(damaged)
    }
}
