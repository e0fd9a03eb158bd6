//! What firebox keeps of images on this host: one directory, shared by all its processes, sound at every moment.
//!
//! ```text
//! blobs/HEX          a manifest, a configuration, a layer as it was transferred; named by its SHA-256
//! layers/HEX/        a layer unpacked: files/0, files/1, ... and index; named by the SHA-256 of its archive
//! trees/HEX/         a root filesystem: root/; named by its layers. Its files are those of the layers, linked
//! disks/HEX/         the same as a filesystem image; named as the tree
//! names/NAME         which image a name stands for
//! proofs/HEX         which archive the blob of that name was found to be
//! sending/HEX        how far a large object has come on its way to a bucket; locked by who sends it
//! staging/           what is being made, and what is being thrown away
//! lock, quota        locked, never read; and read under its lock
//! ```
//!
//! Everything but a name, and how far something has come, never changes once it is there, and is there as a whole: it is made in `staging`, written out
//! to the disk, and then renamed. The disk knows of each step before the next begins, whatever filesystem it has: content,
//! then its place, and the name last. So a process that is killed leaves the old or the new, and what it had begun: a
//! transfer to go on with, or what the next [`Store::collect`] removes; and so does a host that loses its power.
//!
//! Three kinds of lock, all held by open descriptors, so that the kernel gives them back however their holders end:
//! whoever adds holds `lock` shared, and collecting and repairing need it alone; whoever makes a thing holds its claim,
//! and others who want the same wait and then find it made; whoever runs on a tree or a filesystem image holds it
//! shared, and whoever removes it needs it alone.

mod claim;
mod collect;
mod held;
mod home;
pub(crate) mod lock;
mod names;
mod proofs;
mod quota;
pub(crate) mod shelf;
mod verify;

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

pub(crate) use claim::{Claimed, Draft, remove_whatever};
pub use collect::Collected;
pub use held::{Held, HeldDisk};
pub use home::{Home, NoHome};
use lock::Lock;
pub(crate) use names::is_name;
pub use names::{ImageName, NoName};
pub(crate) use verify::is_our_own_error;
pub use verify::{Damage, Verified};

use crate::digest::Digest;
use crate::snapshot::SnapshotDamage;

/// The directory, opened.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// Bytes it may take altogether, if that was said.
    quota: Option<u64>,
}

/// Why the store cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system says no.
    #[error("cannot {what} `{}`", .path.display())]
    Io {
        /// What was tried: a verb.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It belongs to a newer firebox.
    #[error("`{}` was made by a newer firebox (its format is `{found}`, this one knows `{known}`): update firebox, or give FIREBOX_HOME another place", .path.display())]
    Format {
        /// The store.
        path: PathBuf,
        /// What it says of itself.
        found: String,
        /// What it would have to say.
        known: &'static str,
    },
    /// It is not ours alone.
    #[error("`{}` is {what}: what is kept is in a directory of whoever uses it, which nobody else can look into; `--home` or FIREBOX_HOME names another place", .path.display())]
    NotOurs {
        /// The directory, or one in it.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// The quota would be exceeded.
    #[error(
        "the images would take {} MiB, and the quota is {} MiB: remove some (`firebox rootfs remove`, then `firebox rootfs gc`), or raise it", .needed.div_ceil(1 << 20), .quota >> 20
    )]
    Quota {
        /// What they would come to.
        needed: u64,
        /// What they may.
        quota: u64,
    },
    /// Others are at work.
    #[error("images are being added, verified or removed by another firebox: try again when it is done")]
    Busy,
    /// Something in it is not what it was.
    #[error("`{}` is damaged: `firebox rootfs verify --repair` removes it, and the next pull brings it back", .0.display())]
    Damaged(PathBuf),
    /// Something of a kernel is not.
    #[error("`{}` is damaged: `firebox kernel fetch` brings it back", .0.display())]
    DamagedKernel(PathBuf),
    /// A file of a snapshot is not.
    #[error("`{}` is damaged ({damage}): `firebox snapshot create` makes the snapshot again", .path.display())]
    DamagedSnapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        damage: SnapshotDamage,
    },
}

/// What kinds of things are kept under a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Blob,
    Layer,
    Tree,
    Disk,
}

impl Kind {
    pub(crate) const ALL: [Kind; 4] = [Kind::Blob, Kind::Layer, Kind::Tree, Kind::Disk];

    fn directory(self) -> &'static str {
        match self {
            Kind::Blob => "blobs",
            Kind::Layer => "layers",
            Kind::Tree => "trees",
            Kind::Disk => "disks",
        }
    }
}

/// Says of an error of the system where it happened.
pub(crate) fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}

impl Store {
    /// What the file `format` says.
    const FORMAT: &'static str = "firebox images 1";

    /// The store at a place, if there is one.
    pub fn open_if_there(path: &Path) -> Result<Option<Store>, StoreError> {
        match path.symlink_metadata() {
            Ok(_) => Store::open(path, None).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at("look at", path)(error)),
        }
    }

    /// Opens the store at a place, and makes it if there is none. Nobody but its owner gets in: images may hold what is
    /// not for everybody, and files of theirs are readable to all.
    pub fn open(path: &Path, quota: Option<u64>) -> Result<Store, StoreError> {
        let directories =
            Kind::ALL.map(Kind::directory).into_iter().chain(["names", proofs::PROOFS, SENDING, "staging"]);
        let directories: Vec<&str> = directories.collect();
        open_directories(path, &directories, Store::FORMAT)?;
        Ok(Store { path: path.to_owned(), quota })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a thing is, or would be.
    pub(crate) fn place(&self, kind: Kind, digest: &Digest) -> PathBuf {
        self.path.join(kind.directory()).join(digest.hex())
    }

    pub(crate) fn has(&self, kind: Kind, digest: &Digest) -> bool {
        self.place(kind, digest).exists()
    }

    /// Where it is written down how far something has come that is being sent. The caller holds the store.
    pub(crate) fn journal(&self, what: &Digest) -> PathBuf {
        self.path.join(SENDING).join(what.hex())
    }

    /// Keeps everything from being collected as long as this lives.
    pub(crate) fn enter(&self) -> Result<Lock, StoreError> {
        Lock::shared(&self.path.join("lock"))
    }

    /// Everything of a kind that is there.
    pub(crate) fn all(&self, kind: Kind) -> Result<Vec<Digest>, StoreError> {
        let directory = self.path.join(kind.directory());
        let names = names_in(&directory)?;
        Ok(names.iter().filter_map(|name| Digest::from_hex(name)).collect())
    }

    /// Puts a file there, or another in its place, as a whole.
    fn write_whole(&self, path: &Path, content: &[u8]) -> Result<(), StoreError> {
        write_whole(&self.path, path, content)
    }
}

/// Where the journals of those who send are.
const SENDING: &str = "sending";

/// Where a store makes what it is about to keep.
pub(crate) const STAGING: &str = "staging";

/// Makes a store's directories where they are missing, looks at whose they are, and at what made them.
pub(crate) fn open_directories(path: &Path, below: &[&str], format: &'static str) -> Result<(), StoreError> {
    for directory in [path.to_owned()].into_iter().chain(below.iter().map(|name| path.join(name))) {
        make(&directory)?;
        is_ours(&directory)?;
    }
    let said = path.join("format");
    match std::fs::read_to_string(&said) {
        Ok(found) if found.trim_end() == format => Ok(()),
        Ok(found) => {
            let found = found.chars().take(40).collect::<String>().trim_end().to_owned();
            Err(StoreError::Format { path: path.to_owned(), found, known: format })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_whole(path, &said, format!("{format}\n").as_bytes())
        }
        Err(error) => Err(at("read", &said)(error)),
    }
}

/// Puts a file of a store there, or another in its place, as a whole. What is killed meanwhile leaves something in `staging`.
pub(crate) fn write_whole(store: &Path, path: &Path, content: &[u8]) -> Result<(), StoreError> {
    use std::io::Write;

    let draft = store.join(STAGING).join(format!("file-{:032x}", random()?));
    let mut file = File::create_new(&draft).map_err(at("make", &draft))?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    let placed = written.and_then(|()| std::fs::rename(&draft, path));
    if let Err(error) = placed {
        // It is of no use to anybody, and collecting removes it if this does not.
        let _ = std::fs::remove_file(&draft);
        return Err(at("write", path)(error));
    }
    sync_directory(path.parent().unwrap_or(store))
}

/// Makes a directory, and those it lies in, and has the disk know of them: what is in a directory is lost with it.
fn make(directory: &Path) -> Result<(), StoreError> {
    let missing: Vec<&Path> = directory.ancestors().take_while(|above| !above.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(at("make", directory))?;
    for made in missing.iter().rev() {
        let above = made.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match sync_directory(above) {
            // Not one of ours, and one that may be used but not read.
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// Whether a directory is one that nobody but us could have put something into: root is not to follow another's links.
fn is_ours(directory: &Path) -> Result<(), StoreError> {
    let found = std::fs::symlink_metadata(directory).map_err(at("look at", directory))?;
    let what = if !found.is_dir() {
        "no directory, or a link to one"
    } else if found.uid() != rustix::process::geteuid().as_raw() {
        "another user's"
    } else if found.mode() & 0o077 != 0 {
        "open to others (`chmod go=` closes it)"
    } else {
        return Ok(());
    };
    Err(StoreError::NotOurs { path: directory.to_owned(), what })
}

/// The names of what is in a directory.
pub(crate) fn names_in(directory: &Path) -> Result<Vec<String>, StoreError> {
    let entries = std::fs::read_dir(directory).map_err(at("list", directory))?;
    let names = entries.map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()));
    let mut names: Vec<String> = names.collect::<io::Result<_>>().map_err(at("list", directory))?;
    names.sort();
    Ok(names)
}

/// Has the disk know what is in a directory.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(at("write out", directory))
}

/// A number that nobody else has.
pub(crate) fn random() -> Result<u128, StoreError> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| at("read", Path::new("/dev/urandom"))(errno.into()))?;
    Ok(u128::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn opened(prepare: impl FnOnce(&Path)) -> Result<Store, StoreError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("images");
        prepare(&path);
        Store::open(&path, None)
    }

    #[test]
    fn a_store_into_which_another_may_have_put_something_is_left_alone() {
        let elsewhere = tempfile::tempdir().unwrap();
        let make = |path: &Path, mode| {
            std::fs::create_dir(path).unwrap();
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        assert!(opened(|_| ()).is_ok());
        assert!(opened(|path| make(path, 0o700)).is_ok());
        for (what, store) in [
            ("open to others", opened(|path| make(path, 0o755))),
            ("a link to one", opened(|path| symlink(elsewhere.path(), path).unwrap())),
            (
                "a link to one",
                opened(|path| {
                    make(path, 0o700);
                    symlink(elsewhere.path(), path.join("staging")).unwrap();
                }),
            ),
        ] {
            let error = store.unwrap_err();
            assert!(matches!(error, StoreError::NotOurs { .. }) && error.to_string().contains(what), "{what}: {error}");
        }
        if rustix::process::geteuid().is_root() {
            let theirs = opened(|path| {
                make(path, 0o700);
                std::os::unix::fs::chown(path, Some(12345), None).unwrap();
            });
            assert!(theirs.unwrap_err().to_string().contains("another user's"));
        }
    }
}
