//! How much the store may take, and how much it does.
//!
//! Counted anew each time it is asked for: what is there says its size, and who makes something says beforehand how
//! much that may come to. So nothing can drift, and processes that add at the same time cannot exceed it together.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::store::claim::{CLAIM, SIZE, remove_whatever};
use crate::store::lock::Lock;
use crate::store::proofs::PROOFS;
use crate::store::{Kind, Store, StoreError, at, names_in};
use crate::tree::BLOCK;

impl Store {
    /// Bytes that everything in it takes.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        let mut sum = 0;
        for kind in Kind::ALL {
            for digest in self.all(kind)? {
                sum += size_of(&self.place(kind, &digest), kind == Kind::Blob)?;
            }
        }
        for directory in ["names", PROOFS].map(|name| self.path.join(name)) {
            for name in names_in(&directory)? {
                sum += size_of(&directory.join(name), true)?;
            }
        }
        Ok(sum)
    }

    /// Writes a reservation down, by `write`, if there is room for it. The caller holds the store.
    pub(super) fn reserve(
        &self,
        bytes: u64,
        claim: &Path,
        write: impl FnOnce(String) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let Some(quota) = self.quota else { return Ok(()) };
        let _counting = Lock::alone(&self.path.join("quota"))?;
        let needed = self.bytes()?.saturating_add(self.staged_but(claim)?).saturating_add(bytes);
        if quota < needed {
            return Err(StoreError::Quota { needed, quota });
        }
        write(bytes.to_string()).map_err(at("write", claim))
    }

    /// What others are making, and what was left by those who were killed. Of that, what nobody can go on with is
    /// removed: it would count for nothing.
    fn staged_but(&self, mine: &Path) -> Result<u64, StoreError> {
        let staging = self.path.join("staging");
        let mut sum = 0u64;
        for name in names_in(&staging)? {
            let (path, claim) = (staging.join(&name), staging.join(format!("{name}{CLAIM}")));
            if name.ends_with(CLAIM) {
                sum = sum.saturating_add(if path == mine { 0 } else { reservation(&path)? });
            } else if claim != mine {
                sum = sum.saturating_add(left(&path, &claim, &name)?);
            }
        }
        Ok(sum)
    }
}

/// What a draft takes that may be nobody's any more. Of one that is somebody's, the claim says it.
fn left(path: &Path, claim: &Path, name: &str) -> Result<u64, StoreError> {
    // What is written as a whole: small, and there for a moment.
    if name.starts_with("file-") {
        return size_of(path, true);
    }
    // Whoever would make it waits until we are done with it.
    let Some(_ours) = Lock::alone_now(claim)? else { return Ok(0) };
    // A transfer that broke off is gone on with.
    let is_kept = name.starts_with(Kind::Blob.directory());
    let bytes = if is_kept { size_of(path, true) } else { remove_whatever(path).map(|()| 0) };
    remove_whatever(claim)?;
    bytes
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
    if !is_file
        && let Some(said) = std::fs::read_to_string(path.join(SIZE)).ok().and_then(|text| text.trim().parse().ok())
    {
        return Ok(said);
    }
    match usage(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        size => size.map_err(at("read the size of", path)),
    }
}

/// What is there takes, by looking at all of it. A file with several names is another's, too, who counts it.
fn usage(path: &Path) -> io::Result<u64> {
    let found = std::fs::symlink_metadata(path)?;
    let own = |found: &Metadata| found.len().next_multiple_of(BLOCK).max(found.blocks() * 512);
    let mut sum = if found.is_file() && 1 < found.nlink() { 0 } else { own(&found) };
    if found.is_dir() {
        for entry in std::fs::read_dir(path)? {
            sum += usage(&entry?.path())?;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::PathBuf;

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

    /// What a process leaves that is killed while it makes something.
    fn killed(draft: Draft<'_>) {
        let (path, claim) = (draft.path().to_owned(), PathBuf::from(format!("{}{CLAIM}", draft.path().display())));
        let kept = std::fs::read_dir(&path).map_or(Vec::new(), |entries| {
            entries
                .map(|entry| entry.unwrap())
                .map(|entry| (entry.path(), std::fs::read(entry.path()).unwrap()))
                .collect()
        });
        let is_directory = path.is_dir();
        drop(draft);
        if is_directory {
            std::fs::create_dir(path).unwrap();
        }
        kept.into_iter().for_each(|(path, content)| std::fs::write(path, content).unwrap());
        std::fs::write(claim, "100").unwrap();
    }

    #[test]
    fn what_killed_processes_left_counts_or_goes() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store"), Some(20_000)).unwrap();
        let broken = draft(&store, b"2");
        broken.blob().unwrap().write_all(&[1; 9000]).unwrap();
        killed(broken);
        let Claimed::Draft(layer) = store.claim(Kind::Layer, Digest::of(b"l")).unwrap() else { panic!("it is there") };
        std::fs::write(layer.path().join("0"), [1; 50_000]).unwrap();
        killed(layer);
        let gone = store.path().join("staging/gone-0");
        std::fs::create_dir(&gone).unwrap();
        std::fs::write(gone.join("0"), [1; 50_000]).unwrap();

        let other = draft(&store, b"3");
        assert!(matches!(other.reserve(8000), Err(StoreError::Quota { needed: 20_288, .. })));
        other.reserve(7000).unwrap();
        // What broke off, and the claim of the other.
        assert_eq!(names_in(&store.path().join("staging")).unwrap().len(), 2);
        // Who goes on with what is there asks for all of it.
        drop(other);
        draft(&store, b"2").reserve(20_000).unwrap();
    }

    #[test]
    fn a_size_that_cannot_be_read_is_found_out() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store"), None).unwrap();
        let Claimed::Draft(layer) = store.claim(Kind::Layer, Digest::of(b"l")).unwrap() else { panic!("it is there") };
        std::fs::write(layer.path().join("0"), [1; 50_000]).unwrap();
        layer.commit(50_000).unwrap();
        std::fs::write(store.place(Kind::Layer, &Digest::of(b"l")).join(SIZE), "").unwrap();
        assert!(50_000 < store.bytes().unwrap());
        assert_eq!(store.collect().unwrap().removed, 1);
    }
}
