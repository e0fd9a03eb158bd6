//! The snapshots that are kept on this host: one directory, shared by all of firebox's processes, sound at every moment.
//!
//! ```text
//! frozen/HEX/        state, memory, record; named by the SHA-256 of its record, which has that of the state
//! names/NAME         which of them a name stands for
//! fetching/HEX/      what was fetched so far of the one that would be called so, and was not gone on with; beside it, HEX.claim is locked by who does
//! staging/           what is being made, and what is being thrown away
//! format, lock
//! ```
//!
//! As with kernels: what is there is there as a whole, since it is made in `staging`, written out to the disk, and then renamed; the name
//! comes last. Whoever adds or opens holds `lock` shared, and whoever removes what has no name has it alone, or leaves that to the next. Machines have
//! their files open, so nothing that is removed is missed.
//!
//! A memory file has in it what was in the guest: nobody but its owner may read it. Nobody writes to it once it is kept, or makes it shorter: clones
//! have it mapped, and what is cut off is cut off for them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::digest::Digest;
use crate::snapshot::{SnapshotDraft, SnapshotName, SnapshotRecord};
use crate::store::lock::Lock;
use crate::store::shelf::Shelf;
use crate::store::{StoreError, at, names_in, remove_whatever};

/// The directory, opened.
#[derive(Debug, Clone)]
pub struct Snapshots {
    pub(super) shelf: Shelf,
}

/// A snapshot as a machine is made of it, opened for reading alone: it stays as it is, whatever becomes of its name, and as long as this lives, where it is.
#[derive(Debug)]
pub struct ReadySnapshot {
    /// What is known of it.
    pub record: SnapshotRecord,
    /// Its state, which is what was kept.
    pub state: File,
    /// Its memory, which is as long as it was.
    pub memory: File,
    /// Nobody takes its files away meanwhile: others may have to open them by their names.
    _entered: Lock,
}

/// What is wrong with a file of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotDamage {
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// It was cut off, or something was added to it.
    #[error("it has {found} bytes and should have {expected}")]
    Length {
        /// How long it is.
        found: u64,
        /// How long it should be.
        expected: u64,
    },
    /// It has become another, or says what makes no sense.
    #[error("it was altered since it was written")]
    Altered,
}

pub(super) const FETCHING: &str = "fetching";
/// How the name of a claim ends.
pub(super) const CLAIM: &str = ".claim";
/// What nobody has gone on with for so long is nobody's any more.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);
pub(crate) const STATE: &str = "state";
pub(crate) const MEMORY: &str = "memory";
pub(super) const RECORD: &str = "record";

impl Snapshots {
    /// What the file `format` says.
    const FORMAT: &'static str = "firebox snapshots 1";

    /// Opens the directory, and makes it if there is none.
    pub fn open(path: &Path) -> Result<Snapshots, StoreError> {
        Ok(Snapshots { shelf: Shelf::open(path, "frozen", &[FETCHING], Snapshots::FORMAT)? })
    }

    /// The directory at a place, if there is one.
    pub fn open_if_there(path: &Path) -> Result<Option<Snapshots>, StoreError> {
        match path.symlink_metadata() {
            Ok(_) => Snapshots::open(path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at("look at", path)(error)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.shelf.path()
    }

    /// All names, by language, memory and processors.
    pub fn names(&self) -> Result<Vec<SnapshotName>, StoreError> {
        let names = self.shelf.names()?;
        let mut names: Vec<SnapshotName> = names.iter().filter_map(|name| name.parse().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// What a name stands for, if there is such a name.
    pub fn find(&self, name: &SnapshotName) -> Result<Option<SnapshotRecord>, StoreError> {
        let _entered = self.enter()?;
        self.named(name)
    }

    /// The snapshot of a name, opened. None where there is no such name.
    pub fn ready(&self, name: &SnapshotName) -> Result<Option<ReadySnapshot>, StoreError> {
        let _entered = self.enter()?;
        let Some(record) = self.named(name)? else { return Ok(None) };
        let place = self.place(&record);
        let (path, bytes) = (place.join(STATE), record.state.bytes);
        let state = open_file(&path, bytes)?;
        let mut content = vec![0; usize::try_from(bytes).unwrap_or(0)];
        state.read_exact_at(&mut content, 0).map_err(at("read", &path))?;
        if Digest::of(&content) != record.state.digest {
            return Err(damaged(path, SnapshotDamage::Altered));
        }
        let memory = open_file(&place.join(MEMORY), record.frozen.machine_bytes)?;
        Ok(Some(ReadySnapshot { record, state, memory, _entered }))
    }

    /// Two empty files to freeze a machine into.
    pub fn begin(&self) -> Result<SnapshotDraft, StoreError> {
        // What killed processes have left is as large as what is about to be written.
        self.sweep()?;
        SnapshotDraft::begin(self.clone())
    }

    /// What was fetched so far of the snapshot of this digest. Waits for whoever is at work on it.
    pub(crate) fn go_on_with(&self, digest: &Digest) -> Result<SnapshotDraft, StoreError> {
        self.sweep()?;
        SnapshotDraft::go_on_with(self.clone(), &digest.hex())
    }

    /// Takes a name away; false when there was none. What it stood for goes with it, or with the next, if somebody is adding.
    pub fn remove(&self, name: &SnapshotName) -> Result<bool, StoreError> {
        let taken = self.shelf.take_name(&name.to_string())?;
        if taken {
            self.sweep()?;
        }
        Ok(taken)
    }

    /// Where the files of a snapshot are.
    pub fn place(&self, record: &SnapshotRecord) -> PathBuf {
        self.shelf.place(&record.digest())
    }

    /// How many bytes of the disk a snapshot takes: its memory has holes wherever nothing was.
    pub fn allocated(&self, record: &SnapshotRecord) -> Result<u64, StoreError> {
        const BLOCK: u64 = 512;
        let place = self.place(record);
        let blocks = [STATE, MEMORY, RECORD].map(|name| {
            let path = place.join(name);
            path.metadata().map(|found| found.blocks()).map_err(|error| of_opening(path, error))
        });
        blocks.into_iter().sum::<Result<u64, StoreError>>().map(|blocks| blocks * BLOCK)
    }

    /// Removes what no name stands for, and what killed processes have left, unless somebody is adding.
    pub fn sweep(&self) -> Result<(), StoreError> {
        self.shelf.sweep(|| self.all_named())?.map_or(Ok(()), |_alone| self.sweep_fetching())
    }

    /// All that names stand for. None where one of them might stand for anything.
    fn all_named(&self) -> Result<Option<Vec<Digest>>, StoreError> {
        let mut named = Vec::new();
        for name in self.names()? {
            match self.read_name(&name) {
                Ok(found) => named.extend(found),
                Err(StoreError::DamagedSnapshot { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(named))
    }

    /// Who fetches has entered, so nobody is at work on any of these.
    fn sweep_fetching(&self) -> Result<(), StoreError> {
        let fetching = self.path().join(FETCHING);
        for name in names_in(&fetching)? {
            let path = fetching.join(&name);
            // What it was last written to says when somebody was at work on it.
            let written = path.join(MEMORY).metadata().and_then(|memory| memory.modified());
            let age = written.ok().and_then(|written| written.elapsed().ok());
            if name.ends_with(CLAIM) || age.is_some_and(|age| FORGOTTEN < age) {
                remove_whatever(&path)?;
            }
        }
        Ok(())
    }

    /// Keeps everything from being swept as long as this lives.
    fn enter(&self) -> Result<Lock, StoreError> {
        self.shelf.enter()
    }

    /// Has a name stand for a snapshot, whatever it stood for before. The caller has entered.
    pub(super) fn name(&self, name: &SnapshotName, digest: &Digest) -> Result<(), StoreError> {
        self.shelf.name(&name.to_string(), format!("{digest}\n").as_bytes())
    }

    fn read_name(&self, name: &SnapshotName) -> Result<Option<Digest>, StoreError> {
        let path = self.shelf.name_place(&name.to_string());
        let Some(bytes) = read(&path)? else { return Ok(None) };
        let digest = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n')?.parse().ok());
        digest.map(Some).ok_or_else(|| damaged(path, SnapshotDamage::Altered))
    }

    /// What is written down of what a name stands for. The caller has entered.
    fn named(&self, name: &SnapshotName) -> Result<Option<SnapshotRecord>, StoreError> {
        let Some(digest) = self.read_name(name)? else { return Ok(None) };
        let path = self.shelf.place(&digest).join(RECORD);
        let Some(bytes) = read(&path)? else { return Err(damaged(path, SnapshotDamage::Missing)) };
        let record =
            SnapshotRecord::decode(&bytes).filter(|record| Digest::of(&bytes) == digest && record.frozen.name == *name);
        record.map(Some).ok_or_else(|| damaged(path, SnapshotDamage::Altered))
    }
}

/// All of a small file, or more of it than makes sense; none where there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let mut bytes = Vec::new();
    let most = SnapshotRecord::MOST_BYTES + 1;
    match File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at("read", path)(error)),
    }
}

/// Opens a file that has to be this long.
fn open_file(path: &Path, expected: u64) -> Result<File, StoreError> {
    let file = File::open(path).map_err(|error| of_opening(path.to_owned(), error))?;
    let found = file.metadata().map_err(at("look at", path))?.len();
    if found == expected { Ok(file) } else { Err(damaged(path.to_owned(), SnapshotDamage::Length { found, expected })) }
}

fn of_opening(path: PathBuf, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::NotFound => damaged(path, SnapshotDamage::Missing),
        _ => at("open", &path)(error),
    }
}

fn damaged(path: PathBuf, damage: SnapshotDamage) -> StoreError {
    StoreError::DamagedSnapshot { path, damage }
}
