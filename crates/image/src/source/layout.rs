//! `oci:DIR[:tag]` and `oci-archive:FILE[:tag]`: what `skopeo copy` and `umoci` write.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};

use crate::document::{Descriptor, Document, IndexEntry};
use crate::source::archive::Members;
use crate::source::{Source, SourceError, read_bounded};

/// Images in a directory, or in an archive of such a directory; one of them is meant.
pub struct OciLayout {
    place: PathBuf,
    files: Files,
    tag: Option<String>,
}

enum Files {
    Directory(OwnedFd),
    Archive(Members),
}

impl OciLayout {
    /// A directory.
    pub fn directory(path: &Path, tag: Option<&str>) -> Result<OciLayout, SourceError> {
        let opened = open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let opened = opened.map_err(|errno| SourceError::File { path: path.to_owned(), source: errno.into() })?;
        Ok(OciLayout { place: path.to_owned(), files: Files::Directory(opened), tag: tag.map(str::to_owned) })
    }

    /// An archive.
    pub fn archive(path: &Path, tag: Option<&str>) -> Result<OciLayout, SourceError> {
        let members = Members::of(path)?;
        Ok(OciLayout { place: path.to_owned(), files: Files::Archive(members), tag: tag.map(str::to_owned) })
    }

    fn file(&self, path: &str, from: u64) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        match &self.files {
            Files::Archive(members) => members.read(path.as_bytes(), from),
            Files::Directory(directory) => {
                let wrong = |source| SourceError::File { path: self.place.join(path), source };
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
                let opened = openat2(directory, path, flags, Mode::empty(), beneath);
                let opened = opened.map_err(|errno| wrong(errno.into()))?;
                let kind = fstat(&opened).map(|status| FileType::from_raw_mode(status.st_mode));
                // A pipe would keep us waiting, and a device is nobody's image.
                if kind.map_err(|errno| wrong(errno.into()))? != FileType::RegularFile {
                    return Err(wrong(std::io::ErrorKind::InvalidInput.into()));
                }
                let mut file = File::from(opened);
                file.seek(SeekFrom::Start(from)).map_err(wrong)?;
                Ok(Box::new(file))
            }
        }
    }

    fn choose(&self, entries: Vec<IndexEntry>) -> Result<Vec<IndexEntry>, SourceError> {
        let place = self.place.display().to_string();
        let mut tags: Vec<String> = entries.iter().filter_map(|entry| entry.tag.clone()).collect();
        tags.dedup();
        match &self.tag {
            Some(tag) => {
                let chosen: Vec<_> = entries.into_iter().filter(|entry| entry.tag.as_ref() == Some(tag)).collect();
                let what = format!("image `{tag}`; it has {}", tags.join(", "));
                if chosen.is_empty() { Err(SourceError::Missing { place, what }) } else { Ok(chosen) }
            }
            None if tags.len() < 2 => Ok(entries),
            None => Err(SourceError::Several { place, tags: tags.join(", ") }),
        }
    }
}

impl Source for OciLayout {
    fn root(&self, most: u64) -> Result<Vec<u8>, SourceError> {
        let bytes = read_bounded(self.file("index.json", 0)?, "index", most)?;
        let Document::Index(entries) = Document::parse(&bytes)? else { return Ok(bytes) };
        match self.choose(entries)?.as_slice() {
            // What has a tag is the image, whatever the directory says of its platform.
            [only] => {
                let bytes = self.document(&only.descriptor, most)?;
                super::checked("manifest", &only.descriptor, bytes)
            }
            [] => Err(SourceError::Missing { place: self.place.display().to_string(), what: "images".to_owned() }),
            _ => Ok(bytes),
        }
    }

    fn document(&self, descriptor: &Descriptor, most: u64) -> Result<Vec<u8>, SourceError> {
        read_bounded(self.blob(descriptor, 0)?, "manifest", most)
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        self.file(&format!("blobs/sha256/{}", descriptor.digest.hex()), from)
    }
}
