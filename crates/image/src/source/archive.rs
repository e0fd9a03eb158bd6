//! Archives on the disk whose members are read in any order.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::layer::path::{EntryPath, shown};
use crate::layer::tar::{Archive, Kind};
use crate::source::SourceError;

/// Where each file of an archive is.
pub(super) struct Members {
    path: PathBuf,
    file: File,
    places: HashMap<EntryPath, Member>,
}

#[derive(Clone)]
enum Member {
    File { at: u64, size: u64 },
    Link(EntryPath),
}

/// How many members are looked at: an image has a few for each of its layers.
const MOST: usize = 10_000;

impl Members {
    pub(super) fn of(path: &Path) -> Result<Members, SourceError> {
        let unreadable = |source| SourceError::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let mut archive = Archive::new(BufReader::with_capacity(1 << 20, file.try_clone().map_err(unreadable)?));
        let mut places = HashMap::new();
        let wrong = |source| SourceError::Archive { path: path.to_owned(), source };
        while let Some(header) = archive.next().map_err(wrong)? {
            let Ok(name) = EntryPath::new(&header.path) else { continue };
            let member = match header.kind {
                Kind::File => Member::File { at: archive.at(), size: header.size },
                Kind::HardLink | Kind::SymbolicLink => match target_of(&name, header.kind, &header.target) {
                    Some(target) => Member::Link(target),
                    None => continue,
                },
                Kind::Directory | Kind::Special => continue,
            };
            places.insert(name, member);
            if MOST < places.len() {
                let what = format!("images alone: it has more than {MOST} files");
                return Err(SourceError::Missing { place: path.display().to_string(), what });
            }
        }
        Ok(Members { path: path.to_owned(), file, places })
    }

    /// A member from a byte on.
    pub(super) fn read(&self, name: &[u8], from: u64) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        let (at, size) = self.find(name).ok_or_else(|| self.missing(name))?;
        let from = from.min(size);
        Ok(Box::new(Part { file: &self.file, at: at + from, left: size - from }))
    }

    pub(super) fn size(&self, name: &[u8]) -> Result<u64, SourceError> {
        self.find(name).map(|(_, size)| size).ok_or_else(|| self.missing(name))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn missing(&self, name: &[u8]) -> SourceError {
        SourceError::Missing { place: self.path.display().to_string(), what: format!("file `{}`", shown(name)) }
    }

    fn find(&self, name: &[u8]) -> Option<(u64, u64)> {
        let mut name = EntryPath::new(name).ok()?;
        // A layer that several images share is stored once, and linked to; links to links end soon or never.
        for _ in 0..8 {
            match self.places.get(&name)? {
                Member::File { at, size } => return Some((*at, *size)),
                Member::Link(target) => name = target.clone(),
            }
        }
        None
    }
}

/// Where a link leads within the archive.
fn target_of(name: &EntryPath, kind: Kind, target: &[u8]) -> Option<EntryPath> {
    if kind == Kind::HardLink || target.starts_with(b"/") {
        return EntryPath::new(target).ok();
    }
    let (above, _) = name.split()?;
    let mut parts: Vec<&[u8]> = above.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    EntryPath::new(&parts.join(&b'/')).ok()
}

/// A part of a file.
struct Part<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.left.min(buffer.len() as u64) as usize;
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}
