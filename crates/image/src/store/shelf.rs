//! A directory of things that are called by a digest, and of names that stand for them: kernels, snapshots.
//!
//! ```text
//! KEPT/HEX    a thing, which never changes
//! names/NAME  which of them a name stands for
//! staging/    what is being made, and what is being thrown away
//! format, lock
//! ```
//!
//! What is there is there as a whole: it is made in `staging`, written out to the disk, and then renamed; the name comes last. Whoever adds holds `lock` shared, and whoever
//! removes what has no name has it alone, or leaves that to the next.

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::store::lock::Lock;
use crate::store::{
    STAGING, StoreError, at, names_in, open_directories, random, remove_whatever, sync_directory, write_whole,
};

/// The directory, opened.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    path: PathBuf,
    /// What the directory of things is called.
    kept: &'static str,
}

const NAMES: &str = "names";
const LOCK: &str = "lock";

impl Shelf {
    /// Opens the directory, and makes it if there is none. `others` are directories in it besides.
    pub(crate) fn open(
        path: &Path,
        kept: &'static str,
        others: &[&str],
        format: &'static str,
    ) -> Result<Shelf, StoreError> {
        open_directories(path, &[&[kept, NAMES, STAGING], others].concat(), format)?;
        Ok(Shelf { path: path.to_owned(), kept })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All names, sorted.
    pub(crate) fn names(&self) -> Result<Vec<String>, StoreError> {
        names_in(&self.path.join(NAMES))
    }

    /// Where it is written what a name stands for.
    pub(crate) fn name_place(&self, name: &str) -> PathBuf {
        self.path.join(NAMES).join(name)
    }

    /// Where a thing is, or would be.
    pub(crate) fn place(&self, digest: &Digest) -> PathBuf {
        self.path.join(self.kept).join(digest.hex())
    }

    /// Has the disk know which things there are.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        sync_directory(&self.path.join(self.kept))
    }

    /// Keeps everything from being swept as long as this lives.
    pub(crate) fn enter(&self) -> Result<Lock, StoreError> {
        Lock::shared(&self.path.join(LOCK))
    }

    /// Where something may be made that nobody else makes. The caller has entered.
    pub(crate) fn staged(&self, what: &str) -> Result<PathBuf, StoreError> {
        Ok(self.path.join(STAGING).join(format!("{what}-{:032x}", random()?)))
    }

    /// Puts a file there, or another in its place, as a whole.
    pub(crate) fn write(&self, path: &Path, content: &[u8]) -> Result<(), StoreError> {
        write_whole(&self.path, path, content)
    }

    /// Has a name stand for something, whatever it stood for before. The caller has entered.
    pub(crate) fn name(&self, name: &str, written: &[u8]) -> Result<(), StoreError> {
        // Another may have put the thing there a moment ago: the disk is to know of that before it knows of the name.
        self.sync()?;
        self.write(&self.name_place(name), written)
    }

    /// Takes a name away; false when there was none. What it stood for is there until it is swept.
    pub(crate) fn take_name(&self, name: &str) -> Result<bool, StoreError> {
        let path = self.name_place(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            removed => removed.map_err(at("remove", &path))?,
        }
        sync_directory(&self.path.join(NAMES)).map(|()| true)
    }

    /// Removes what no name stands for, and what killed processes have left. What all names stand for is asked when nobody adds; where that cannot be told, nothing
    /// goes. Nobody adds as long as the answer lives: none where that is left to the next.
    pub(crate) fn sweep(
        &self,
        named: impl FnOnce() -> Result<Option<Vec<Digest>>, StoreError>,
    ) -> Result<Option<Lock>, StoreError> {
        let Some(alone) = Lock::alone_now(&self.path.join(LOCK))? else { return Ok(None) };
        let Some(named) = named()? else { return Ok(None) };
        let named: Vec<String> = named.iter().map(Digest::hex).collect();
        let (staging, things) = (self.path.join(STAGING), self.path.join(self.kept));
        for kept in names_in(&things)?.into_iter().filter(|kept| !named.contains(kept)) {
            let gone = self.staged("gone")?;
            let place = things.join(kept);
            std::fs::rename(&place, &gone).map_err(at("rename", &place))?;
        }
        names_in(&staging)?.iter().try_for_each(|left| remove_whatever(&staging.join(left)))?;
        Ok(Some(alone))
    }
}
