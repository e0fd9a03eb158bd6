//! A Debian package as something that holds a kernel: read here, by no program of the host, and installed nowhere.
//!
//! ```text
//! ar: debian-binary | control.tar.* | data.tar.* --unpack--> tar --compare--> boot/vmlinuz-V, lib/modules/V/...
//! ```
//!
//! No script of it runs. No file of it is written: what is wanted of it goes to whoever asked, by name.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::digest::{Digest, DigestingReader};
use crate::kernel::ar::{self, Place};
use crate::kernel::bounds::KernelBounds;
use crate::kernel::error::{FetchError, KernelExceeded};
use crate::kernel::parts::{Counter, Part, Parts, Visit, of_reading};
use crate::kernel::unpacked::unpacked;
use crate::layer::inflate::read_ahead;
use crate::layer::path::{EntryPath, shown};
use crate::layer::tar::{Archive, ArchiveError, Kind};

/// A package, opened.
pub(super) struct Package<'b> {
    file: File,
    data: Place,
    bounds: &'b KernelBounds,
}

/// How packages begin.
pub(super) const MAGIC: &[u8] = b"!<arch>\n";

impl<'b> Package<'b> {
    /// Finds out where its content is. The path is for messages.
    pub(super) fn open(file: File, path: &Path, bounds: &'b KernelBounds) -> Result<Package<'b>, FetchError> {
        let read = |source| FetchError::Read { path: path.to_owned(), source };
        let length = file.metadata().map_err(read)?.len();
        if bounds.package < length {
            let exceeded = KernelExceeded::Package { path: path.to_owned(), found: length, most: bounds.package };
            return Err(exceeded.into());
        }
        let members = ar::members(&file, length)?;
        let [(first, format), rest @ ..] = members.as_slice() else { return Err(FetchError::Content("it is empty")) };
        let mut version = Vec::new();
        format.read(&file).take(2).read_to_end(&mut version).map_err(read)?;
        if first != "debian-binary" || version != b"2." {
            return Err(FetchError::Content("it is no Debian package of format 2"));
        }
        let mut data = rest.iter().filter(|(name, _)| name.starts_with("data.tar"));
        let Some((name, place)) = data.next() else { return Err(FetchError::Content("it has no `data.tar`")) };
        if data.next().is_some() {
            return Err(FetchError::Content("it has two of `data.tar`"));
        }
        if !["data.tar", "data.tar.gz", "data.tar.xz", "data.tar.zst"].contains(&name.as_str()) {
            return Err(FetchError::Content("its `data.tar` is packed by none of gzip, xz and zstd"));
        }
        Ok(Package { data: *place, file, bounds })
    }

    /// The digest of the whole file.
    pub(super) fn digest(&self, path: &Path) -> Result<Digest, FetchError> {
        let read = |source| FetchError::Read { path: path.to_owned(), source };
        let mut reader = DigestingReader::new(Place::whole(self.file.metadata().map_err(read)?.len()).read(&self.file));
        io::copy(&mut reader, &mut io::sink()).map_err(read)?;
        Ok(reader.finish().0)
    }
}

impl Parts for Package<'_> {
    fn walk(&self, visit: Visit<'_>) -> Result<(), FetchError> {
        std::thread::scope(|scope| {
            let packed = BufReader::with_capacity(256 << 10, self.data.read(&self.file));
            let content = unpacked(packed).map_err(ArchiveError::Read)?;
            let counter = || Counter::new(self.bounds);
            walk_archive(Counted { input: read_ahead(scope, content), counter: counter() }, counter(), visit)
        })
    }
}

fn walk_archive(input: impl Read + Send, mut entries: Counter<'_>, visit: Visit<'_>) -> Result<(), FetchError> {
    let mut archive = Archive::new(input);
    while let Some(header) = archive.next().map_err(of_archive)? {
        entries.entry()?;
        let path =
            EntryPath::new(&header.path).map_err(|fault| FetchError::Path { path: shown(&header.path), fault })?;
        // A link is nothing but a name for something else, and no name is followed.
        if header.kind == Kind::File
            && let Some(part) = Part::at(&path)
        {
            visit(part, &mut archive.content())?;
        }
    }
    archive.finish().map_err(of_archive)
}

fn of_archive(error: ArchiveError) -> FetchError {
    match error {
        ArchiveError::Read(error) => match of_reading("", error) {
            FetchError::Part { source, .. } => ArchiveError::Read(source).into(),
            other => other,
        },
        other => other.into(),
    }
}

/// What comes out of an archive, counted whatever it is.
struct Counted<'b, R> {
    input: R,
    counter: Counter<'b>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.counter.bytes(read as u64).map_err(io::Error::other)?;
        Ok(read)
    }
}
