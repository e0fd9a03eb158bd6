//! What somebody runs on.
//!
//! A hold is a shared lock on the thing itself, by an open descriptor: it is given back when it is let go, and by the kernel
//! when the last process that has it is gone, however it went. Whoever removes something locks it alone for as long as that takes, and leaves
//! it where that cannot be had. So a hold that was given is on something whole, which stays whole as long as the hold
//! lives, and nobody who wants one waits for whoever collects or verifies everything.

use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::record::Record;
use crate::store::claim::SIZE;
use crate::store::lock::{Lock, Locked};
use crate::store::{ImageName, Kind, Store, StoreError};

/// An image that somebody runs on: its tree stays as it is as long as this lives, whatever becomes of its name.
#[derive(Debug)]
pub struct Held {
    record: Record,
    tree: PathBuf,
    _lock: Lock,
}

impl Held {
    /// Its root filesystem: a directory to be given to a cell, read-only.
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// What the tree is called by. The same digest is the same tree, also on another host.
    pub fn digest(&self) -> Digest {
        self.record.tree
    }

    /// What else is known of the image.
    pub fn record(&self) -> &Record {
        &self.record
    }
}

/// The filesystem image of an image, held likewise.
#[derive(Debug)]
pub struct HeldDisk {
    path: PathBuf,
    digest: Digest,
    _lock: Lock,
}

impl HeldDisk {
    /// Where it is: a file that a kernel mounts, to be opened for reading only.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The SHA-256 of that file.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// How often a name may come to stand for something else while we look.
const TRIES: u32 = 100;

impl Store {
    /// Holds the image of a name, for somebody to run on. `None` when there is no such name.
    pub fn hold(&self, name: &ImageName) -> Result<Option<Held>, StoreError> {
        let mut missing = None;
        for _ in 0..TRIES {
            let Some(record) = self.record(name)? else { return Ok(None) };
            let place = self.place(Kind::Tree, &record.tree);
            if let Some(lock) = Lock::shared_if_there(&place.join(SIZE))? {
                return Ok(Some(Held { tree: place.join("root"), record, _lock: lock }));
            }
            // It went after its name did, and the name may be there anew; or it went alone, which a repair does.
            if missing.replace(record.tree) == Some(record.tree) {
                return Err(StoreError::Damaged(place));
            }
        }
        Err(StoreError::Busy)
    }

    /// Holds a filesystem image that is there; the caller has seen to that, and holds the store.
    pub(crate) fn hold_disk(&self, tree: &Digest, path: PathBuf, digest: Digest) -> Result<HeldDisk, StoreError> {
        let place = self.place(Kind::Disk, tree);
        let lock = Lock::shared_if_there(&place.join(SIZE))?.ok_or(StoreError::Damaged(place))?;
        Ok(HeldDisk { path, digest, _lock: lock })
    }

    /// Whether somebody runs on the image of a name.
    pub fn is_held(&self, name: &ImageName) -> Result<bool, StoreError> {
        let Some(Record { tree, .. }) = self.record(name)? else { return Ok(false) };
        for kind in [Kind::Tree, Kind::Disk] {
            if let Unheld::No = self.unheld(kind, &tree)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Keeps others from holding a thing as long as the answer lives, unless somebody holds it already.
    pub(super) fn unheld(&self, kind: Kind, digest: &Digest) -> Result<Unheld, StoreError> {
        match kind {
            Kind::Tree | Kind::Disk => match Lock::alone_if_there(&self.place(kind, digest).join(SIZE))? {
                Locked::Ours(lock) => Ok(Unheld::Yes { _lock: Some(lock) }),
                Locked::Busy => Ok(Unheld::No),
                // Nobody can hold what has nothing to lock.
                Locked::Missing => Ok(Unheld::Yes { _lock: None }),
            },
            Kind::Blob | Kind::Layer => Ok(Unheld::Yes { _lock: None }),
        }
    }
}

/// Whether nobody holds a thing.
#[derive(Debug)]
pub(super) enum Unheld {
    /// Nobody does, or will.
    Yes { _lock: Option<Lock> },
    /// Somebody does.
    No,
}
