//! All keys that are good now, and the question whether one is.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::account::Spent;
use super::book::Book;
use super::file::{KeyFile, KeyFileError, Stamp};
use super::holder::Holder;
use super::key::{Fingerprint, Key, KeyId};

/// All keys that are good now. What it is asked costs no more than a look into a table and a hash.
#[derive(Debug)]
pub struct Ring {
    /// None where nothing is kept: then there are no keys.
    file: Option<KeyFile>,
    held: RwLock<Arc<Held>>,
    /// What an unknown key is compared with, so that it takes as long as a known one.
    nothing: Fingerprint,
}

/// What was read last. It is replaced as a whole.
#[derive(Debug)]
struct Held {
    book: Book,
    holders: HashMap<KeyId, Arc<Holder>>,
    read_at: Option<Stamp>,
}

impl Ring {
    /// Without a key, now and later.
    pub fn without() -> std::io::Result<Ring> {
        let held = Held { book: Book::blank(), holders: HashMap::new(), read_at: None };
        Ok(Ring { file: None, held: RwLock::new(Arc::new(held)), nothing: Fingerprint::of_nothing()? })
    }

    /// With the keys of this file, which must be whole.
    pub fn of(file: KeyFile) -> Result<Ring, KeyFileError> {
        let path = file.path().to_owned();
        let ring = Ring::without();
        let ring = ring.map_err(|source| KeyFileError::Use { doing: "draw random bits for", path, source })?;
        let ring = Ring { file: Some(file), ..ring };
        ring.refresh()?;
        Ok(ring)
    }

    /// Whether whoever asks must have a key: once there was one, for good.
    pub fn is_demanded(&self) -> bool {
        !self.held().book.is_blank()
    }

    /// How many keys are good now.
    pub fn count(&self) -> usize {
        self.held().holders.len()
    }

    /// Whose key this is, if it is good.
    pub(crate) fn check(&self, key: &Key) -> Option<Arc<Holder>> {
        let held = self.held();
        let known = held.holders.get(&key.id());
        // Always one hash and one comparison: nobody learns by the time it takes whether an id is known, or how much of a
        // secret was right.
        let expected = known.map_or(&self.nothing, |holder| &holder.fingerprint);
        let is_right = is_same(expected, &key.fingerprint());
        known.filter(|_| is_right).cloned()
    }

    /// Whoever has the key of this id, if it is good.
    pub(crate) fn holder(&self, id: KeyId) -> Option<Arc<Holder>> {
        self.held().holders.get(&id).cloned()
    }

    /// Tells everybody what their jobs had taken before.
    pub(super) fn recall(&self, spent: &HashMap<KeyId, Spent>) {
        let held = self.held();
        for (id, holder) in &held.holders {
            spent.get(id).into_iter().for_each(|spent| holder.recall(*spent));
        }
    }

    /// What everybody's jobs have taken, where that is to be known later.
    pub(super) fn spent(&self) -> Vec<(KeyId, Spent)> {
        let held = self.held();
        held.holders.iter().filter_map(|(id, holder)| Some((*id, holder.spent()?))).collect()
    }

    /// Looks whether the file has changed, and reads it if so. When something is wrong with it, what was read last stays.
    pub(super) fn refresh(&self) -> Result<bool, KeyFileError> {
        let Some(file) = &self.file else { return Ok(false) };
        let (stamp, before) = (file.stamp()?, self.held());
        if before.read_at == Some(stamp) {
            return Ok(false);
        }
        let bytes = file.read_bytes()?;
        let book = file.book(&bytes)?;
        // Emptied is shortened too, also when all that was there before was the beginning of a line.
        if !before.book.is_beginning_of(&bytes) || (!before.book.is_blank() && book.is_blank()) {
            return Err(KeyFileError::Shortened { path: file.path().to_owned() });
        }
        let mut holders = HashMap::new();
        for entry in book.entries() {
            let known = before.holders.get(&entry.id);
            match entry.revoked {
                // Jobs that wait for their turn look at it.
                Some(_) => known.into_iter().for_each(|holder| holder.revoke()),
                None => {
                    holders.insert(entry.id, known.cloned().unwrap_or_else(|| Arc::new(Holder::of(entry))));
                }
            }
        }
        let held = Held { book, holders, read_at: Some(stamp) };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(held);
        Ok(true)
    }

    fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Takes as long whatever differs.
fn is_same(one: &Fingerprint, other: &Fingerprint) -> bool {
    #[cfg(test)]
    tests::COMPARED.with(|compared| compared.set(compared.get() + 1));
    one == other
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs::{self, File};

    use firebox_job::Grant;

    use super::*;

    thread_local! {
        pub(super) static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    struct Place {
        folder: tempfile::TempDir,
        ring: Ring,
    }

    impl Place {
        fn new() -> Place {
            let folder = tempfile::tempdir().unwrap();
            let file = KeyFile::to_read(File::open(folder.path()).unwrap(), folder.path()).unwrap();
            Place { ring: Ring::of(file).unwrap(), folder }
        }

        fn file(&self) -> KeyFile {
            KeyFile::to_append(File::open(self.folder.path()).unwrap(), self.folder.path()).unwrap()
        }

        fn create(&self, name: &str) -> Key {
            self.file().create(name, &Grant::default()).unwrap().0
        }

        fn is_good(&self, key: &Key) -> bool {
            self.ring.check(key).is_some_and(|holder| holder.id == key.id())
        }
    }

    #[test]
    fn a_key_is_good_from_when_it_is_created_until_it_is_revoked() {
        let place = Place::new();
        assert!(!place.ring.is_demanded());
        let (one, two) = (place.create("one"), place.create("two"));
        assert!(!place.is_good(&one));
        assert!(place.ring.refresh().unwrap());
        assert!(!place.ring.refresh().unwrap());
        assert!(place.ring.is_demanded() && place.is_good(&one) && place.is_good(&two));
        let (first, second) = (place.ring.check(&one).unwrap(), place.ring.check(&two).unwrap());
        assert_ne!(first.owner(), second.owner());
        assert_ne!(first.partition, second.partition);
        place.file().revoke("one").unwrap();
        place.file().revoke("two").unwrap();
        let again = place.create("one");
        place.file().revoke("one").unwrap();
        place.ring.refresh().unwrap();
        assert!(!place.is_good(&one) && !place.is_good(&two) && !place.is_good(&again) && first.is_revoked());
        // That nobody has a key any more lets nobody in.
        assert!(place.ring.is_demanded());
    }

    #[test]
    fn what_somebody_has_had_is_not_forgotten_when_another_key_is_created() {
        let place = Place::new();
        let one = place.create("one");
        place.ring.refresh().unwrap();
        let before = place.ring.check(&one).unwrap();
        place.create("two");
        place.ring.refresh().unwrap();
        assert!(Arc::ptr_eq(&before, &place.ring.check(&one).unwrap()));
    }

    #[test]
    fn an_unknown_id_and_a_wrong_secret_go_the_same_way() {
        let place = Place::new();
        let (key, other) = (place.create("one"), Key::fresh().unwrap());
        place.ring.refresh().unwrap();
        let (id, secret) = (key.id().to_string(), other.reveal().split_at(16).1);
        let forged = Key::read(format!("{id}{secret}").as_bytes()).unwrap();
        assert_eq!(forged.id(), key.id());
        for (shown, is_good) in [(&key, true), (&forged, false), (&other, false)] {
            let before = COMPARED.get();
            assert_eq!(place.ring.check(shown).is_some(), is_good);
            assert_eq!(COMPARED.get(), before + 1, "each is compared, once");
        }
    }

    #[test]
    fn whatever_happens_to_the_file_those_who_had_a_key_have_it_and_nobody_else() {
        let place = Place::new();
        let one = place.create("one");
        place.ring.refresh().unwrap();
        let path = place.folder.path().join("keys");
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damaged[40] ^= 1;
        for text in [&damaged[..], b"", &whole[..10], b"nonsense\n"] {
            fs::write(&path, text).unwrap();
            assert!(place.ring.refresh().is_err(), "{text:?}");
            assert!(place.ring.is_demanded() && place.is_good(&one) && !place.is_good(&Key::fresh().unwrap()));
        }
        fs::write(&path, whole).unwrap();
        place.ring.refresh().unwrap();
        fs::remove_file(&path).unwrap();
        let error = place.ring.refresh().unwrap_err();
        assert!(matches!(error, KeyFileError::Replaced { .. }), "{error}");
        assert!(place.is_good(&one));
    }
}
