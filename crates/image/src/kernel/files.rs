//! A kernel's file and the directory of its modules as something that holds a kernel: what a distribution has installed, or unpacked.
//!
//! Whoever names them has put them there, so links within are followed as everybody follows them; but not to a directory, which could
//! lead in a circle.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crate::kernel::bounds::KernelBounds;
use crate::kernel::error::{FetchError, KernelExceeded};
use crate::kernel::parts::{Counter, Part, PartKind, Parts, Visit};
use crate::kernel::release::Release;

/// The two, found.
pub(super) struct Files<'b> {
    kernel: Vec<u8>,
    release: Release,
    modules: PathBuf,
    bounds: &'b KernelBounds,
}

impl<'b> Files<'b> {
    /// Reads the kernel and finds its modules: in a directory that was named, or in one that holds those of many, or where the host
    /// has its own.
    pub(super) fn open(
        file: File,
        path: &Path,
        modules: Option<&Path>,
        bounds: &'b KernelBounds,
    ) -> Result<Files<'b>, FetchError> {
        let mut kernel = Vec::new();
        let read = file.take(bounds.file + 1).read_to_end(&mut kernel);
        read.map_err(|source| FetchError::Read { path: path.to_owned(), source })?;
        if bounds.file < kernel.len() as u64 {
            let (found, most) = (kernel.len() as u64, bounds.file);
            return Err(KernelExceeded::Package { path: path.to_owned(), found, most }.into());
        }
        let release = Release::of_kernel(&kernel).ok_or_else(|| FetchError::Nameless(path.to_owned()))?;
        let modules = place_of_modules(&release, modules)?;
        Ok(Files { kernel, release, modules, bounds })
    }

    fn walk_directory(
        &self,
        directory: &Path,
        depth: usize,
        counter: &mut Counter<'_>,
        visit: Visit<'_>,
    ) -> Result<(), FetchError> {
        let read = |source| FetchError::Read { path: directory.to_owned(), source };
        for entry in std::fs::read_dir(directory).map_err(read)? {
            counter.entry()?;
            let path = entry.map_err(read)?.path();
            let unread = |source| FetchError::Read { path: path.clone(), source };
            if path.symlink_metadata().map_err(unread)?.is_dir() {
                if depth < KernelBounds::DEPTH {
                    self.walk_directory(&path, depth + 1, counter, visit)?;
                }
                continue;
            }
            let within = path.strip_prefix(&self.modules).map(|path| path.as_os_str().as_encoded_bytes());
            let Some(kind) = within.ok().and_then(PartKind::within) else { continue };
            let found = path.metadata().map_err(unread)?;
            if found.is_file() {
                counter.bytes(found.len())?;
                let mut file = BufReader::new(File::open(&path).map_err(unread)?);
                visit(Part { release: self.release.clone(), kind }, &mut file)?;
            }
        }
        Ok(())
    }
}

/// The first directory that there is.
fn place_of_modules(release: &Release, named: Option<&Path>) -> Result<PathBuf, FetchError> {
    let release_text = release.to_string();
    let below = |root: &Path| ["lib/modules", "usr/lib/modules"].map(|place| root.join(place).join(&release_text));
    let looked = match named {
        Some(named) => [named.join(&release_text)].into_iter().chain(below(named)).chain([named.to_owned()]).collect(),
        None => below(Path::new("/")).to_vec(),
    };
    let found = looked.iter().find(|directory| directory.is_dir()).cloned();
    found.ok_or_else(|| FetchError::NoModules { release: release.clone(), looked })
}

impl Parts for Files<'_> {
    fn walk(&self, visit: Visit<'_>) -> Result<(), FetchError> {
        visit(Part { release: self.release.clone(), kind: PartKind::Kernel }, &mut self.kernel.as_slice())?;
        self.walk_directory(&self.modules, 0, &mut Counter::new(self.bounds), visit)
    }
}
