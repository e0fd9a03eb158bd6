//! The groundworks of this host: a directory of directories, each of which never changes once it has its name.
//!
//! ```text
//! LANGUAGE@ORIGIN-HASH/   of the language on this host or on an image, and what it was made of
//! making/                 what is being made
//! lock                    locked alone by whoever makes one
//! ```
//!
//! Whoever runs on one holds a shared lock on it, as long as any of its processes lives. Who makes one for the same language and
//! origin removes what was made of an older toolchain, unless somebody holds it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow};
use firebox_cell::Layout;
use firebox_image::Home;
use firebox_job::SourcePath;
use firebox_lang::{Language, Toolchain};
use rustix::fs::{FlockOperation, flock, syncfs};

use super::packet;
use crate::failure::Failure;

/// What is not to be taken for a groundwork of another firebox, that puts other things in it.
const FORMAT: &str = "firebox groundwork 1";

/// What to do where this directory is of no use.
const ELSEWHERE: &str = "FIREBOX_HOME names another directory";

/// The directory.
pub(crate) struct Groundworks(PathBuf);

/// A groundwork that stays as it is as long as this lives.
pub(crate) struct Laid {
    path: PathBuf,
    _lock: File,
}

/// What a groundwork is called.
struct Name {
    /// What those have in common that may take its place.
    origin: String,
    full: String,
}

impl Laid {
    /// Where it is on the host.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Groundworks {
    /// Those in this user's directory.
    pub(crate) fn of(home: &Home) -> Groundworks {
        Groundworks(home.groundworks())
    }

    /// That of a language and its toolchain, if it was made.
    pub(crate) fn held(&self, language: &Language, toolchain: &Toolchain) -> Option<Laid> {
        let path = self.0.join(Name::of(language, toolchain).ok()?.full);
        if !is_ours(&self.0) {
            return None;
        }
        let lock = File::open(&path).ok()?;
        flock(&lock, FlockOperation::NonBlockingLockShared).ok()?;
        // It may have been removed in between.
        path.exists().then_some(Laid { path, _lock: lock })
    }

    /// Keeps what a process makes, unless somebody did meanwhile.
    pub(crate) fn keep(&self, language: &Language, toolchain: &Toolchain, maker: Command) -> Result<(), Failure> {
        let doing = || format!("cannot keep what jobs in {} need in {}", language.name(), self.0.display());
        let failed = |error: io::Error| Failure::host(anyhow::Error::new(error).context(doing())).with_help(ELSEWHERE);
        let name = Name::of(language, toolchain).map_err(failed)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(failed)?;
        if !is_ours(&self.0) {
            return Err(Failure::host(anyhow!("{} is another user's, or open to others", self.0.display()))
                .with_help(ELSEWHERE));
        }
        let lock = File::create(self.0.join("lock")).map_err(failed)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|errno| failed(errno.into()))?;
        let place = self.0.join(&name.full);
        if place.exists() {
            return Ok(());
        }
        let draft = self.0.join("making");
        remove(&draft).map_err(failed)?;
        make_directory(&draft).map_err(failed)?;
        let made = fill(&draft, maker).and_then(|()| {
            let placed = File::open(&self.0).and_then(|directory| {
                // Content before the name.
                syncfs(&directory)?;
                fs::rename(&draft, &place)?;
                directory.sync_all()
            });
            placed.map_err(failed)
        });
        if made.is_err() {
            // Whoever makes the next one removes it otherwise.
            let _ = remove(&draft);
        } else {
            self.remove_older(&name);
        }
        made
    }

    /// What nobody runs on any more. What cannot be removed is no reason not to have the new one.
    fn remove_older(&self, name: &Name) {
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let is_older = |other: &str| {
                other != name.full && other.strip_prefix(&name.origin).is_some_and(|hash| hash.len() == HASH_CHARS)
            };
            if entry.file_name().to_str().is_some_and(is_older)
                && let Ok(lock) = File::open(entry.path())
                && flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
            {
                // Out of the way first: whoever finds it by its name is to find all of it.
                let draft = self.0.join("making");
                let _ = remove(&draft).and_then(|()| fs::rename(entry.path(), &draft)).and_then(|()| remove(&draft));
            }
        }
    }
}

/// So much of a hash is in a name.
const HASH_CHARS: usize = 32;

impl Name {
    /// Everything that what is made depends on is in it.
    fn of(language: &Language, toolchain: &Toolchain) -> io::Result<Name> {
        let mut hasher = blake3::Hasher::new();
        let mut add = |part: &[u8]| {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        };
        add(FORMAT.as_bytes());
        if let Some(laying) = language.laying(toolchain, &Layout::Viewed) {
            add(format!("{:?}", laying.step).as_bytes());
            for file in &laying.files {
                add(file.path.as_str().as_bytes());
                add(&file.content);
            }
        }
        for program in &toolchain.programs {
            let found = fs::metadata(&program.outside)?;
            add(format!("{:?}", (&program.inside, &program.outside)).as_bytes());
            add(format!("{:?}", (found.ino(), found.size(), found.mtime(), found.mtime_nsec())).as_bytes());
        }
        let origin = toolchain.image.as_deref().map_or("host".to_owned(), |image| format!("image-{image}"));
        let origin = format!("{}@{origin}-", language.name());
        let full = format!("{origin}{}", &hasher.finalize().to_hex()[..HASH_CHARS]);
        Ok(Name { origin, full })
    }
}

/// Whether nobody but us could have put something into it.
fn is_ours(directory: &Path) -> bool {
    let user = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(directory)
        .is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0)
}

/// Has a process fill a directory. Its words on standard error are ours.
fn fill(draft: &Path, mut maker: Command) -> Result<(), Failure> {
    let mut start = || -> anyhow::Result<bool> {
        let mut child = maker.stdout(Stdio::piped()).spawn().context("cannot start firebox itself")?;
        let received = match child.stdout.take() {
            Some(pipe) => packet::receive(BufReader::new(pipe), &mut |path, content| put(draft, path, content)),
            None => Ok(false),
        };
        // The pipe is closed by now, so it does not wait for us.
        let status = child.wait()?;
        Ok(received.context("cannot write what was made")? && status.success())
    };
    match start() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::host(anyhow!("nothing was kept, since it was not made to its end"))),
        Err(error) => Err(Failure::host(error)),
    }
}

/// Puts a file into a directory of ours that everybody may read: cells have users of their own.
fn put(draft: &Path, path: &SourcePath, content: &mut dyn Read) -> io::Result<u64> {
    let mut directory = draft.to_owned();
    let place = Path::new(path.as_str());
    for part in place.parent().into_iter().flat_map(Path::iter) {
        directory.push(part);
        match make_directory(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) | Ok(()) => {}
        }
    }
    let mut file = File::create_new(draft.join(place))?;
    let copied = io::copy(content, &mut file)?;
    file.set_permissions(Permissions::from_mode(0o444))?;
    Ok(copied)
}

fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) | Ok(()) => Ok(()),
    }
}
