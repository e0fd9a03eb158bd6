//! How much the store may take, and how much it does.
//!
//! Counted anew each time it is asked for: what is there says its size, and who makes something says beforehand how
//! much that may come to. So nothing can drift, and processes that add at the same time cannot exceed it together.

use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::store::claim::{CLAIM, SIZE};
use crate::store::lock::Lock;
use crate::store::{Kind, Store, StoreError, at, names_in};

impl Store {
    /// Bytes that everything in it takes.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        let mut sum = 0;
        for kind in Kind::ALL {
            for digest in self.all(kind)? {
                sum += size_of(&self.place(kind, &digest), kind == Kind::Blob)?;
            }
        }
        Ok(sum)
    }

    /// Writes a reservation down, by `write`, if there is room for it.
    pub(super) fn reserve(
        &self,
        bytes: u64,
        claim: &Path,
        write: impl FnOnce(String) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let Some(quota) = self.quota else { return Ok(()) };
        let _counting = Lock::alone(&self.path.join("quota"))?;
        let needed = self.bytes()? + self.reserved_but(claim)? + bytes;
        if quota < needed {
            return Err(StoreError::Quota { needed, quota });
        }
        write(bytes.to_string()).map_err(at("write", claim))
    }

    /// What others are making, and what they left when they were killed.
    fn reserved_but(&self, mine: &Path) -> Result<u64, StoreError> {
        let staging = self.path.join("staging");
        let mut sum = 0;
        for name in names_in(&staging)? {
            let claim = staging.join(format!("{name}{CLAIM}"));
            if name.ends_with(CLAIM) {
                let path = staging.join(&name);
                sum += if path == mine { 0 } else { reservation(&path)? };
            } else if !claim.exists() {
                // A transfer that broke off.
                sum += size_of(&staging.join(&name), true)?;
            }
        }
        Ok(sum)
    }
}

/// What a claim reserves; nothing if nobody holds it any more.
fn reservation(claim: &Path) -> Result<u64, StoreError> {
    let file = match std::fs::File::open(claim) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(at("open", claim)(error)),
    };
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return Ok(0);
    }
    Ok(io::read_to_string(file).map_err(at("read", claim))?.trim().parse().unwrap_or(0))
}

/// What a thing takes. Something that vanishes meanwhile takes nothing.
pub(super) fn size_of(path: &Path, is_file: bool) -> Result<u64, StoreError> {
    let size = if is_file {
        std::fs::metadata(path).map(|metadata| metadata.len().next_multiple_of(4096))
    } else {
        let text = std::fs::read_to_string(path.join(SIZE));
        text.and_then(|text| text.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into()))
    };
    match size {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        size => size.map_err(at("read the size of", path)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::digest::Digest;
    use crate::store::{Claimed, Draft};

    fn draft<'s>(store: &'s Store, content: &[u8]) -> Draft<'s> {
        match store.claim(Kind::Blob, Digest::of(content)).unwrap() {
            Claimed::Draft(draft) => draft,
            Claimed::There => panic!("it is there"),
        }
    }

    #[test]
    fn two_who_add_at_once_cannot_exceed_the_quota_together() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store"), Some(100_000)).unwrap();
        let (one, other) = (draft(&store, b"1"), draft(&store, b"2"));
        one.reserve(60_000).unwrap();
        assert!(matches!(other.reserve(60_000), Err(StoreError::Quota { needed: 120_000, quota: 100_000 })));
        other.reserve(40_000).unwrap();
        // Asking again replaces what was asked for before.
        one.reserve(50_000).unwrap();
        drop(one);
        other.reserve(100_000).unwrap();
    }

    #[test]
    fn what_is_there_counts_and_so_does_what_broke_off() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store"), Some(20_000)).unwrap();
        let one = draft(&store, b"1");
        one.blob().unwrap().write_all(&[1; 5000]).unwrap();
        one.commit(5000).unwrap();
        assert_eq!(store.bytes().unwrap(), 8192);
        let broken = draft(&store, b"2");
        broken.blob().unwrap().write_all(&[1; 5000]).unwrap();
        drop(broken);
        let third = draft(&store, b"3");
        assert!(matches!(third.reserve(4000), Err(StoreError::Quota { needed: 20_384, .. })));
        third.reserve(3000).unwrap();
    }
}
