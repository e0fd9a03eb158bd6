//! The kernels that are kept on this host: one directory, shared by all of firebox's processes, sound at every moment.
//!
//! ```text
//! unpacked/HEX/      kernel, modules/NAME.ko, record; named by the SHA-256 of its record, which has those of the others
//!     initramfs-HEX  made of the modules and a first process; another one has another
//! names/NAME         which kernel a name stands for, and where it came from
//! staging/           what is being made, and what is being thrown away
//! format, lock
//! ```
//!
//! As with images: what is there is there as a whole, since it is made in `staging`, written out to the disk, and then renamed; the name
//! comes last. Whoever adds holds `lock` shared, and whoever removes what has no name has it alone, or leaves that to the next. A machine
//! that runs has its files open, so nothing that is removed is missed.

use std::fmt;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::syncfs;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, DigestingReader};
use crate::kernel::debian::Trust;
use crate::kernel::initramfs::Initramfs;
use crate::kernel::module::ModuleName;
use crate::kernel::needs::Loading;
use crate::kernel::record::{KeptFile, KeptModule, KernelRecord};
use crate::kernel::release::Release;
use crate::store::lock::Lock;
use crate::store::shelf::Shelf;
use crate::store::{StoreError, at, is_name, names_in, remove_whatever};
use crate::strokes;

/// The directory, opened.
#[derive(Debug)]
pub struct Kernels {
    shelf: Shelf,
}

/// What a user calls a kernel: one part of a path at most, so that it can be the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelName(String);

/// Text that cannot be the name of a kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot name a kernel: at most 64 letters, digits, `.`, `_`, `+` and `-`, a letter or digit first")]
pub struct NoKernelName(pub String);

impl FromStr for KernelName {
    type Err = NoKernelName;

    fn from_str(text: &str) -> Result<KernelName, NoKernelName> {
        if is_name(text) { Ok(KernelName(text.to_owned())) } else { Err(NoKernelName(text.chars().take(80).collect())) }
    }
}

impl From<&Release> for KernelName {
    /// A release is a name, but for one letter that names do not have.
    fn from(release: &Release) -> KernelName {
        KernelName(release.to_string().replace('~', "-"))
    }
}

impl fmt::Display for KernelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKernel {
    /// The kernel.
    pub record: KernelRecord,
    /// Where it came from.
    pub origin: KernelOrigin,
}

/// Where a kernel came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelOrigin {
    /// As the user said it.
    pub from: String,
    /// The digest of the package, if it came in one.
    pub package: Option<Digest>,
    /// Why it is believed to be what its name says.
    pub trust: Trust,
}

/// A kernel as a machine needs it, opened: it stays as it is, whatever becomes of its name.
#[derive(Debug)]
pub struct ReadyKernel {
    /// What is known of it.
    pub record: KernelRecord,
    /// Its program.
    pub kernel: File,
    /// The files that it begins with.
    pub initramfs: File,
}

/// As it is written under a name.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenName {
    kernel: String,
    from: String,
    package: Option<String>,
    trust: WrittenTrust,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenTrust {
    Given,
    Mirror,
    Signature,
}

impl WrittenName {
    pub(super) fn encode(kernel: &Digest, origin: &KernelOrigin) -> Vec<u8> {
        let KernelOrigin { from, package, trust } = origin.clone();
        let trust = match trust {
            Trust::Given => WrittenTrust::Given,
            Trust::Mirror => WrittenTrust::Mirror,
            Trust::Signature => WrittenTrust::Signature,
        };
        let package = package.as_ref().map(Digest::to_string);
        let written = WrittenName { kernel: kernel.to_string(), from, package, trust };
        let mut text = serde_json::to_vec_pretty(&written).unwrap_or_default();
        text.push(b'\n');
        text
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<(Digest, KernelOrigin)> {
        let WrittenName { kernel, from, package, trust } = serde_json::from_slice(bytes).ok()?;
        let package = package.map(|digest| digest.parse()).transpose().ok()?;
        let trust = match trust {
            WrittenTrust::Given => Trust::Given,
            WrittenTrust::Mirror => Trust::Mirror,
            WrittenTrust::Signature => Trust::Signature,
        };
        Some((kernel.parse().ok()?, KernelOrigin { from, package, trust }))
    }
}

const KERNEL: &str = "kernel";
const MODULES: &str = "modules";
const RECORD: &str = "record";
const INITRAMFS: &str = "initramfs-";

impl Kernels {
    /// What the file `format` says.
    const FORMAT: &'static str = "firebox kernels 1";

    /// Opens the directory, and makes it if there is none.
    pub fn open(path: &Path) -> Result<Kernels, StoreError> {
        Ok(Kernels { shelf: Shelf::open(path, "unpacked", &[], Kernels::FORMAT)? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.shelf.path()
    }

    /// All names, sorted.
    pub fn names(&self) -> Result<Vec<KernelName>, StoreError> {
        Ok(self.shelf.names()?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// What a name stands for, if there is such a name.
    pub fn find(&self, name: &KernelName) -> Result<Option<NamedKernel>, StoreError> {
        let Some((digest, origin)) = self.read_name(name)? else { return Ok(None) };
        let path = self.place(&digest);
        let record = self.record(&digest)?.ok_or(StoreError::DamagedKernel(path))?;
        Ok(Some(NamedKernel { record, origin }))
    }

    /// The kernel of a name with an initramfs of this first process, made if there is none yet. None where there is no such name.
    pub fn ready(&self, name: &KernelName, init: &[u8]) -> Result<Option<ReadyKernel>, StoreError> {
        let _entered = self.enter()?;
        let Some((digest, _)) = self.read_name(name)? else { return Ok(None) };
        let place = self.place(&digest);
        let damaged = || StoreError::DamagedKernel(place.clone());
        let record = self.record(&digest)?.ok_or_else(damaged)?;
        let kernel = File::open(place.join(KERNEL)).map_err(at("open", &place.join(KERNEL)))?;
        if kernel.metadata().map_err(at("look at", &place))?.len() != record.kernel.bytes {
            return Err(damaged());
        }
        let initramfs = self.initramfs(&place, &record, init)?;
        Ok(Some(ReadyKernel { record, kernel, initramfs }))
    }

    /// Takes a name away; false when there was none. What it stood for goes with it, or with the next, if somebody is adding.
    pub fn remove(&self, name: &KernelName) -> Result<bool, StoreError> {
        let taken = self.shelf.take_name(&name.0)?;
        if taken {
            self.sweep()?;
        }
        Ok(taken)
    }

    /// Removes what no name stands for, and what killed processes have left, unless somebody is adding.
    pub fn sweep(&self) -> Result<(), StoreError> {
        self.shelf.sweep(|| self.named()).map(drop)
    }

    /// All that names stand for. None where one of them might stand for anything.
    fn named(&self) -> Result<Option<Vec<Digest>>, StoreError> {
        let mut named = Vec::new();
        for name in self.names()? {
            match self.read_name(&name) {
                Ok(found) => named.extend(found.map(|(digest, _)| digest)),
                Err(StoreError::DamagedKernel(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(named))
    }

    /// Where something may be made that nobody else makes. The caller has entered.
    pub(super) fn staged(&self, what: &str) -> Result<PathBuf, StoreError> {
        self.shelf.staged(what)
    }

    /// Keeps everything from being swept as long as this lives.
    pub(super) fn enter(&self) -> Result<Lock, StoreError> {
        self.shelf.enter()
    }

    /// A place to make a kernel in. The caller has entered.
    pub(super) fn draft(&self) -> Result<KernelDraft<'_>, StoreError> {
        let path = self.staged("draft")?;
        let modules = path.join(MODULES);
        DirBuilder::new().mode(0o700).recursive(true).create(&modules).map_err(at("make", &modules))?;
        // Opened before anything is written there: what could not be written to the disk later is told to who had it open by then.
        let directory = File::open(&path).map_err(at("open", &path))?;
        Ok(KernelDraft { kernels: self, path, directory })
    }

    /// Has a name stand for a kernel, whatever it stood for before.
    pub(super) fn name(&self, name: &KernelName, kernel: &Digest, origin: &KernelOrigin) -> Result<(), StoreError> {
        self.shelf.name(&name.0, &WrittenName::encode(kernel, origin))
    }

    fn read_name(&self, name: &KernelName) -> Result<Option<(Digest, KernelOrigin)>, StoreError> {
        let path = self.shelf.name_place(&name.0);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(at("read", &path))?,
        };
        WrittenName::decode(&bytes).map(Some).ok_or(StoreError::DamagedKernel(path))
    }

    fn place(&self, kernel: &Digest) -> PathBuf {
        self.shelf.place(kernel)
    }

    /// What is written down about a kernel. None where it is not there, or not what it was.
    fn record(&self, kernel: &Digest) -> Result<Option<KernelRecord>, StoreError> {
        let path = self.place(kernel).join(RECORD);
        match std::fs::read(&path) {
            Ok(bytes) if Digest::of(&bytes) == *kernel => Ok(KernelRecord::decode(&bytes)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at("read", &path)(error)),
        }
    }

    /// Whether everything of a kernel is there and is what it was. Reads all of it.
    fn is_whole(&self, kernel: &Digest) -> Result<bool, StoreError> {
        let Some(record) = self.record(kernel)? else { return Ok(false) };
        let place = self.place(kernel);
        let modules = record.modules.iter().map(|module| (module_place(&place, &module.name), module.file));
        for (path, file) in [(place.join(KERNEL), record.kernel)].into_iter().chain(modules) {
            let digest = File::open(&path).and_then(|file| {
                let mut reader = DigestingReader::new(file);
                io::copy(&mut reader, &mut io::sink()).map(|_| reader.finish().0)
            });
            match digest {
                Ok(digest) if digest == file.digest => {}
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at("read", &path)(error)),
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The initramfs with this first process.
    fn initramfs(&self, place: &Path, record: &KernelRecord, init: &[u8]) -> Result<File, StoreError> {
        // The same archive without what is in the modules, which the kernel's own name has: so it has another name as soon as anything
        // in it is another.
        let without: Result<_, StoreError> = archive(init, &record.modules, |_| Ok(Vec::new()));
        let name = format!("{INITRAMFS}{}", Digest::of(&without?).hex());
        let path = place.join(&name);
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened.map_err(at("open", &path)),
        }
        let whole = archive(init, &record.modules, |module| {
            let path = module_place(place, &module.name);
            let bytes = std::fs::read(&path).map_err(at("read", &path))?;
            if KeptFile::of(&bytes) == module.file {
                Ok(bytes)
            } else {
                Err(StoreError::DamagedKernel(place.to_owned()))
            }
        })?;
        self.shelf.write(&path, &whole)?;
        let opened = File::open(&path).map_err(at("open", &path))?;
        // Of others, which make theirs anew should they come back.
        remove_initramfs(place, |other| other != name)?;
        Ok(opened)
    }
}

fn module_place(place: &Path, name: &ModuleName) -> PathBuf {
    place.join(MODULES).join(format!("{name}.ko"))
}

/// What a machine begins with: its first process, and modules with the order in which that loads them.
fn archive<E>(
    init: &[u8],
    modules: &[KeptModule],
    mut content: impl FnMut(&KeptModule) -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, E> {
    let mut initramfs = Initramfs::new();
    initramfs.directory("dev", 0o755);
    // Where the kernel opens the first process's standard streams.
    initramfs.device("dev/console", 0o600, (5, 1));
    initramfs.file("init", 0o755, init);
    initramfs.directory("modules", 0o755);
    let mut order = String::new();
    for module in modules {
        let name = &module.name;
        initramfs.file(&format!("modules/{name}.ko"), 0o644, &content(module)?);
        // As in other lists of this kind, a dash is before what may fail.
        order.push_str(&format!("{}{name}.ko\n", if module.loading == Loading::May { "-" } else { "" }));
    }
    initramfs.file("modules/order", 0o644, order.as_bytes());
    Ok(initramfs.finish())
}

/// A kernel in the making. Gone when it is dropped.
#[derive(Debug)]
pub(super) struct KernelDraft<'k> {
    kernels: &'k Kernels,
    path: PathBuf,
    directory: File,
}

impl KernelDraft<'_> {
    pub(super) fn kernel(&self, program: &[u8]) -> Result<KeptFile, StoreError> {
        write(&self.path.join(KERNEL), program)
    }

    pub(super) fn module(&self, name: &ModuleName, bytes: &[u8]) -> Result<KeptFile, StoreError> {
        write(&module_place(&self.path, name), bytes)
    }

    /// Gives it its place.
    fn put(&self, place: &Path) -> Result<(), StoreError> {
        match std::fs::rename(&self.path, place) {
            // Somebody else has put the same there.
            Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
                Ok(())
            }
            renamed => renamed.map_err(at("rename", &self.path)),
        }
    }

    /// It is whole: from now on it is there, under its digest.
    pub(super) fn commit(self, record: &KernelRecord) -> Result<Digest, StoreError> {
        let digest = record.digest();
        write(&self.path.join(RECORD), &record.encode())?;
        syncfs(&self.directory).map_err(|errno| at("write out", &self.path)(errno.into()))?;
        let place = self.kernels.place(&digest);
        if place.exists() {
            // What is there is kept, unless it was damaged: then this is how it is brought back.
            if self.kernels.is_whole(&digest)? {
                // These are made of it, and made anew when they are asked for.
                remove_initramfs(&place, |_| true)?;
                return Ok(digest);
            }
            let gone = self.kernels.staged("gone")?;
            match std::fs::rename(&place, &gone) {
                // By somebody else who does the same.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed.map_err(at("rename", &place))?,
            }
            self.put(&place)?;
            remove_whatever(&gone)?;
        } else {
            self.put(&place)?;
        }
        self.kernels.shelf.sync()?;
        Ok(digest)
    }
}

/// Removes what was made of a kernel's modules under these names.
fn remove_initramfs(place: &Path, is_of_no_use: impl Fn(&str) -> bool) -> Result<(), StoreError> {
    let made = names_in(place)?.into_iter().filter(|name| name.starts_with(INITRAMFS) && is_of_no_use(name));
    made.into_iter().try_for_each(|name| remove_whatever(&place.join(name)))
}

fn write(path: &Path, bytes: &[u8]) -> Result<KeptFile, StoreError> {
    let written = File::create_new(path).and_then(|mut file| strokes::write_all(&mut file, bytes));
    written.map_err(at("write", path))?;
    Ok(KeptFile::of(bytes))
}

impl Drop for KernelDraft<'_> {
    fn drop(&mut self) {
        // What stays behind when this fails is swept; what was renamed is not there any more.
        let _ = remove_whatever(&self.path);
    }
}
