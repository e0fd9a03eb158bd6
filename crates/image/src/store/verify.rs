//! Reading everything that is kept, and comparing it with what it is to be.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::digest::{Digest, DigestingReader};
use crate::layer::index::Index;
use crate::record::Record;
use crate::store::held::Unheld;
use crate::store::lock::Lock;
use crate::store::{Kind, Store, StoreError, at};
use crate::tree::{check, merge};

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// How many things were looked at.
    pub checked: u64,
    /// What is wrong.
    pub damages: Vec<Damage>,
    /// How many damaged things a repair left, since somebody runs on them.
    pub in_use: u64,
}

/// Something that is not what it was.
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
        self.look_at_all().map(|(verified, _)| verified)
    }

    /// The same, and removes what is damaged, but for what somebody runs on: whoever pulls the image again brings it
    /// back. Fails when others are at work.
    pub fn repair(&self) -> Result<Verified, StoreError> {
        let _alone = Lock::alone_now(&self.path.join("lock"))?.ok_or(StoreError::Busy)?;
        let (mut verified, damaged) = self.look_at_all()?;
        for (kind, digest) in damaged {
            match self.unheld(kind, &digest)? {
                Unheld::Yes { .. } => self.throw_away(kind, &digest)?,
                Unheld::No => verified.in_use += 1,
            }
        }
        Ok(verified)
    }

    fn look_at_all(&self) -> Result<(Verified, BTreeSet<(Kind, Digest)>), StoreError> {
        let mut verifying = Verifying { store: self, verified: Verified::default(), damaged: BTreeSet::new() };
        for digest in self.all(Kind::Blob)? {
            verifying.thing(Kind::Blob, digest, Store::damage_of_blob)?;
        }
        for digest in self.all(Kind::Layer)? {
            verifying.thing(Kind::Layer, digest, Store::damage_of_layer)?;
        }
        for digest in self.all(Kind::Disk)? {
            verifying.thing(Kind::Disk, digest, crate::disk::damage)?;
        }
        for name in self.names()? {
            match self.record(&name) {
                Ok(Some(record)) => verifying.image(&record)?,
                Ok(None) => {}
                Err(StoreError::Damaged(path)) => {
                    verifying.verified.damages.push(Damage { path, what: "it cannot be read".to_owned() });
                }
                Err(error) => return Err(error),
            }
        }
        Ok((verifying.verified, verifying.damaged))
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
        let Ok(index) = self.layer_index(digest) else {
            return Ok(Some("its index cannot be read".to_owned()));
        };
        let files = self.layer_files(digest)?;
        for content in index.contents() {
            match check::holds(files.as_fd(), content.number.to_string().as_bytes(), content) {
                Ok(true) => {}
                Ok(false) => return Ok(Some(format!("its file {} is not what it was", content.number))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Some(format!("its file {} is missing", content.number)));
                }
                Err(error) => return Err(at("read the files of", &self.place(Kind::Layer, digest))(error)),
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

struct Verifying<'s> {
    store: &'s Store,
    verified: Verified,
    damaged: BTreeSet<(Kind, Digest)>,
}

impl<'s> Verifying<'s> {
    fn thing(
        &mut self,
        kind: Kind,
        digest: Digest,
        damage: impl FnOnce(&'s Store, &Digest) -> Result<Option<String>, StoreError>,
    ) -> Result<(), StoreError> {
        self.verified.checked += 1;
        if let Some(what) = damage(self.store, &digest)? {
            self.damaged.insert((kind, digest));
            self.say(&self.store.place(kind, &digest), what);
        }
        Ok(())
    }

    fn say(&mut self, path: &Path, what: String) {
        self.verified.damages.push(Damage { path: path.to_owned(), what });
    }

    /// Everything that an image needs is there, and its tree is what its layers come to.
    fn image(&mut self, record: &Record) -> Result<(), StoreError> {
        let mut is_whole = true;
        for (kind, digest) in record.things() {
            let place = self.store.place(kind, &digest);
            if kind != Kind::Disk && !place.exists() {
                self.say(&place, "it is missing".to_owned());
                is_whole = false;
            }
            is_whole &= !self.damaged.contains(&(kind, digest));
        }
        let place = self.store.place(Kind::Tree, &record.tree);
        if !is_whole {
            // Its files are those of its layers, so it is as damaged as they are.
            if place.exists() && self.damaged.insert((Kind::Tree, record.tree)) {
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
        let compared = File::open(place.join("root")).and_then(|root| check::differences(&tree, &files, root.as_fd()));
        let differences = match compared {
            Ok(differences) => differences,
            Err(error) => vec![format!("it cannot be read: {error}")],
        };
        if !differences.is_empty() {
            self.damaged.insert((Kind::Tree, record.tree));
        }
        differences.into_iter().for_each(|difference| self.say(&place, difference));
        Ok(())
    }
}
