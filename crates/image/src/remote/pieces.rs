//! Large objects, which are sent in pieces and become objects by a last word.
//!
//! An upload has a name of its own, and its pieces may be sent in any order and by different processes. So whoever was
//! interrupted can go on with it, if they wrote down ([`journal`](super::journal)) what they had been told.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path as HostPath, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Error, Result};
use rustix::fs::OFlags;
use tokio::task::spawn_blocking;

use crate::mutex::locked;
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

/// A directory of this host. An upload is a file beside the one that it becomes, and is called by its number and by which file it is.
#[derive(Debug)]
pub(super) struct Directory {
    files: LocalFileSystem,
    /// The uploads of this process.
    open: Mutex<HashMap<PathBuf, Arc<File>>>,
}

/// What nobody has added to for so long is nobody's any more.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);

#[async_trait]
impl TakesPieces for Directory {
    async fn begin(&self, object: &Path) -> Result<String> {
        // No list of the directory has names that end so.
        let number = random().map_err(wrong)? as u64;
        let (beside, made) = (self.beside(object, number)?, self.beside(object, number)?);
        let file = blocking(move || {
            make_folders(beside.parent().unwrap_or(&beside))?;
            // One that is not to be had, or not to be looked through, keeps nobody from sending.
            let _ = remove_forgotten(&beside);
            File::create_new(&beside)
        })
        .await?;
        let found = file.metadata().map_err(wrong)?;
        locked(&self.open).insert(made, Arc::new(file));
        Ok(format!("{number} {} {}", found.dev(), found.ino()))
    }

    async fn put(&self, object: &Path, upload: &str, position: Position, bytes: Bytes) -> Result<String> {
        let (file, _) = self.open(object, upload)?;
        blocking(move || {
            file.write_all_at(&bytes, position.at)?;
            // Whoever goes on after the host has lost its power takes it to be there.
            file.sync_data()?;
            Ok(String::new())
        })
        .await
    }

    async fn complete(&self, object: &Path, upload: &str, _: Vec<String>) -> Result<()> {
        let (file, beside) = self.open(object, upload)?;
        let place = self.files.path_to_filesystem(object)?;
        locked(&self.open).remove(&beside);
        blocking(move || {
            file.sync_all()?;
            std::fs::rename(&beside, &place)?;
            sync(place.parent().unwrap_or(&place))
        })
        .await
    }

    async fn give_up(&self, object: &Path, upload: &str) -> Result<()> {
        let (_, beside) = self.open(object, upload)?;
        locked(&self.open).remove(&beside);
        blocking(move || std::fs::remove_file(beside)).await
    }
}

impl Directory {
    pub(super) fn new(files: LocalFileSystem) -> Directory {
        Directory { files, open: Mutex::default() }
    }

    fn beside(&self, object: &Path, number: u64) -> Result<PathBuf> {
        let mut path = self.files.path_to_filesystem(object)?.into_os_string();
        path.push(format!("#{number}"));
        Ok(path.into())
    }

    /// The file of an upload, and where it is. Others may write into the directory, and are not to choose what we write into: it is
    /// the file that was begun, or there is none.
    fn open(&self, object: &Path, upload: &str) -> Result<(Arc<File>, PathBuf)> {
        let gone = || wrong(io::Error::from(io::ErrorKind::NotFound));
        let numbers: Vec<u64> = upload.split(' ').map_while(|number| number.parse().ok()).collect();
        let [number, device, inode] = numbers[..] else { return Err(gone()) };
        let beside = self.beside(object, number)?;
        let mut open = locked(&self.open);
        if let Some(file) = open.get(&beside) {
            return Ok((file.clone(), beside));
        }
        // Nor is a link followed, or a pipe waited for.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let file = OpenOptions::new().write(true).custom_flags(flags).open(&beside).map_err(|_| gone())?;
        let found = file.metadata().map_err(wrong)?;
        if !found.is_file() || (found.dev(), found.ino()) != (device, inode) {
            return Err(gone());
        }
        let file = Arc::new(file);
        open.insert(beside.clone(), file.clone());
        Ok((file, beside))
    }
}

/// Makes a folder, and has the disk know of it.
fn make_folders(folder: &HostPath) -> io::Result<()> {
    let missing: Vec<_> = folder.ancestors().take_while(|above| !above.exists()).collect();
    std::fs::create_dir_all(folder)?;
    missing.iter().rev().filter_map(|made| made.parent()).try_for_each(sync)
}

fn sync(folder: &HostPath) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes what others have begun of the same object, and left: there is no rule that does so in a directory.
fn remove_forgotten(beside: &HostPath) -> io::Result<()> {
    let (Some(folder), Some(name)) = (beside.parent(), beside.file_name().and_then(|name| name.to_str())) else {
        return Ok(());
    };
    let begun = name.split_inclusive('#').next().unwrap_or(name);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let is_begun = entry.file_name().to_str().is_some_and(|name| name.starts_with(begun));
        // Whatever becomes of one in the meantime, it is not in our way.
        let age = || entry.metadata().and_then(|found| found.modified()).ok()?.elapsed().ok();
        if is_begun && age().is_some_and(|age| FORGOTTEN < age) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
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

    const NAME: &str = "blobs/1234";

    fn at(number: usize, at: u64) -> Position {
        Position { number, at }
    }

    /// As a process sees it that has begun nothing yet.
    fn open(place: &tempfile::TempDir) -> Directory {
        Directory::new(LocalFileSystem::new_with_prefix(place.path()).unwrap())
    }

    fn files(place: &tempfile::TempDir) -> Vec<PathBuf> {
        std::fs::read_dir(place.path().join("blobs")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[tokio::test]
    async fn pieces_come_in_any_order_and_are_an_object_at_the_end() {
        let place = tempfile::tempdir().unwrap();
        let object = Path::from(NAME);
        let upload = open(&place).begin(&object).await.unwrap();
        open(&place).put(&object, &upload, at(1, 3), Bytes::from_static(b"def")).await.unwrap();
        let goes_on = open(&place);
        goes_on.put(&object, &upload, at(0, 0), Bytes::from_static(b"abc")).await.unwrap();
        assert!(!place.path().join(NAME).exists());
        goes_on.complete(&object, &upload, Vec::new()).await.unwrap();
        assert_eq!(std::fs::read(place.path().join(NAME)).unwrap(), b"abcdef");
        assert_eq!(files(&place).len(), 1);

        let upload = open(&place).begin(&object).await.unwrap();
        open(&place).give_up(&object, &upload).await.unwrap();
        assert_eq!(files(&place).len(), 1);
        let gone = open(&place).put(&object, &upload, at(0, 0), Bytes::new()).await.unwrap_err();
        assert!(gone.to_string().contains("not found"), "{gone}");
    }

    #[tokio::test]
    async fn nobody_else_chooses_what_is_written_into() {
        let place = tempfile::tempdir().unwrap();
        let object = Path::from(NAME);
        let upload = open(&place).begin(&object).await.unwrap();
        let [beside] = files(&place).try_into().unwrap();
        let other = place.path().join("other");
        std::fs::write(&other, "precious").unwrap();
        let swaps: [fn(&HostPath, &HostPath); 4] = [
            |other, beside| symlink(other, beside).unwrap(),
            |other, beside| std::fs::hard_link(other, beside).unwrap(),
            |_, beside| rustix::fs::mkfifoat(rustix::fs::CWD, beside, rustix::fs::Mode::RUSR).unwrap(),
            |_, beside| std::fs::create_dir(beside).unwrap(),
        ];
        for swap in swaps {
            std::fs::remove_file(&beside).unwrap();
            swap(&other, &beside);
            let put = open(&place).put(&object, &upload, at(0, 0), Bytes::from_static(b"x")).await.unwrap_err();
            // So whoever goes on begins anew.
            assert!(put.to_string().contains("not found"), "{put}");
        }
        assert_eq!(std::fs::read(&other).unwrap(), b"precious");
        for odd in ["", "1", "1 2", "1 2 3 4", "../x 2 3", "-1 2 3"] {
            assert!(open(&place).open(&object, odd).is_err(), "{odd}");
        }
    }

    #[tokio::test]
    async fn what_was_begun_long_ago_is_removed_by_the_next() {
        let place = tempfile::tempdir().unwrap();
        let (object, other) = (Path::from(NAME), Path::from("blobs/12345"));
        open(&place).begin(&other).await.unwrap();
        open(&place).begin(&object).await.unwrap();
        let long_ago = std::time::SystemTime::now() - FORGOTTEN - Duration::from_secs(60);
        files(&place).iter().for_each(|path| File::open(path).unwrap().set_modified(long_ago).unwrap());
        open(&place).begin(&object).await.unwrap();
        open(&place).begin(&object).await.unwrap();
        assert_eq!(files(&place).len(), 3, "another object's, and two that are young");
    }
}
