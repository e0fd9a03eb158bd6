//! What is written down of keys: one line for each that was created or revoked, in that order, and never another.
//!
//! ```text
//! 5d0c41f2a96be387 {"create":{"id":"fbx_…","name":"ci","hash":"…","at":1790000000,"limits":{"running":2}}}
//! 90e1b7c3442fd50a {"revoke":{"id":"fbx_…","at":1790000600}}
//! ```
//!
//! Before each stands a check over it and everything above it: a line that was changed, or that is missing, is seen. A last
//! line without its end was never finished, so nobody was told that it was written. Reading is a pure function.

use std::collections::HashMap;
use std::fmt;

use firebox_api::{KeyLimits, KeyLimitsError};
use firebox_job::Grant;
use serde::{Deserialize, Serialize};

use super::key::{Fingerprint, Key, KeyId, NoKey};

const CONTEXT: &str = "firebox 2026-11 key file";
/// Longer ones are for a database, and no list.
const MOST_NAME_BYTES: usize = 64;

/// All keys that there were, in the order in which they were created.
#[derive(Debug, Clone)]
pub struct Book {
    entries: Vec<Entry>,
    by_id: HashMap<KeyId, usize>,
    /// Over all whole lines.
    check: Check,
    /// Of all whole lines.
    length: usize,
    has_torn_line: bool,
}

/// A key that there is, or was.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it is called everywhere.
    pub id: KeyId,
    /// What its operator calls it.
    pub name: String,
    /// When it was created, in seconds of Unix time.
    pub created: u64,
    /// When it was revoked, if it was.
    pub revoked: Option<u64>,
    /// What it grants.
    pub grant: Grant,
    pub(super) fingerprint: Fingerprint,
}

/// A line as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Create(Box<Creation>),
    Revoke(Revocation),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Creation {
    id: String,
    name: String,
    hash: String,
    at: u64,
    #[serde(default)]
    limits: KeyLimits,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocation {
    id: String,
    at: u64,
}

/// Why the book is not as it was written, or cannot take what is to be written.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// Somebody, or a disk, has changed something.
    #[error("line {number} is not as firebox wrote it, or one before it is missing")]
    Check {
        /// Counted from 1.
        number: usize,
    },
    /// It is as somebody wrote it, and makes no sense to us.
    #[error("line {number} cannot be read; it may be of a later version of firebox")]
    Line {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        source: LineError,
    },
    /// A name that would be mistaken for something else, or could not be shown.
    #[error(
        "no key can be called {name:?}: a name has 1 to {MOST_NAME_BYTES} bytes, no control characters, no blanks around it, \
         and begins with neither `-` nor `fbx_`"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// `revoke NAME` would not know which.
    #[error("there is a key called {name:?} already, {id}")]
    Taken {
        /// The name.
        name: String,
        /// Whose it is.
        id: KeyId,
    },
    /// Nothing to revoke.
    #[error("there is no key called {asked:?}")]
    Unknown {
        /// What was asked for.
        asked: String,
    },
    /// Nothing is left to revoke.
    #[error("{id} has been revoked already")]
    Revoked {
        /// Which one.
        id: KeyId,
    },
}

/// What is wrong with a line whose check fits.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is no JSON of ours.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// An id or a hash that is none.
    #[error("it has no id or hash of a key where one should stand")]
    Id(#[from] NoKey),
    /// Limits that are none.
    #[error(transparent)]
    Limits(#[from] KeyLimitsError),
    /// Of one key twice, or of one that there is not.
    #[error("it does not follow from the lines before")]
    Order,
}

/// Over everything up to some line.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Check([u8; 8]);

impl Book {
    /// One that nothing was written into.
    pub(super) fn blank() -> Book {
        let (entries, by_id) = (Vec::new(), HashMap::new());
        Book { entries, by_id, check: Check::BEGIN, length: 0, has_torn_line: false }
    }

    /// Reads all of it.
    pub fn read(bytes: &[u8]) -> Result<Book, BookError> {
        let length = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mut book = Book { length, has_torn_line: length < bytes.len(), ..Book::blank() };
        for (line, number) in bytes[..length].split_inclusive(|byte| *byte == b'\n').zip(1..) {
            let text = book.check.after(line).ok_or(BookError::Check { number })?;
            book.take(text).map_err(|source| BookError::Line { number, source })?;
        }
        Ok(book)
    }

    /// All that there are and were.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether nothing was ever written: then nobody has been asked for a key yet. Where all keys are revoked, nobody has one.
    pub fn is_blank(&self) -> bool {
        self.entries.is_empty() && !self.has_torn_line
    }

    /// Whether this is what it became: whatever stood there still does.
    pub(super) fn is_beginning_of(&self, bytes: &[u8]) -> bool {
        let before = bytes.get(..self.length).map(Book::read);
        before.is_some_and(|before| before.is_ok_and(|before| before.check == self.check))
    }

    /// How many bytes the whole lines have.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The key of this name or id; of several of one name, the one that is not revoked.
    pub fn find(&self, name_or_id: &str) -> Result<&Entry, BookError> {
        let unknown = || BookError::Unknown { asked: shown(name_or_id) };
        if KeyId::is_meant_by(name_or_id) {
            // The whole key is as good: whoever finds one somewhere wants it revoked.
            let id = Key::read(name_or_id.as_bytes()).map(|key| key.id()).or_else(|_| name_or_id.parse());
            return id.ok().and_then(|id| self.by_id.get(&id)).map(|at| &self.entries[*at]).ok_or_else(unknown);
        }
        let named = || self.entries.iter().rev().filter(|entry| entry.name == name_or_id);
        named().find(|entry| entry.revoked.is_none()).or_else(|| named().next()).ok_or_else(unknown)
    }

    /// The line that creates this key.
    pub(super) fn creation(&self, key: &Key, name: &str, grant: &Grant, at: u64) -> Result<Vec<u8>, BookError> {
        if !is_name(name) {
            return Err(BookError::Name { name: shown(name) });
        }
        if let Some(entry) = self.entries.iter().find(|entry| entry.name == name && entry.revoked.is_none()) {
            return Err(BookError::Taken { name: name.to_owned(), id: entry.id });
        }
        let (id, hash) = (key.id().to_string(), key.fingerprint().to_string());
        let creation = Creation { id, name: name.to_owned(), hash, at, limits: grant.into() };
        Ok(self.line(&Line::Create(Box::new(creation))))
    }

    /// The line that revokes a key.
    pub(super) fn revocation(&self, name_or_id: &str, at: u64) -> Result<(KeyId, Vec<u8>), BookError> {
        let entry = self.find(name_or_id)?;
        match entry.revoked {
            Some(_) => Err(BookError::Revoked { id: entry.id }),
            None => Ok((entry.id, self.line(&Line::Revoke(Revocation { id: entry.id.to_string(), at })))),
        }
    }

    fn line(&self, line: &Line) -> Vec<u8> {
        // Texts and numbers: nothing in it that JSON cannot hold.
        let text = serde_json::to_string(line).unwrap_or_default();
        format!("{} {text}\n", self.check.over(text.as_bytes())).into_bytes()
    }

    fn take(&mut self, text: &[u8]) -> Result<(), LineError> {
        match serde_json::from_slice(text)? {
            Line::Create(creation) => {
                let Creation { id, name, hash, at, limits } = *creation;
                let (id, fingerprint) = (id.parse()?, hash.parse()?);
                let grant = Grant::try_from(limits)?;
                if self.by_id.insert(id, self.entries.len()).is_some() {
                    return Err(LineError::Order);
                }
                self.entries.push(Entry { id, name, created: at, revoked: None, grant, fingerprint });
            }
            Line::Revoke(Revocation { id, at }) => {
                let entry = self.by_id.get(&id.parse()?).map(|at| &mut self.entries[*at]).ok_or(LineError::Order)?;
                if entry.revoked.replace(at).is_some() {
                    return Err(LineError::Order);
                }
            }
        }
        Ok(())
    }
}

impl Check {
    const BEGIN: Check = Check([0; 8]);

    /// What goes before this text.
    fn over(self, text: &[u8]) -> Check {
        let hash = blake3::Hasher::new_derive_key(CONTEXT).update(&self.0).update(text).finalize();
        let mut check = [0; 8];
        check.copy_from_slice(&hash.as_bytes()[..8]);
        Check(check)
    }

    /// Goes on to the next line, if that is what stands here: its text.
    fn after<'a>(&mut self, line: &'a [u8]) -> Option<&'a [u8]> {
        let line = line.strip_suffix(b"\n")?;
        let (check, text) = line.split_at_checked(16)?;
        let text = text.strip_prefix(b" ")?;
        *self = self.over(text);
        (check == self.to_string().as_bytes()).then_some(text)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn is_name(text: &str) -> bool {
    (1..=MOST_NAME_BYTES).contains(&text.len())
        && text.trim() == text
        && !text.contains(char::is_control)
        && !text.starts_with('-')
        && !KeyId::is_meant_by(text)
}

/// What was asked for, as it may be repeated: the beginning of what may be a key, and no more of it.
fn shown(asked: &str) -> String {
    let most = if KeyId::is_meant_by(asked) { 16 } else { MOST_NAME_BYTES };
    match asked.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &asked[..end]),
        None => asked.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of three keys, the second of which is revoked.
    fn written() -> (Vec<u8>, Vec<Key>) {
        let mut bytes = Vec::new();
        let mut keys = Vec::new();
        for name in ["one", "two", "three"] {
            let key = Key::fresh().unwrap();
            bytes.extend(Book::read(&bytes).unwrap().creation(&key, name, &Grant::default(), 7).unwrap());
            keys.push(key);
        }
        let (id, line) = Book::read(&bytes).unwrap().revocation("two", 8).unwrap();
        assert_eq!(id, keys[1].id());
        bytes.extend(line);
        (bytes, keys)
    }

    #[test]
    fn what_was_written_is_read_and_no_secret_is_among_it() {
        let (bytes, keys) = written();
        let book = Book::read(&bytes).unwrap();
        let read: Vec<_> = book.entries().iter().map(|entry| (entry.id, entry.name.as_str(), entry.revoked)).collect();
        assert_eq!(read, [(keys[0].id(), "one", None), (keys[1].id(), "two", Some(8)), (keys[2].id(), "three", None)]);
        assert!(book.entries().iter().zip(&keys).all(|(entry, key)| entry.fingerprint == key.fingerprint()));
        let text = String::from_utf8(bytes).unwrap();
        for key in &keys {
            let secret = key.reveal().rsplit_once('_').unwrap().1;
            assert!(!text.contains(secret) && !format!("{book:?}").contains(secret));
        }
    }

    #[test]
    fn whatever_is_changed_is_seen() {
        let (bytes, _) = written();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            // The end of the last line makes it one that was never finished.
            let is_end = at == bytes.len() - 1;
            match Book::read(&changed) {
                Err(BookError::Check { .. }) => {}
                Ok(book) if is_end => assert!(book.has_torn_line),
                other => panic!("byte {at}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_line_that_is_missing_or_stands_elsewhere_is_seen() {
        let (bytes, _) = written();
        let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        for order in [&[1, 2, 3][..], &[0, 2, 3], &[0, 1, 3], &[1, 0, 2, 3], &[0, 0, 1, 2, 3]] {
            let text: Vec<u8> = order.iter().flat_map(|at| lines[*at]).copied().collect();
            assert!(matches!(Book::read(&text), Err(BookError::Check { .. })), "{order:?}");
        }
        // That the last one is missing is seen by who knew it.
        let shorter = [lines[0], lines[1]].concat();
        let (book, earlier) = (Book::read(&bytes).unwrap(), Book::read(&shorter).unwrap());
        assert!(!book.is_beginning_of(&shorter));
        assert!(earlier.is_beginning_of(&bytes) && book.is_beginning_of(&bytes));
        assert!(!earlier.is_beginning_of(&written().0));
    }

    #[test]
    fn a_line_that_was_not_finished_does_not_count_and_yet_the_book_is_not_blank() {
        let (bytes, keys) = written();
        assert!(Book::read(b"").unwrap().is_blank());
        assert!(!Book::read(b"5d").unwrap().is_blank());
        assert!(!Book::read(&bytes).unwrap().is_blank());
        let book = Book::read(&bytes[..bytes.len() - 3]).unwrap();
        assert_eq!(book.find("two").unwrap().revoked, None);
        assert_eq!(book.entries().len(), keys.len());
    }

    #[test]
    fn lines_that_make_no_sense_are_refused() {
        let (bytes, keys) = written();
        let with = |text: &str| {
            let line = format!("{} {text}\n", Book::read(&bytes).unwrap().check.over(text.as_bytes()));
            Book::read(&[&bytes, line.as_bytes()].concat())
        };
        let (one, two) = (keys[0].id(), keys[1].id());
        let hash = keys[0].fingerprint();
        for text in [
            "".to_owned(),
            "{}".to_owned(),
            r#"{"promote":{}}"#.to_owned(),
            format!(r#"{{"revoke":{{"id":"{two}","at":1}}}}"#),
            format!(r#"{{"revoke":{{"id":"{one}","at":1,"why":""}}}}"#),
            r#"{"revoke":{"id":"fbx_000000000000","at":1}}"#.to_owned(),
            r#"{"revoke":{"id":"one","at":1}}"#.to_owned(),
            format!(r#"{{"create":{{"id":"{one}","name":"x","hash":"{hash}","at":1}}}}"#),
            r#"{"create":{"id":"fbx_000000000000","name":"x","hash":"00","at":1}}"#.to_owned(),
            format!(r#"{{"create":{{"id":"fbx_000000000000","name":"x","hash":"{hash}","at":1,"limits":{{"x":1}}}}}}"#),
        ] {
            assert!(matches!(with(&text), Err(BookError::Line { number: 5, .. })), "{text}");
        }
    }

    #[test]
    fn a_key_is_found_by_name_by_id_and_by_itself() {
        let (bytes, keys) = written();
        let book = Book::read(&bytes).unwrap();
        let id = keys[2].id().to_string();
        for asked in ["three", id.as_str(), keys[2].reveal()] {
            assert_eq!(book.find(asked).unwrap().id, keys[2].id());
        }
        // A secret that is not repeated even where it is mistyped.
        let mistyped = format!("{}!", keys[2].reveal());
        let said = book.find(&mistyped).unwrap_err().to_string();
        assert!(said.contains(&id) && !said.contains(&keys[2].reveal()[17..30]), "{said}");
        assert!(matches!(book.revocation("two", 9), Err(BookError::Revoked { .. })));
        assert!(matches!(book.revocation("four", 9), Err(BookError::Unknown { .. })));
    }

    #[test]
    fn a_name_is_somebodys_until_that_key_is_revoked() {
        let (bytes, _) = written();
        let book = Book::read(&bytes).unwrap();
        let key = Key::fresh().unwrap();
        let create = |name: &str| book.creation(&key, name, &Grant::default(), 9);
        assert!(matches!(create("one"), Err(BookError::Taken { .. })));
        let again = Book::read(&[bytes.clone(), create("two").unwrap()].concat()).unwrap();
        assert_eq!(again.find("two").unwrap().id, key.id());
        for name in ["", " x", "x ", "a\nb", "-x", "fbx_", key.reveal(), &"x".repeat(65)] {
            let error = create(name).unwrap_err();
            assert!(matches!(error, BookError::Name { .. }), "{name:?}");
            assert!(!error.to_string().contains(&key.reveal()[20..]), "{error}");
        }
    }
}
