//! What was frozen is there as it was, or is known not to be.

use std::fs;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_getfl};

use crate::digest::Digest;
use crate::snapshot::*;
use crate::store::StoreError;

const NAME: &str = "rust-512-1";
const LENGTH: u64 = 8 << 20;

/// What somebody says who has frozen a machine.
pub(super) fn frozen(name: &str, machine_bytes: u64) -> Frozen {
    Frozen {
        name: name.parse().unwrap(),
        image: "debian".parse().unwrap(),
        tree: Digest::of(b"tree"),
        disk: Digest::of(b"disk"),
        kernel: "6.1.0-x".parse().unwrap(),
        machine_bytes,
        tool: Some(Digest::of(b"tool")),
        protocol: 3,
        made: 1_700_000_000,
    }
}

struct Place {
    directory: tempfile::TempDir,
    snapshots: Snapshots,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(&directory.path().join("snapshots")).unwrap();
        Place { directory, snapshots }
    }

    /// A snapshot with this in its state, and in the middle of its memory.
    fn keep(&self, name: &str, content: &[u8]) -> SnapshotRecord {
        filled(&self.snapshots, content).keep(frozen(name, LENGTH)).unwrap()
    }

    /// Every file that is kept, from the directory on.
    fn kept(&self) -> Vec<String> {
        let mut kept = Vec::new();
        let mut open = vec![self.snapshots.path().to_owned()];
        while let Some(path) = open.pop() {
            match path.is_dir() {
                true => open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path())),
                false => kept.push(path.strip_prefix(self.snapshots.path()).unwrap().display().to_string()),
            }
        }
        kept.retain(|path| path != "lock" && path != "format");
        kept.sort();
        kept
    }

    fn file(&self, name: &str) -> PathBuf {
        let found = self.kept().into_iter().find(|path| path.ends_with(name)).unwrap();
        self.snapshots.path().join(found)
    }
}

fn filled(snapshots: &Snapshots, content: &[u8]) -> SnapshotDraft {
    let draft = snapshots.begin().unwrap();
    draft.state().write_all_at(content, 0).unwrap();
    draft.memory().write_all_at(content, LENGTH / 2).unwrap();
    draft.memory().set_len(LENGTH).unwrap();
    draft
}

fn name(text: &str) -> SnapshotName {
    text.parse().unwrap()
}

fn content(ready: &ReadySnapshot) -> (String, Vec<u8>) {
    let (mut state, mut memory) = (String::new(), vec![0; 5]);
    (&ready.state).read_to_string(&mut state).unwrap();
    ready.memory.read_exact_at(&mut memory, LENGTH / 2).unwrap();
    (state, memory)
}

/// What is wrong with which file.
fn damage(error: StoreError) -> (String, SnapshotDamage) {
    match error {
        StoreError::DamagedSnapshot { path, damage } => (path.file_name().unwrap().display().to_string(), damage),
        other => panic!("{other}"),
    }
}

#[test]
fn what_was_kept_is_there_as_it_was_and_for_its_owner_alone() {
    let place = Place::new();
    assert_eq!(place.snapshots.find(&name(NAME)).unwrap(), None);
    assert!(place.snapshots.ready(&name(NAME)).unwrap().is_none());
    let record = place.keep(NAME, b"first");
    assert_eq!(record.frozen, frozen(NAME, LENGTH));
    assert_eq!((record.state.digest, record.state.bytes), (Digest::of(b"first"), 5));
    assert_eq!(place.snapshots.names().unwrap(), [name(NAME)]);
    assert_eq!(place.snapshots.find(&name(NAME)).unwrap().as_ref(), Some(&record));
    let ready = place.snapshots.ready(&name(NAME)).unwrap().unwrap();
    assert_eq!(ready.record, record);
    assert_eq!(content(&ready), ("first".to_owned(), b"first".to_vec()));
    for file in [&ready.state, &ready.memory] {
        assert_eq!(fcntl_getfl(file).unwrap() & OFlags::RWMODE, OFlags::RDONLY);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let directory = place.snapshots.place(&record);
    assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    // Of the memory, that is only what is in it.
    let allocated = place.snapshots.allocated(&record).unwrap();
    assert_eq!(
        allocated,
        fs::read_dir(&directory).unwrap().map(|file| file.unwrap().metadata().unwrap().blocks() * 512).sum::<u64>()
    );
    assert!(0 < allocated && allocated < LENGTH / 4, "{allocated}");

    assert!(Snapshots::open_if_there(place.snapshots.path()).unwrap().is_some());
    assert!(Snapshots::open_if_there(&place.directory.path().join("nowhere")).unwrap().is_none());
    assert!(place.snapshots.remove(&name(NAME)).unwrap() && !place.snapshots.remove(&name(NAME)).unwrap());
    assert_eq!(content(&ready).1, b"first", "who has it open has it still");
    assert!(place.snapshots.place(&record).join("memory").exists(), "and others find it where it was");
    drop(ready);
    place.snapshots.sweep().unwrap();
    assert_eq!(place.kept(), [""; 0]);
}

#[test]
fn a_name_stands_for_the_last_and_what_it_stood_for_before_goes() {
    let place = Place::new();
    place.keep(NAME, b"first");
    let before = place.snapshots.ready(&name(NAME)).unwrap().unwrap();
    let other = place.keep("c++-64-2", b"other");
    let record = place.keep(NAME, b"later");
    assert_eq!(content(&place.snapshots.ready(&name(NAME)).unwrap().unwrap()).1, b"later");
    assert_eq!(content(&before).1, b"first");
    drop(before);
    place.snapshots.sweep().unwrap();
    assert_eq!(place.kept().len(), 2 * 4, "{:?}", place.kept());
    assert_eq!(place.snapshots.find(&name("c++-64-2")).unwrap(), Some(other));
    // The very same again is how one is brought back that was damaged.
    fs::write(place.snapshots.place(&record).join("memory"), "cut").unwrap();
    assert_eq!(place.keep(NAME, b"later"), record);
    assert_eq!(content(&place.snapshots.ready(&name(NAME)).unwrap().unwrap()).1, b"later");
    assert_eq!(place.kept().len(), 2 * 4, "{:?}", place.kept());
}

#[test]
fn whatever_is_not_what_was_kept_is_refused_by_the_file_that_is_not() {
    let cases: [(&str, Spoil, &str, SnapshotDamage); 10] = [
        ("/state", |path| cut(path, 3), "state", SnapshotDamage::Length { found: 3, expected: 5 }),
        ("/state", |path| cut(path, 6), "state", SnapshotDamage::Length { found: 6, expected: 5 }),
        ("/state", |path| alter(path), "state", SnapshotDamage::Altered),
        ("/state", |path| fs::remove_file(path).unwrap(), "state", SnapshotDamage::Missing),
        (
            "/memory",
            |path| cut(path, LENGTH - 4096),
            "memory",
            SnapshotDamage::Length { found: LENGTH - 4096, expected: LENGTH },
        ),
        ("/memory", |path| fs::remove_file(path).unwrap(), "memory", SnapshotDamage::Missing),
        ("/record", |path| alter(path), "record", SnapshotDamage::Altered),
        ("/record", |path| cut(path, 1 << 30), "record", SnapshotDamage::Altered),
        ("/record", |path| fs::remove_file(path).unwrap(), "record", SnapshotDamage::Missing),
        (NAME, |path| cut(path, 20), NAME, SnapshotDamage::Altered),
    ];
    for (file, spoil, at, expected) in cases {
        let place = Place::new();
        place.keep(NAME, b"state");
        spoil(&place.file(file));
        let error = place.snapshots.ready(&name(NAME)).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("is damaged (it ") && said.contains("`firebox snapshot create`"), "{said}");
        assert_eq!(damage(error), (at.to_owned(), expected), "{file}");
        assert!(place.snapshots.remove(&name(NAME)).unwrap());
        place.snapshots.sweep().unwrap();
        assert_eq!(place.kept(), [""; 0], "after {file}");
    }
}

type Spoil = fn(&Path);

fn cut(path: &Path, length: u64) {
    File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

fn alter(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[2] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_name_never_stands_for_the_snapshot_of_another() {
    let place = Place::new();
    place.keep(NAME, b"state");
    let names = place.snapshots.path().join("names");
    fs::copy(names.join(NAME), names.join("rust-1024-1")).unwrap();
    let error = place.snapshots.ready(&name("rust-1024-1")).unwrap_err();
    assert_eq!(damage(error), ("record".to_owned(), SnapshotDamage::Altered));
    // What is no name is nobody's, and what leads elsewhere is no name.
    fs::write(names.join("x"), "").unwrap();
    assert_eq!(place.snapshots.names().unwrap(), [name(NAME), name("rust-1024-1")]);
    assert!("../rust-512-1".parse::<SnapshotName>().is_err());
}

#[test]
fn a_draft_that_is_not_kept_leaves_nothing_and_changes_nothing() {
    let place = Place::new();
    let record = place.keep(NAME, b"state");
    let before = place.kept();
    drop(filled(&place.snapshots, b"other"));
    assert_eq!(place.kept(), before);
    for (what, spoil) in [
        ("is not that of a machine", (|draft| draft.memory().set_len(LENGTH - 1).unwrap()) as fn(&SnapshotDraft)),
        ("is not that of a machine", |draft| draft.memory().set_len(0).unwrap()),
        ("is longer than any", |draft| draft.state().set_len(1 << 40).unwrap()),
    ] {
        let draft = filled(&place.snapshots, b"other");
        spoil(&draft);
        let error = draft.keep(frozen(NAME, LENGTH)).unwrap_err();
        let said = std::error::Error::source(&error).unwrap().to_string();
        assert!(said.contains(what), "{said}");
        assert_eq!(place.kept(), before);
    }
    for length in [0, 4097, Frozen::MOST_MACHINE_BYTES + 4096] {
        let draft = place.snapshots.begin().unwrap();
        draft.memory().set_len(length).unwrap();
        draft.keep(frozen(NAME, length)).unwrap_err();
    }
    assert_eq!(place.snapshots.find(&name(NAME)).unwrap(), Some(record));
    assert_eq!(place.kept(), before);
}

#[test]
fn what_a_killed_process_has_left_goes_with_the_next() {
    let place = Place::new();
    let record = place.keep(NAME, b"state");
    let before = place.kept();
    // As if it had been killed: drafted, and put in its place without a name.
    let staging = place.snapshots.path().join("staging");
    fs::create_dir(staging.join("draft-1")).unwrap();
    fs::write(staging.join("draft-1/memory"), "much").unwrap();
    fs::write(staging.join("file-2"), "half a name").unwrap();
    let unnamed = place.snapshots.path().join("frozen").join("0".repeat(64));
    fs::create_dir(&unnamed).unwrap();
    fs::write(unnamed.join("memory"), "much").unwrap();
    let draft = place.snapshots.begin().unwrap();
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 1, "its own");
    drop(draft);
    assert_eq!(place.kept(), before);
    assert_eq!(place.snapshots.find(&name(NAME)).unwrap(), Some(record));
}

#[test]
fn two_at_once_are_in_nobodys_way() {
    let place = Place::new();
    let (one, other) = (filled(&place.snapshots, b"first"), filled(&place.snapshots, b"later"));
    // Somebody else removes and sweeps meanwhile.
    place.snapshots.sweep().unwrap();
    place.snapshots.remove(&name(NAME)).unwrap();
    one.keep(frozen(NAME, LENGTH)).unwrap();
    assert_eq!(content(&place.snapshots.ready(&name(NAME)).unwrap().unwrap()).1, b"first");
    other.keep(frozen(NAME, LENGTH)).unwrap();
    assert_eq!(content(&place.snapshots.ready(&name(NAME)).unwrap().unwrap()).1, b"later");
    assert_eq!(place.kept().len(), 4, "{:?}", place.kept());

    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    place.keep(NAME, b"again");
                    assert!(place.snapshots.ready(&name(NAME)).unwrap().is_some());
                }
            });
        }
    });
    place.snapshots.sweep().unwrap();
    assert_eq!(place.kept().len(), 4, "{:?}", place.kept());
}
