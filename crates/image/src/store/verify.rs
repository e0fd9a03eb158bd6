//! Reading everything that is kept, and comparing it with what it is to be.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::digest::{Digest, DigestingReader};
use crate::layer::index::Index;
use crate::record::Record;
use crate::store::held::Unheld;
use crate::store::lock::Lock;
use crate::store::{ImageName, Kind, Store, StoreError, at};
use crate::tree::check::{self, Compared};
use crate::tree::merge;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// How many things were looked at.
    pub checked: u64,
    /// What is wrong.
    pub damages: Vec<Damage>,
    /// What could not be looked at for reasons of our own, or of the moment. It may be sound, so a repair leaves it.
    pub unread: Vec<Damage>,
    /// How many damaged things a repair left, since somebody runs on them.
    pub in_use: u64,
}

/// Something that is not what it was, or of which that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where.
    pub path: PathBuf,
    /// What is wrong there.
    pub what: String,
}

impl Store {
    /// Reads everything. Changes nothing.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let _entered = self.enter()?;
        Ok(self.look_at_all().verified)
    }

    /// The same, and removes what is damaged, but for what somebody runs on: whoever pulls the image again brings it
    /// back. Fails when others are at work.
    pub fn repair(&self) -> Result<Verified, StoreError> {
        let _alone = Lock::alone_now(&self.path.join("lock"))?.ok_or(StoreError::Busy)?;
        let Verifying { mut verified, damaged, .. } = self.look_at_all();
        let mut failed = None;
        for damaged in damaged {
            match self.remove_damaged(&damaged) {
                Ok(is_removed) => verified.in_use += u64::from(!is_removed),
                // There may be room for it once others are gone.
                Err(error) => _ = failed.get_or_insert(error),
            }
        }
        failed.map_or(Ok(verified), Err)
    }

    /// Unless somebody runs on it.
    fn remove_damaged(&self, damaged: &Damaged) -> Result<bool, StoreError> {
        match damaged {
            Damaged::Name(name) => self.remove_name(name).map(|_| true),
            Damaged::Thing(kind, digest) => match self.unheld(*kind, digest)? {
                Unheld::Yes { _lock } => self.throw_away(*kind, digest).map(|()| true),
                Unheld::No => Ok(false),
            },
        }
    }

    /// Whatever is wrong with one thing, all others are looked at.
    fn look_at_all(&self) -> Verifying<'_> {
        let mut verifying = Verifying { store: self, verified: Verified::default(), damaged: Vec::new() };
        let kinds: [(Kind, Look); 3] = [
            (Kind::Blob, Store::damage_of_blob),
            (Kind::Layer, Store::damage_of_layer),
            (Kind::Disk, crate::disk::damage),
        ];
        for (kind, look) in kinds {
            match self.all(kind) {
                Ok(all) => all.into_iter().for_each(|digest| verifying.thing(kind, digest, look)),
                Err(error) => _ = verifying.say_error(&self.path.join(kind.directory()), error),
            }
        }
        match self.names() {
            Ok(names) => names.iter().for_each(|name| verifying.name(name)),
            Err(error) => _ = verifying.say_error(&self.path.join("names"), error),
        }
        verifying
    }

    fn damage_of_blob(&self, digest: &Digest) -> Result<Option<String>, StoreError> {
        let path = self.place(Kind::Blob, digest);
        let found = File::open(&path).and_then(|file| {
            let mut reader = DigestingReader::new(file);
            io::copy(&mut reader, &mut io::sink())?;
            Ok(reader.finish().0)
        });
        let found = found.map_err(at("read", &path))?;
        Ok((found != *digest).then(|| format!("its digest is {found}")))
    }

    fn damage_of_layer(&self, digest: &Digest) -> Result<Option<String>, StoreError> {
        let index = match self.layer_index(digest) {
            Err(StoreError::Damaged(_)) => return Ok(Some("its index cannot be read".to_owned())),
            index => index?,
        };
        let files = self.layer_files(digest)?;
        for content in index.contents() {
            match check::holds(files.as_fd(), content.number.to_string().as_bytes(), content) {
                Ok(true) => {}
                Ok(false) => return Ok(Some(format!("its file {} is not what it was", content.number))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Some(format!("its file {} is missing", content.number)));
                }
                Err(error) => {
                    let path = self.place(Kind::Layer, digest).join("files").join(content.number.to_string());
                    return Err(at("read", &path)(error));
                }
            }
        }
        Ok(None)
    }

    /// What a layer that is kept holds.
    pub(crate) fn layer_index(&self, digest: &Digest) -> Result<Index, StoreError> {
        let path = self.place(Kind::Layer, digest);
        let bytes = std::fs::read(path.join("index")).map_err(at("read the index of", &path))?;
        Index::decode(&bytes).map_err(|_| StoreError::Damaged(path))
    }

    /// The directory of a layer's files.
    pub(crate) fn layer_files(&self, digest: &Digest) -> Result<OwnedFd, StoreError> {
        let path = self.place(Kind::Layer, digest).join("files");
        File::open(&path).map(OwnedFd::from).map_err(at("open", &path))
    }
}

type Look = fn(&Store, &Digest) -> Result<Option<String>, StoreError>;

struct Verifying<'s> {
    store: &'s Store,
    verified: Verified,
    /// What a repair removes.
    damaged: Vec<Damaged>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Damaged {
    Thing(Kind, Digest),
    Name(ImageName),
}

impl Verifying<'_> {
    fn thing(&mut self, kind: Kind, digest: Digest, look: Look) {
        self.verified.checked += 1;
        let place = self.store.place(kind, &digest);
        match look(self.store, &digest) {
            Ok(None) => {}
            Ok(Some(what)) => {
                self.damaged.push(Damaged::Thing(kind, digest));
                self.say(&place, what);
            }
            Err(error) => {
                if self.say_error(&place, error) == Whose::ItsOwn {
                    self.damaged.push(Damaged::Thing(kind, digest));
                }
            }
        }
    }

    fn name(&mut self, name: &ImageName) {
        let path = self.store.path.join("names").join(name.to_string());
        match self.store.record(name) {
            Ok(Some(record)) => {
                if let Err(error) = self.image(&record) {
                    self.say_error(&path, error);
                }
            }
            Ok(None) => {}
            Err(error) => {
                if self.say_error(&path, error) == Whose::ItsOwn {
                    self.damaged.push(Damaged::Name(name.clone()));
                }
            }
        }
    }

    fn say(&mut self, path: &Path, what: String) {
        self.verified.damages.push(Damage { path: path.to_owned(), what });
    }

    fn say_unread(&mut self, path: &Path, what: String) {
        self.verified.unread.push(Damage { path: path.to_owned(), what });
    }

    /// Says it where it belongs, and whose it is.
    fn say_error(&mut self, path: &Path, error: StoreError) -> Whose {
        match error {
            StoreError::Io { path, source, .. } => {
                let what = format!("it cannot be read: {source}");
                if is_our_own_error(&source) {
                    self.say_unread(&path, what);
                    return Whose::Ours;
                }
                self.say(&path, what);
                Whose::ItsOwn
            }
            StoreError::Damaged(path) => {
                self.say(&path, "it cannot be read".to_owned());
                Whose::ItsOwn
            }
            error => {
                self.say_unread(path, error.to_string());
                Whose::Ours
            }
        }
    }

    /// Everything that an image needs is there, and its tree is what its layers come to.
    fn image(&mut self, record: &Record) -> Result<(), StoreError> {
        let mut is_whole = true;
        for (kind, digest) in record.things() {
            let place = self.store.place(kind, &digest);
            // No job needs what it came as, nor one in a jail its filesystem image.
            let is_needed = matches!(kind, Kind::Layer | Kind::Tree);
            if kind != Kind::Disk && !is_there(&place)? {
                self.say(&place, "it is missing".to_owned());
                is_whole &= !is_needed;
            }
            is_whole &= !is_needed || !self.damaged.contains(&Damaged::Thing(kind, digest));
        }
        let place = self.store.place(Kind::Tree, &record.tree);
        let tree_is_damaged = Damaged::Thing(Kind::Tree, record.tree);
        if !is_whole {
            // Its files are those of its layers, so it is as damaged as they are.
            if is_there(&place)? && !self.damaged.contains(&tree_is_damaged) {
                self.damaged.push(tree_is_damaged);
                self.say(&place, "its layers are damaged or missing".to_owned());
            }
            return Ok(());
        }
        self.verified.checked += 1;
        let layers: Vec<Digest> = record.layers.iter().map(|layer| layer.archive).collect();
        let indexes = layers.iter().map(|layer| self.store.layer_index(layer)).collect::<Result<Vec<_>, _>>()?;
        let files = layers.iter().map(|layer| self.store.layer_files(layer)).collect::<Result<Vec<_>, _>>()?;
        let Ok(tree) = merge(&indexes) else {
            self.say(&place, "its layers do not fit together".to_owned());
            return Ok(());
        };
        let root = place.join("root");
        let compared = match File::open(&root) {
            Ok(opened) => check::compare(&tree, &files, opened.as_fd()),
            Err(error) if is_our_own_error(&error) => return Err(at("read", &root)(error)),
            Err(error) => Compared { differences: vec![format!("it cannot be read: {error}")], unread: Vec::new() },
        };
        if !compared.differences.is_empty() {
            self.damaged.push(tree_is_damaged);
        }
        compared.differences.into_iter().for_each(|difference| self.say(&place, difference));
        compared.unread.into_iter().for_each(|unread| self.say_unread(&place, unread));
        Ok(())
    }
}

/// Whether it is the thing that cannot be read, or we who cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    ItsOwn,
    Ours,
}

fn is_there(place: &Path) -> Result<bool, StoreError> {
    match place.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at("look at", place)(error)),
    }
}

/// Whether an error says something about us, or about this moment, and nothing about what was read. Whatever is not known to be about that is not
/// taken for it: on the word of these errors sound things would be removed.
pub(crate) fn is_our_own_error(error: &io::Error) -> bool {
    let its_own =
        [Errno::NOENT, Errno::NOTDIR, Errno::ISDIR, Errno::LOOP, Errno::NXIO, Errno::IO, Errno::BADMSG, Errno::UCLEAN];
    match Errno::from_io_error(error) {
        Some(errno) => !its_own.contains(&errno),
        None => error.kind() == io::ErrorKind::OutOfMemory,
    }
}
