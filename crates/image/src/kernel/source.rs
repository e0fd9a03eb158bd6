//! Where a kernel is taken from, and what is found there before any of it is kept.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::kernel::bounds::KernelBounds;
use crate::kernel::debian::Debian;
use crate::kernel::error::{FetchError, KernelExceeded};
use crate::kernel::files::Files;
use crate::kernel::module::{ModuleInfo, ModuleName, said};
use crate::kernel::needs::Inventory;
use crate::kernel::package::{self, Package};
use crate::kernel::parts::{Part, PartKind, Parts, read_whole};
use crate::kernel::release::Release;
use crate::kernel::unpacked::unpacked;

/// Where a kernel is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelSource {
    /// In a Debian package, or in a file by itself. Then its modules are in a directory: one that is named, or the host's own for this kernel.
    File {
        /// The package, or the kernel.
        path: PathBuf,
        /// The directory of its modules; a package has its own.
        modules: Option<PathBuf>,
    },
    /// With a mirror of Debian's archive: the newest for clouds.
    Debian(Debian),
}

impl KernelSource {
    /// The kernel that the host itself runs, as it was installed.
    pub fn host(modules: Option<PathBuf>) -> KernelSource {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        KernelSource::File { path: Path::new("/boot").join(format!("vmlinuz-{release}")), modules }
    }
}

/// A source, opened.
pub(super) struct Opened<'b> {
    parts: Box<dyn Parts + 'b>,
    /// Of the package, if it is one.
    pub(super) package: Option<Digest>,
}

impl<'b> Opened<'b> {
    /// A package, or a kernel's file with its modules.
    pub(super) fn file(
        path: &Path,
        modules: Option<&Path>,
        bounds: &'b KernelBounds,
    ) -> Result<Opened<'b>, FetchError> {
        let read = |source| FetchError::Read { path: path.to_owned(), source };
        // Before it is opened: a pipe would be waited for.
        let found = path.metadata().map_err(read)?;
        if !found.is_file() {
            let what = if found.is_dir() { "a directory" } else { "no ordinary file" };
            return Err(FetchError::Neither { path: path.to_owned(), what });
        }
        let file = File::open(path).map_err(read)?;
        let mut magic = [0; package::MAGIC.len()];
        // What is shorter than that is none.
        let is_package = file.read_exact_at(&mut magic, 0).is_ok() && magic == package::MAGIC;
        if !is_package {
            let parts = Box::new(Files::open(file, path, modules, bounds)?);
            return Ok(Opened { parts, package: None });
        }
        if modules.is_some() {
            return Err(FetchError::OwnModules(path.to_owned()));
        }
        let package = Package::open(file, path, bounds)?;
        let digest = package.digest(path)?;
        Ok(Opened { parts: Box::new(package), package: Some(digest) })
    }
}

/// What there is, of one kernel.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) release: Release,
    pub(super) inventory: Inventory,
}

/// What has been seen so far.
struct Seen<'b> {
    bounds: &'b KernelBounds,
    kernels: Vec<Release>,
    inventories: BTreeMap<Release, Inventory>,
    metadata: u64,
    unpacked: u64,
}

#[cfg(any(test, fuzzing))]
impl<'b> Opened<'b> {
    /// A package that no file holds.
    pub(super) fn of_package(package: Package<'b>) -> Opened<'b> {
        Opened { parts: Box::new(package), package: None }
    }
}

impl Opened<'_> {
    /// The first walk: what there is.
    pub(super) fn survey(&self, bounds: &KernelBounds) -> Result<Survey, FetchError> {
        let mut seen = Seen { bounds, kernels: Vec::new(), inventories: BTreeMap::new(), metadata: 0, unpacked: 0 };
        self.parts.walk(&mut |part, content| seen.see(part, content))?;
        let Seen { kernels, mut inventories, .. } = seen;
        let [release] = kernels.as_slice() else { return Err(FetchError::Kernels(kernels)) };
        let inventory = inventories.remove(release).unwrap_or_default();
        Ok(Survey { release: release.clone(), inventory })
    }

    /// The second walk: what is wanted of it. Shows the kernel, packed as it is, and modules, unpacked.
    pub(super) fn take(
        &self,
        release: &Release,
        bounds: &KernelBounds,
        is_wanted: &dyn Fn(&ModuleName) -> bool,
        take: &mut dyn FnMut(Taken) -> Result<(), FetchError>,
    ) -> Result<(), FetchError> {
        self.parts.walk(&mut |part, content| match part.kind {
            _ if part.release != *release => Ok(()),
            PartKind::Kernel => take(Taken::Kernel(read_whole(content, bounds.file, "the kernel")?)),
            PartKind::Module(name) if is_wanted(&name) => {
                let bytes = module(&name, content, bounds)?;
                take(Taken::Module(name, bytes))
            }
            _ => Ok(()),
        })
    }
}

/// A part with its content.
pub(super) enum Taken {
    Kernel(Vec<u8>),
    Module(ModuleName, Vec<u8>),
}

impl Seen<'_> {
    fn see(&mut self, part: Part, content: &mut (dyn Read + Send)) -> Result<(), FetchError> {
        let Part { release, kind } = part;
        match kind {
            PartKind::Kernel => {
                self.count(release.to_string().len() as u64)?;
                self.kernels.push(release);
            }
            PartKind::Module(name) => {
                let bytes = module(&name, content, self.bounds)?;
                let info =
                    ModuleInfo::read(&bytes).map_err(|fault| FetchError::Module { name: name.clone(), fault })?;
                if info.release != release {
                    return Err(FetchError::Other { name, built: info.release, release });
                }
                self.count(info.metadata())?;
                self.unpacked = self.unpacked.saturating_add(bytes.len() as u64);
                if self.bounds.unpacked < self.unpacked {
                    return Err(KernelExceeded::Unpacked(self.bounds.unpacked).into());
                }
                let modules = &mut self.inventories.entry(release).or_default().modules;
                if modules.insert(name.clone(), info).is_some() {
                    return Err(FetchError::Twice(name));
                }
            }
            PartKind::Builtin => {
                let list = self.list(content, "the list `modules.builtin`")?;
                let files =
                    list.split(|byte| *byte == b'\n').filter_map(|path| path.rsplit(|byte| *byte == b'/').next());
                let builtin = &mut self.inventories.entry(release).or_default().builtin;
                builtin.extend(files.filter_map(ModuleName::of_file));
            }
            PartKind::BuiltinInfo => {
                let list = self.list(content, "the list `modules.builtin.modinfo`")?;
                let aliases = said(&list).filter(|(key, _)| key.ends_with(".alias"));
                let builtin = &mut self.inventories.entry(release).or_default().builtin;
                builtin.extend(aliases.filter_map(|(_, alias)| ModuleName::new(alias)));
            }
        }
        Ok(())
    }

    /// A list that is held in memory, more or less.
    fn list(&mut self, content: &mut (dyn Read + Send), what: &str) -> Result<Vec<u8>, FetchError> {
        let list = read_whole(content, self.bounds.metadata, what)?;
        self.count(list.len() as u64)?;
        Ok(list)
    }

    fn count(&mut self, bytes: u64) -> Result<(), KernelExceeded> {
        self.metadata = self.metadata.saturating_add(bytes);
        let most = self.bounds.metadata;
        if most < self.metadata { Err(KernelExceeded::Metadata(most)) } else { Ok(()) }
    }
}

/// A module's file, unpacked.
fn module(name: &ModuleName, content: &mut (dyn Read + Send), bounds: &KernelBounds) -> Result<Vec<u8>, FetchError> {
    let what = format!("the module `{name}`");
    let content = unpacked(BufReader::with_capacity(64 << 10, content));
    read_whole(&mut content.map_err(|source| FetchError::Part { what: what.clone(), source })?, bounds.file, &what)
}
