//! The file that the book of keys is in: `keys`, in the directory that nobody else gets through.
//!
//! It is only ever appended to, and by `firebox keys` alone. The service opens it before it gives its rights up, to read and
//! nothing else, and from then on reads what it has open: it needs no right to the file, and cannot change it. That is why it
//! is not replaced by a new one at each change, of which the service would not hear.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use firebox_job::Grant;
use rustix::fs::{FileType, FlockOperation, Mode, OFlags, Stat, flock, fstat, openat};
use rustix::process::geteuid;

use super::book::{Book, BookError, Entry};
use super::key::Key;

const NAME: &str = "keys";
/// Some fifty thousand keys.
const MOST_BYTES: u64 = 16 << 20;

/// The file, open.
#[derive(Debug)]
pub struct KeyFile {
    file: File,
    /// For people.
    path: PathBuf,
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Reading,
    Appending,
}

/// What is different when the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    length: i64,
    changed: (i64, i64),
    is_gone: bool,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The kernel refuses.
    #[error("cannot {doing} `{}`", .path.display())]
    Use {
        /// What was to be done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Somebody else may have written what is in it, or had a look.
    #[error(
        "`{}` is not firebox's alone: it belongs to the uid {owner}, and its mode is {mode:o}; look at who changed that and what is \
         in it, then `chown` it to whoever starts firebox and `chmod 600` it", .path.display()
    )]
    Rights {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its mode.
        mode: u32,
    },
    /// No file, or one with two names.
    #[error("`{}` is not a file that firebox made; move it away", .path.display())]
    Strange {
        /// What lies there.
        path: PathBuf,
    },
    /// Not what was written.
    #[error("`{}` is damaged, and nobody is let in by what may be wrong; bring back a copy, or move it away and create new keys", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        source: BookError,
    },
    /// It does not begin with what it had before.
    #[error("`{}` has lost lines that it had; bring back a copy, and start the service again", .path.display())]
    Shortened {
        /// The file.
        path: PathBuf,
    },
    /// Another file has its name, or none.
    #[error("`{}` has been removed or replaced; start the service again to use what is there now", .path.display())]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// More than a list of keys has.
    #[error("`{}` has more than {} MiB, and no room for more keys; move it away and create new keys", .path.display(), MOST_BYTES >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// What was asked for does not go with what is there.
    #[error(transparent)]
    Book(BookError),
}

impl KeyFile {
    /// Opens it in this directory to read it, and makes an empty one if there is none. The path is for people.
    pub fn to_read(directory: impl AsFd, path: &Path) -> Result<KeyFile, KeyFileError> {
        KeyFile::open(directory, path, Use::Reading)
    }

    /// Opens it to create and revoke keys.
    pub fn to_append(directory: impl AsFd, path: &Path) -> Result<KeyFile, KeyFileError> {
        KeyFile::open(directory, path, Use::Appending)
    }

    fn open(directory: impl AsFd, path: &Path, purpose: Use) -> Result<KeyFile, KeyFileError> {
        let path = path.join(NAME);
        let access = match purpose {
            Use::Reading => OFlags::RDONLY,
            Use::Appending => OFlags::RDWR | OFlags::APPEND,
        };
        // Not to wait for the other end of a pipe that somebody has put there.
        let flags = access | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(&directory, NAME, flags, Mode::RUSR | Mode::WUSR);
        let file = KeyFile { file: opened.map_err(|error| failed("open", &path)(error.into()))?.into(), path };
        let stat = file.stat()?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
            return Err(KeyFileError::Strange { path: file.path });
        }
        let (owner, mode) = (stat.st_uid, stat.st_mode & 0o7777);
        if owner != geteuid().as_raw() || mode & 0o077 != 0 {
            return Err(KeyFileError::Rights { path: file.path, owner, mode });
        }
        if stat.st_size == 0 {
            // So that the file is there, too, when what is written to it is.
            rustix::fs::fsync(directory).map_err(|error| failed("write", &file.path)(error.into()))?;
        }
        Ok(file)
    }

    /// Reads all of it.
    pub fn read(&self) -> Result<Book, KeyFileError> {
        self.read_bytes().and_then(|bytes| self.book(&bytes))
    }

    /// Creates a key. It is on disk when this returns.
    pub fn create(&self, name: &str, grant: &Grant) -> Result<(Key, Entry), KeyFileError> {
        let key = Key::fresh().map_err(failed("draw random bits for", &self.path))?;
        let book = self.append(|book| book.creation(&key, name, grant, now()))?;
        let entry = book.find(key.reveal()).cloned().map_err(KeyFileError::Book)?;
        Ok((key, entry))
    }

    /// Revokes a key, by its name or its id. It is on disk when this returns.
    pub fn revoke(&self, name_or_id: &str) -> Result<Entry, KeyFileError> {
        let mut revoked = None;
        let book = self.append(|book| {
            let (id, line) = book.revocation(name_or_id, now())?;
            revoked = Some(id.to_string());
            Ok(line)
        })?;
        book.find(&revoked.unwrap_or_default()).cloned().map_err(KeyFileError::Book)
    }

    /// Adds a line to what is there. Others who do the same wait.
    fn append(&self, line: impl FnOnce(&Book) -> Result<Vec<u8>, BookError>) -> Result<Book, KeyFileError> {
        let writing = || failed("write", &self.path);
        flock(&self.file, FlockOperation::LockExclusive).map_err(|error| writing()(error.into()))?;
        let _lock = Locked(&self.file);
        let mut bytes = self.read_bytes()?;
        let book = self.book(&bytes)?;
        let line = line(&book).map_err(KeyFileError::Book)?;
        bytes.truncate(book.length());
        bytes.extend(&line);
        if bytes.len() as u64 > MOST_BYTES {
            return Err(KeyFileError::TooLarge { path: self.path.clone() });
        }
        // What was never finished goes: whoever wrote it has not said that it was written.
        self.file.set_len(book.length() as u64).map_err(writing())?;
        let written = (&self.file).write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Nobody is told that it is there, so it must not be. If this fails as well, it is a line without an end.
            let _ = self.file.set_len(book.length() as u64);
            return Err(writing()(error));
        }
        self.book(&bytes)
    }

    pub(super) fn stamp(&self) -> Result<Stamp, KeyFileError> {
        let stat = self.stat()?;
        let changed = (stat.st_mtime, stat.st_mtime_nsec as i64);
        Ok(Stamp { length: stat.st_size, changed, is_gone: stat.st_nlink == 0 })
    }

    pub(super) fn read_bytes(&self) -> Result<Vec<u8>, KeyFileError> {
        let stat = self.stat()?;
        if stat.st_nlink == 0 {
            return Err(KeyFileError::Replaced { path: self.path.clone() });
        }
        let length = stat.st_size as u64;
        if length > MOST_BYTES {
            return Err(KeyFileError::TooLarge { path: self.path.clone() });
        }
        let mut bytes = vec![0; length as usize];
        match self.file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(bytes),
            Err(error) => Err(failed("read", &self.path)(error)),
        }
    }

    pub(super) fn book(&self, bytes: &[u8]) -> Result<Book, KeyFileError> {
        Book::read(bytes).map_err(|source| KeyFileError::Damaged { path: self.path.clone(), source })
    }

    /// Where it is, for people.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn stat(&self) -> Result<Stat, KeyFileError> {
        fstat(&self.file).map_err(|error| failed("look at", &self.path)(error.into()))
    }
}

/// A file that is locked. Dropping it unlocks it.
struct Locked<'a>(&'a File);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Of a file that is open, that cannot fail.
        let _ = flock(self.0, FlockOperation::Unlock);
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyFileError {
    let path = path.to_owned();
    move |source| KeyFileError::Use { doing, path, source }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    pub(super) struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Place {
            Place(tempfile::tempdir().unwrap())
        }

        fn path(&self) -> PathBuf {
            self.0.path().join(NAME)
        }

        fn to_append(&self) -> Result<KeyFile, KeyFileError> {
            KeyFile::to_append(File::open(self.0.path()).unwrap(), self.0.path())
        }

        fn to_read(&self) -> Result<KeyFile, KeyFileError> {
            KeyFile::to_read(File::open(self.0.path()).unwrap(), self.0.path())
        }
    }

    #[test]
    fn who_has_it_open_hears_of_what_is_written_later() {
        let place = Place::new();
        let reader = place.to_read().unwrap();
        assert!(reader.read().unwrap().is_blank());
        let before = reader.stamp().unwrap();
        let (key, entry) = place.to_append().unwrap().create("one", &Grant::default()).unwrap();
        assert_eq!((entry.id, entry.revoked), (key.id(), None));
        assert_ne!(reader.stamp().unwrap(), before);
        assert_eq!(reader.read().unwrap().entries()[0].id, key.id());
        assert!(place.to_append().unwrap().revoke("one").unwrap().revoked.is_some());
        assert!(reader.read().unwrap().entries()[0].revoked.is_some());
        // To read it is all that it is open for.
        assert!(reader.create("two", &Grant::default()).is_err());
        let text = fs::read_to_string(place.path()).unwrap();
        assert!(!text.contains(&key.reveal()[17..]), "{text}");
        assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn those_who_write_at_the_same_time_do_not_lose_a_line() {
        let place = Place::new();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let place = &place;
                scope.spawn(move || {
                    for number in 0..8 {
                        let name = format!("{writer}-{number}");
                        place.to_append().unwrap().create(&name, &Grant::default()).unwrap();
                    }
                });
            }
        });
        assert_eq!(place.to_read().unwrap().read().unwrap().entries().len(), 64);
    }

    #[test]
    fn a_line_that_was_never_finished_makes_room_for_the_next() {
        let place = Place::new();
        place.to_append().unwrap().create("one", &Grant::default()).unwrap();
        let mut bytes = fs::read(place.path()).unwrap();
        let length = bytes.len();
        bytes.extend_from_within(..length / 2);
        fs::write(place.path(), bytes).unwrap();
        assert_eq!(place.to_read().unwrap().read().unwrap().entries().len(), 1);
        place.to_append().unwrap().create("two", &Grant::default()).unwrap();
        assert_eq!(place.to_read().unwrap().read().unwrap().entries().len(), 2);
    }

    #[test]
    fn a_file_that_others_can_read_or_write_is_refused() {
        let place = Place::new();
        place.to_append().unwrap().create("one", &Grant::default()).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o602] {
            fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).unwrap();
            let error = place.to_read().unwrap_err().to_string();
            assert!(error.contains(&format!("{mode:o}")) && error.contains("chmod 600"), "{error}");
        }
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o600)).unwrap();
        place.to_read().unwrap();
        fs::hard_link(place.path(), place.0.path().join("other")).unwrap();
        assert!(matches!(place.to_read(), Err(KeyFileError::Strange { .. })));
        fs::remove_file(place.path()).unwrap();
        symlink("other", place.path()).unwrap();
        assert!(matches!(place.to_append(), Err(KeyFileError::Use { .. })));
        fs::remove_file(place.path()).unwrap();
        fs::create_dir(place.path()).unwrap();
        assert!(place.to_read().is_err());
    }

    #[test]
    fn a_file_that_is_damaged_takes_no_more_and_says_where() {
        let place = Place::new();
        place.to_append().unwrap().create("one", &Grant::default()).unwrap();
        place.to_append().unwrap().create("two", &Grant::default()).unwrap();
        let text = fs::read_to_string(place.path()).unwrap();
        fs::write(place.path(), text.replace("\"one\"", "\"two\"")).unwrap();
        let error = place.to_append().unwrap().create("three", &Grant::default()).unwrap_err();
        assert!(matches!(error, KeyFileError::Damaged { source: BookError::Check { number: 1 }, .. }), "{error}");
    }

    #[test]
    fn one_that_was_taken_away_is_told_from_one_that_is_empty() {
        let place = Place::new();
        let reader = place.to_read().unwrap();
        fs::remove_file(place.path()).unwrap();
        assert!(matches!(reader.read(), Err(KeyFileError::Replaced { .. })));
    }
}
