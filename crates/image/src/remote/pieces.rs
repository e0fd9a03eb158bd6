//! Large objects, which are sent in pieces and become objects by a last word.
//!
//! An upload has a name of its own, and its pieces may be sent in any order and by different processes. So whoever was
//! interrupted can go on with it, if they wrote down ([`journal`](super::journal)) what they had been told.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path as HostPath, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Error, Result};
use rustix::fs::OFlags;
use tokio::task::spawn_blocking;

use crate::store::random;

/// Where a piece belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// Counted from 0.
    pub(super) number: usize,
    /// How many bytes of the object are before it.
    pub(super) at: u64,
}

/// A place that takes objects in pieces.
#[async_trait]
pub(super) trait TakesPieces: fmt::Debug + Send + Sync {
    /// Begins an upload, and says what it is called.
    async fn begin(&self, object: &Path) -> Result<String>;

    /// Takes a piece, and says what it is called.
    async fn put(&self, object: &Path, upload: &str, position: Position, bytes: Bytes) -> Result<String>;

    /// Makes an object of these pieces, which are all there are.
    async fn complete(&self, object: &Path, upload: &str, pieces: Vec<String>) -> Result<()>;

    /// Forgets an upload.
    async fn give_up(&self, object: &Path, upload: &str) -> Result<()>;
}

#[async_trait]
impl<T: MultipartStore + fmt::Debug> TakesPieces for T {
    async fn begin(&self, object: &Path) -> Result<String> {
        self.create_multipart(object).await
    }

    async fn put(&self, object: &Path, upload: &str, position: Position, bytes: Bytes) -> Result<String> {
        let upload = upload.to_owned();
        self.put_part(object, &upload, position.number, bytes.into()).await.map(|part| part.content_id)
    }

    async fn complete(&self, object: &Path, upload: &str, pieces: Vec<String>) -> Result<()> {
        let parts = pieces.into_iter().map(|content_id| PartId { content_id }).collect();
        self.complete_multipart(object, &upload.to_owned(), parts).await.map(drop)
    }

    async fn give_up(&self, object: &Path, upload: &str) -> Result<()> {
        self.abort_multipart(object, &upload.to_owned()).await
    }
}

/// A directory of this host. An upload is a file beside the one that it becomes.
#[derive(Debug)]
pub(super) struct Directory(pub(super) LocalFileSystem);

#[async_trait]
impl TakesPieces for Directory {
    async fn begin(&self, object: &Path) -> Result<String> {
        // No list of the directory has names that end so.
        let upload = format!("#{}", random().map_err(wrong)? as u64);
        let (beside, made) = (self.beside(object, &upload)?, upload.clone());
        blocking(move || {
            std::fs::create_dir_all(beside.parent().unwrap_or(&beside))?;
            File::create_new(&beside).map(|_| made)
        })
        .await
    }

    async fn put(&self, object: &Path, upload: &str, position: Position, bytes: Bytes) -> Result<String> {
        let beside = self.beside(object, upload)?;
        blocking(move || {
            let file = open_ours(&beside)?;
            file.write_all_at(&bytes, position.at)?;
            // Whoever goes on after the host has lost its power takes it to be there.
            file.sync_data()?;
            Ok(String::new())
        })
        .await
    }

    async fn complete(&self, object: &Path, upload: &str, _: Vec<String>) -> Result<()> {
        let (beside, place) = (self.beside(object, upload)?, self.0.path_to_filesystem(object)?);
        blocking(move || {
            open_ours(&beside)?.sync_all()?;
            std::fs::rename(&beside, &place)?;
            let directory = place.parent().unwrap_or(&place);
            File::open(directory)?.sync_all()
        })
        .await
    }

    async fn give_up(&self, object: &Path, upload: &str) -> Result<()> {
        let beside = self.beside(object, upload)?;
        blocking(move || std::fs::remove_file(beside)).await
    }
}

impl Directory {
    fn beside(&self, object: &Path, upload: &str) -> Result<PathBuf> {
        let number = upload.strip_prefix('#').filter(|number| number.parse::<u64>().is_ok());
        let number = number.ok_or_else(|| wrong(io::Error::from(io::ErrorKind::NotFound)))?;
        let mut path = self.0.path_to_filesystem(object)?.into_os_string();
        path.push(format!("#{number}"));
        Ok(path.into())
    }
}

/// Opens a file that was begun by us. Others may write into the directory, and are not to choose what we write into.
fn open_ours(path: &HostPath) -> io::Result<File> {
    let file = OpenOptions::new().write(true).custom_flags(OFlags::NOFOLLOW.bits() as i32).open(path)?;
    let found = file.metadata()?;
    let is_ours = found.is_file() && found.nlink() == 1 && found.uid() == rustix::process::geteuid().as_raw();
    if is_ours { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await?.map_err(wrong)
}

fn wrong(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Generic { store: "directory", source: source.into() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const NUMBER: &str = "blobs/1234";

    fn at(number: usize, at: u64) -> Position {
        Position { number, at }
    }

    #[tokio::test]
    async fn pieces_come_in_any_order_and_are_an_object_at_the_end() {
        let place = tempfile::tempdir().unwrap();
        let open = || Directory(LocalFileSystem::new_with_prefix(place.path()).unwrap());
        let object = Path::from(NUMBER);
        let upload = open().begin(&object).await.unwrap();
        open().put(&object, &upload, at(1, 3), Bytes::from_static(b"def")).await.unwrap();
        // Another process goes on.
        open().put(&object, &upload, at(0, 0), Bytes::from_static(b"abc")).await.unwrap();
        assert!(!place.path().join(NUMBER).exists());
        open().complete(&object, &upload, Vec::new()).await.unwrap();
        assert_eq!(std::fs::read(place.path().join(NUMBER)).unwrap(), b"abcdef");
        assert_eq!(std::fs::read_dir(place.path().join("blobs")).unwrap().count(), 1);

        let upload = open().begin(&object).await.unwrap();
        open().give_up(&object, &upload).await.unwrap();
        assert_eq!(std::fs::read_dir(place.path().join("blobs")).unwrap().count(), 1);
        let gone = open().put(&object, &upload, at(0, 0), Bytes::new()).await.unwrap_err();
        assert!(gone.to_string().contains("No such file"), "{gone}");
    }

    #[tokio::test]
    async fn nobody_else_chooses_what_is_written_into() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory(LocalFileSystem::new_with_prefix(place.path()).unwrap());
        let object = Path::from(NUMBER);
        let upload = directory.begin(&object).await.unwrap();
        let (beside, other) = (place.path().join(format!("{NUMBER}{upload}")), place.path().join("other"));
        std::fs::write(&other, "precious").unwrap();
        std::fs::remove_file(&beside).unwrap();
        symlink(&other, &beside).unwrap();
        directory.put(&object, &upload, at(0, 0), Bytes::from_static(b"x")).await.unwrap_err();
        std::fs::remove_file(&beside).unwrap();
        std::fs::hard_link(&other, &beside).unwrap();
        directory.put(&object, &upload, at(0, 0), Bytes::from_static(b"x")).await.unwrap_err();
        assert_eq!(std::fs::read(&other).unwrap(), b"precious");
        for odd in ["", "#", "#../../other", "#1/2", "1"] {
            assert!(directory.beside(&object, odd).is_err(), "{odd}");
        }
    }
}
