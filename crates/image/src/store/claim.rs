//! Making a thing, by one at a time.
//!
//! ```text
//! claim --there already--> There
//!   |
//!   `--lock--> Draft --commit--> there, for ever
//!                `--drop, or killed--> a blob's bytes wait to be gone on with, anything else is begun anew
//! ```

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::syncfs;

use crate::digest::Digest;
use crate::store::lock::Lock;
use crate::store::{Kind, Store, StoreError, at, sync_directory};

/// What became of a claim.
#[derive(Debug)]
pub(crate) enum Claimed<'s> {
    /// It is there.
    There,
    /// It is ours to make.
    Draft(Draft<'s>),
}

/// A thing in the making. Nobody else makes the same as long as this lives.
#[derive(Debug)]
pub(crate) struct Draft<'s> {
    store: &'s Store,
    kind: Kind,
    digest: Digest,
    /// Says how many bytes are reserved.
    claim: Lock,
    claim_path: PathBuf,
    path: PathBuf,
    /// The directory it is made in. Opened before anything is written there: what could not be written to the disk later
    /// is told to who had the filesystem open by then.
    directory: Option<File>,
    is_committed: bool,
}

/// In a directory that is kept: how many bytes it takes. Also what is locked while a tree is in use.
pub(super) const SIZE: &str = "size";
/// How the name of a claim ends.
pub(super) const CLAIM: &str = ".claim";

impl Store {
    /// Claims a thing that is to be made; waits while somebody else makes it. The caller holds the store.
    pub(crate) fn claim(&self, kind: Kind, digest: Digest) -> Result<Claimed<'_>, StoreError> {
        if self.has(kind, &digest) {
            return Ok(Claimed::There);
        }
        let path = self.path.join("staging").join(format!("{}-{}", kind.directory(), digest.hex()));
        let claim_path = PathBuf::from(format!("{}{CLAIM}", path.display()));
        let claim = Lock::alone(&claim_path)?;
        let mut draft =
            Draft { store: self, kind, digest, claim, claim_path, path, directory: None, is_committed: false };
        // Somebody else may have finished it in the meantime; then the draft has nothing to do but go.
        if self.has(kind, &digest) {
            return Ok(Claimed::There);
        }
        draft.begin()?;
        Ok(Claimed::Draft(draft))
    }
}

impl Draft<'_> {
    fn begin(&mut self) -> Result<(), StoreError> {
        if self.kind == Kind::Blob {
            return Ok(());
        }
        remove_whatever(&self.path)?;
        DirBuilder::new().mode(0o700).create(&self.path).map_err(at("make", &self.path))?;
        self.directory = Some(File::open(&self.path).map_err(at("open", &self.path))?);
        Ok(())
    }

    /// Where it is made: a directory, or for a blob a file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of a blob that are there already, and more to come.
    pub(crate) fn blob(&self) -> Result<File, StoreError> {
        let open = File::options().read(true).append(true).create(true).open(&self.path);
        open.map_err(at("open", &self.path))
    }

    /// Asks for this many bytes altogether.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), StoreError> {
        self.store.reserve(bytes, &self.claim_path, |text| {
            let mut file = self.claim.file();
            rustix::fs::ftruncate(file, 0)?;
            rustix::fs::seek(file, rustix::fs::SeekFrom::Start(0))?;
            file.write_all(text.as_bytes())
        })
    }

    /// It is whole: from now on it is there, under its digest. `bytes` is what it takes.
    pub(crate) fn commit(mut self, bytes: u64) -> Result<(), StoreError> {
        let io = |path: &Path| at("write out", path);
        match &self.directory {
            None => {
                if let Err(error) = File::open(&self.path).and_then(|file| file.sync_all()) {
                    // What the disk did not take is in memory still, and counts as written from now on: whoever went on with it
                    // would find it right, and be told that it is on the disk.
                    // Should it not go either, that is not what has to be told.
                    let _ = remove_whatever(&self.path);
                    return Err(io(&self.path)(error));
                }
            }
            Some(directory) => {
                let size = self.path.join(SIZE);
                std::fs::write(&size, bytes.to_string()).map_err(at("write", &size))?;
                // One call for all of a layer's files: one by one they would take longer than all the rest.
                syncfs(directory).map_err(|errno| io(&self.path)(errno.into()))?;
            }
        }
        let place = self.store.place(self.kind, &self.digest);
        std::fs::rename(&self.path, &place).map_err(at("rename", &self.path))?;
        self.is_committed = true;
        sync_directory(&self.store.path.join(self.kind.directory()))
    }

    /// It is not what it should have been: nothing of it is of use.
    pub(crate) fn discard(self) -> Result<(), StoreError> {
        remove_whatever(&self.path)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // What stays behind when this fails is removed by the next who claims it, or who collects.
        if !self.is_committed && self.kind != Kind::Blob {
            let _ = remove_whatever(&self.path);
        }
        let _ = std::fs::remove_file(&self.claim_path);
    }
}

/// Removes a file, or a directory with all that is in it, if it is there.
pub(crate) fn remove_whatever(path: &Path) -> Result<(), StoreError> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store"), None).unwrap();
        (directory, store)
    }

    fn draft(store: &Store, kind: Kind, digest: Digest) -> Draft<'_> {
        match store.claim(kind, digest).unwrap() {
            Claimed::Draft(draft) => draft,
            Claimed::There => panic!("it is there"),
        }
    }

    fn staged(store: &Store) -> Vec<String> {
        super::super::names_in(&store.path.join("staging")).unwrap()
    }

    #[test]
    fn a_thing_is_there_once_it_was_committed_and_not_before() {
        let (_directory, store) = store();
        let digest = Digest::of(b"x");
        let making = draft(&store, Kind::Layer, digest);
        std::fs::write(making.path().join("index"), "i").unwrap();
        assert!(!store.has(Kind::Layer, &digest));
        making.commit(1).unwrap();

        assert!(store.has(Kind::Layer, &digest));
        assert!(matches!(store.claim(Kind::Layer, digest).unwrap(), Claimed::There));
        assert_eq!(staged(&store), [""; 0]);
    }

    #[test]
    fn who_wants_the_same_waits_and_finds_it_made() {
        let (_directory, store) = store();
        let digest = Digest::of(b"x");
        let making = draft(&store, Kind::Tree, digest);
        std::thread::scope(|scope| {
            let (begun, waiting) = channel();
            let other = scope.spawn({
                let store = &store;
                move || {
                    begun.send(()).unwrap();
                    matches!(store.claim(Kind::Tree, digest).unwrap(), Claimed::There)
                }
            });
            waiting.recv().unwrap();
            making.commit(0).unwrap();
            assert!(other.join().unwrap());
        });
        assert_eq!(staged(&store), [""; 0]);
    }

    #[test]
    fn a_transfer_that_broke_off_is_gone_on_with_and_nothing_else_is() {
        let (_directory, store) = store();
        let digest = Digest::of(b"abc");
        let first = draft(&store, Kind::Blob, digest);
        first.blob().unwrap().write_all(b"ab").unwrap();
        drop(first);
        let second = draft(&store, Kind::Blob, digest);
        let mut file = second.blob().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 2);
        file.write_all(b"c").unwrap();
        second.commit(3).unwrap();
        assert_eq!(std::fs::read(store.place(Kind::Blob, &digest)).unwrap(), b"abc");

        let third = draft(&store, Kind::Layer, digest);
        std::fs::write(third.path().join("0"), "half").unwrap();
        // As if it had been killed: neither is removed.
        let (path, claim) = (third.path.clone(), third.claim_path.clone());
        std::mem::forget(third);
        // The descriptor that was forgotten still holds the lock, which no killed process does.
        std::fs::remove_file(claim).unwrap();
        let fourth = draft(&store, Kind::Layer, digest);
        assert_eq!(fourth.path(), path);
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
    }
}
