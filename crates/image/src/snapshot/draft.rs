//! A snapshot in the making.
//!
//! ```text
//! begin: state and memory, empty --filled by whoever freezes--> keep: digest, length, written out, renamed, named
//!                                `--drop, or killed--> gone, or gone with the next that is begun
//! go_on_with: what whoever fetched the same has left --filled by whoever fetches--> keep
//!                                                    `--drop, or killed--> there to be gone on with, for some days
//! ```

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::kernel::KeptFile;
use crate::snapshot::shelf::{CLAIM, FETCHING, MEMORY, RECORD, STATE};
use crate::snapshot::{Frozen, SnapshotRecord, Snapshots};
use crate::store::lock::Lock;
use crate::store::{StoreError, at, remove_whatever, sync_directory};

/// Two files that nobody knows yet. Gone when this is dropped, unless somebody may go on with them.
#[derive(Debug)]
pub struct SnapshotDraft {
    snapshots: Snapshots,
    path: PathBuf,
    state: File,
    memory: File,
    /// Of one that is gone on with: nobody else does as long as this lives.
    claim: Option<Claim>,
    /// Keeps what is drafted, and what is about to be named, from being swept.
    _entered: Lock,
}

#[derive(Debug)]
struct Claim {
    path: PathBuf,
    _lock: Lock,
}

impl SnapshotDraft {
    pub(super) fn begin(snapshots: Snapshots) -> Result<SnapshotDraft, StoreError> {
        let _entered = snapshots.shelf.enter()?;
        let path = snapshots.shelf.staged("draft")?;
        DirBuilder::new().mode(0o700).create(&path).map_err(at("make", &path))?;
        let (state, memory) = (create(&path.join(STATE))?, create(&path.join(MEMORY))?);
        Ok(SnapshotDraft { snapshots, path, state, memory, claim: None, _entered })
    }

    /// What was begun under a name that whoever begins the same has, too. Waits for who is at work on it.
    pub(super) fn go_on_with(snapshots: Snapshots, name: &str) -> Result<SnapshotDraft, StoreError> {
        let _entered = snapshots.shelf.enter()?;
        let path = snapshots.path().join(FETCHING).join(name);
        let claim = PathBuf::from(format!("{}{CLAIM}", path.display()));
        let claim = Claim { _lock: Lock::alone(&claim)?, path: claim };
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(at("make", &path))?,
        }
        // A record is written last of all, and only where all else is there.
        remove_whatever(&path.join(RECORD))?;
        let (state, memory) = (reopen(&path.join(STATE))?, reopen(&path.join(MEMORY))?);
        Ok(SnapshotDraft { snapshots, path, state, memory, claim: Some(claim), _entered })
    }

    /// Where its files are.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Has the state be this, whatever it was before.
    pub(crate) fn write_state(&self, content: &[u8]) -> Result<(), StoreError> {
        let written = self.state.set_len(0).and_then(|()| self.state.write_all_at(content, 0));
        written.map_err(at("write", &self.path.join(STATE)))
    }

    /// Nothing of it is of use.
    pub(crate) fn discard(self) -> Result<(), StoreError> {
        remove_whatever(&self.path)
    }

    /// What the state is to be written to: an empty file, open for reading and writing.
    pub fn state(&self) -> &File {
        &self.state
    }

    /// The same for the memory, which is to become as long as all of the machine's, with a hole wherever nothing is.
    pub fn memory(&self) -> &File {
        &self.memory
    }

    /// It is whole: from now on it is what its name stands for. What the name stood for before goes.
    pub fn keep(self, frozen: Frozen) -> Result<SnapshotRecord, StoreError> {
        let record = self.put(frozen)?;
        let snapshots = self.snapshots.clone();
        drop(self);
        snapshots.sweep()?;
        Ok(record)
    }

    fn put(&self, frozen: Frozen) -> Result<SnapshotRecord, StoreError> {
        let record = SnapshotRecord { state: self.kept_state()?, frozen };
        self.check_memory(&record.frozen)?;
        let path = self.path.join(RECORD);
        let written = create(&path)?;
        written.write_all_at(&record.encode(), 0).map_err(at("write", &path))?;
        for (file, name) in [(&self.state, STATE), (&self.memory, MEMORY), (&written, RECORD)] {
            if let Err(error) = file.sync_all() {
                // What the disk did not take is in memory still, and counts as written from now on: whoever went on with it would be told that it is on
                // the disk. Should it not go either, that is not what has to be told.
                let _ = remove_whatever(&self.path);
                return Err(at("write out", &self.path.join(name))(error));
            }
        }
        sync_directory(&self.path)?;
        let digest = record.digest();
        self.give_place(&self.snapshots.shelf.place(&digest))?;
        self.snapshots.name(&record.frozen.name, &digest)?;
        Ok(record)
    }

    /// What was written to the file of the state.
    fn kept_state(&self) -> Result<KeptFile, StoreError> {
        let path = self.path.join(STATE);
        let length = self.state.metadata().map_err(at("look at", &path))?.len();
        if SnapshotRecord::MOST_STATE_BYTES < length {
            return Err(wrong(&path, format!("a state of {length} bytes is longer than any")));
        }
        let mut content = vec![0; usize::try_from(length).unwrap_or(0)];
        self.state.read_exact_at(&mut content, 0).map_err(at("read", &path))?;
        Ok(KeptFile::of(&content))
    }

    fn check_memory(&self, frozen: &Frozen) -> Result<(), StoreError> {
        let path = self.path.join(MEMORY);
        let (found, expected) = (self.memory.metadata().map_err(at("look at", &path))?.len(), frozen.machine_bytes);
        if found == expected && frozen.is_possible() {
            return Ok(());
        }
        Err(wrong(&path, format!("a memory of {found} bytes is not that of a machine with {expected}")))
    }

    /// Gives it its place. What is there has the same record, and is exchanged all the same: it may be damaged.
    fn give_place(&self, place: &Path) -> Result<(), StoreError> {
        match std::fs::rename(&self.path, place) {
            Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {}
            renamed => return renamed.map_err(at("rename", &self.path)),
        }
        match renameat_with(CWD, &self.path, CWD, place, RenameFlags::EXCHANGE) {
            // Not every filesystem can do that at once.
            Err(Errno::INVAL | Errno::NOSYS) => {
                let gone = self.snapshots.shelf.staged("gone")?;
                std::fs::rename(place, &gone).map_err(at("rename", place))?;
                std::fs::rename(&self.path, place).map_err(at("rename", &self.path))?;
                remove_whatever(&gone)
            }
            exchanged => {
                exchanged.map_err(|errno| at("rename", &self.path)(errno.into()))?;
                // What was there is here now.
                remove_whatever(&self.path)
            }
        }?;
        self.snapshots.shelf.sync()
    }
}

impl Drop for SnapshotDraft {
    fn drop(&mut self) {
        match &self.claim {
            // What stays behind when this fails is swept; what was renamed is not there any more.
            None => drop(remove_whatever(&self.path)),
            Some(claim) => drop(std::fs::remove_file(&claim.path)),
        }
    }
}

fn create(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path).map_err(at("make", path))
}

/// Open for reading and writing, with what somebody may have left in it.
fn reopen(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(at("open", path))
}

fn wrong(path: &Path, what: String) -> StoreError {
    at("keep", path)(io::Error::new(io::ErrorKind::InvalidData, what))
}
