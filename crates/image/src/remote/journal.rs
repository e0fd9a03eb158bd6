//! What is written down here of a large object on its way, so that whoever was interrupted goes on where it was.
//!
//! A file of lines: the upload, and each piece that is there, with the hash of what was sent. It belongs to whoever has locked it. It
//! is never waited for, nor needed: what cannot be written down or read back is sent again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::store::lock::{Lock, Locked};

/// The longest journal that is read: a line for each piece that there can be.
const MOST: u64 = 10_000 * 1024;

/// An upload, and the pieces of it that are there.
pub(super) struct Journal {
    /// Where it is written down, unless it is not.
    kept: Option<Kept>,
    pub(super) upload: Begun,
    pieces: BTreeMap<usize, Piece>,
}

struct Kept {
    path: PathBuf,
    lock: Lock,
}

/// What an upload is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    /// What it is called there.
    pub(super) id: String,
    /// How long its pieces are.
    pub(super) length: u64,
    /// Whether it is to take the place of an object that is there.
    pub(super) anew: bool,
}

/// A piece that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Piece {
    pub(super) number: usize,
    /// BLAKE3 of its bytes.
    pub(super) hash: String,
    /// What it is called there.
    pub(super) id: String,
}

impl Journal {
    /// What was written down at a place, if anything was and nobody else is at work on it. What cannot be read is removed.
    pub(super) fn open(path: &Path) -> Option<Journal> {
        let Ok(Locked::Ours(lock)) = Lock::alone_if_there(path) else { return None };
        let kept = Kept { path: path.to_owned(), lock };
        match kept.read() {
            Some((upload, pieces)) => Some(Journal { kept: Some(kept), upload, pieces }),
            None => {
                kept.remove();
                None
            }
        }
    }

    /// Of an upload that was just begun. Where somebody else is at work on the same, or there is no room, it is not written down.
    pub(super) fn begin(path: &Path, upload: Begun) -> Journal {
        let kept = Lock::alone_now(path).ok().flatten().map(|lock| Kept { path: path.to_owned(), lock });
        let kept = kept.and_then(|kept| {
            if kept.lock.file().set_len(0).and_then(|()| write_line(kept.lock.file(), &upload)).is_ok() {
                return Some(kept);
            }
            kept.remove();
            None
        });
        Journal { kept, upload, pieces: BTreeMap::new() }
    }

    /// Whether this piece is there, and is what it should be.
    pub(super) fn has(&self, number: usize, hash: &str) -> bool {
        self.pieces.get(&number).is_some_and(|piece| piece.hash == hash)
    }

    pub(super) fn add(&mut self, piece: Piece) {
        self.write(&piece);
        self.pieces.insert(piece.number, piece);
    }

    /// What the pieces are called, in their order.
    pub(super) fn ids(&self) -> Vec<String> {
        self.pieces.values().map(|piece| piece.id.clone()).collect()
    }

    /// Whether anybody could go on from here.
    pub(super) fn is_worth_keeping(&self) -> bool {
        self.kept.is_some() && !self.pieces.is_empty()
    }

    /// Forgets it.
    pub(super) fn remove(self) {
        if let Some(kept) = self.kept {
            kept.remove();
        }
    }

    fn write(&mut self, line: &impl Serialize) {
        if let Some(kept) = &self.kept
            && write_line(kept.lock.file(), line).is_err()
        {
            // What is there is true, and what is missing there is sent again.
            self.kept = None;
        }
    }
}

impl Kept {
    fn read(&self) -> Option<(Begun, BTreeMap<usize, Piece>)> {
        let mut file = self.lock.file();
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes).ok()?;
        let (upload, pieces, valid) = read(&bytes)?;
        // What comes next is to follow a whole line.
        file.set_len(valid as u64).ok()?;
        file.seek(SeekFrom::End(0)).ok()?;
        Some((upload, pieces))
    }

    fn remove(self) {
        // What is left is of an upload that nobody knows, and is found out to be.
        let _ = std::fs::remove_file(self.path);
    }
}

fn write_line(mut file: &File, line: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    file.write_all(&bytes)
}

/// The upload, its pieces, and how many bytes of this are whole lines that say so.
fn read(bytes: &[u8]) -> Option<(Begun, BTreeMap<usize, Piece>, usize)> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').take_while(|line| line.ends_with(b"\n"));
    let first = lines.next()?;
    let upload = serde_json::from_slice(first).ok()?;
    let (mut pieces, mut valid) = (BTreeMap::new(), first.len());
    for line in lines {
        let Ok(piece) = serde_json::from_slice::<Piece>(line) else { break };
        pieces.insert(piece.number, piece);
        valid += line.len();
    }
    Some((upload, pieces, valid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(number: usize) -> Piece {
        Piece { number, hash: blake3::hash(&[number as u8]).to_string(), id: format!("\"{number}\n\"") }
    }

    fn begun(id: &str) -> Begun {
        Begun { id: id.to_owned(), length: 8 << 20, anew: false }
    }

    #[test]
    fn what_was_written_down_is_there_again_and_belongs_to_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        assert!(Journal::open(&path).is_none());
        let mut journal = Journal::begin(&path, begun("the \"upload\""));
        assert!(!journal.is_worth_keeping());
        journal.add(piece(1));
        journal.add(piece(0));
        assert!(Journal::open(&path).is_none(), "somebody is at work on it");
        let beside = Journal::begin(&path, begun("another"));
        assert!(beside.kept.is_none());
        drop((journal, beside));

        let journal = Journal::open(&path).unwrap();
        assert_eq!((&journal.upload, journal.ids()), (&begun("the \"upload\""), vec![piece(0).id, piece(1).id]));
        assert!(journal.has(1, &piece(1).hash) && !journal.has(1, &piece(2).hash) && !journal.has(2, &piece(2).hash));
        assert!(journal.is_worth_keeping());
        journal.remove();
        assert!(!path.exists());
    }

    #[test]
    fn whatever_is_cut_off_or_damaged_is_as_if_it_had_not_been_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let mut journal = Journal::begin(&path, begun("u"));
        (0..3).for_each(|number| journal.add(piece(number)));
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let Some(mut journal) = Journal::open(&path) else { continue };
            let known = journal.ids().len();
            assert!(known < 3);
            journal.add(piece(known));
            drop(journal);
            assert_eq!(Journal::open(&path).unwrap().ids().len(), known + 1, "of {length} bytes");
        }
        let mut damaged = whole.clone();
        let middle = whole.len() / 2;
        damaged[middle..middle + 8].fill(0);
        std::fs::write(&path, &damaged).unwrap();
        assert!(Journal::open(&path).unwrap().ids().len() < 3);
        std::fs::write(&path, vec![0; 100]).unwrap();
        assert!(Journal::open(&path).is_none() && !path.exists());
        let journal = Journal::begin(&path, begun("v"));
        assert_eq!((journal.upload.id.as_str(), journal.ids().len()), ("v", 0));
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().upload, begun("v"));
    }
}
