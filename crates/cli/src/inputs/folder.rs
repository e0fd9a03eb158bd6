//! All files of a folder.
//!
//! Whoever filled the folder may not be the one who runs it, so nothing in it may lead outside: the kernel itself is
//! told to resolve every name beneath the folder that was opened (`RESOLVE_BENEATH`, see openat2(2)), which no race
//! with a renamed directory gets around. Nothing is left out silently: what cannot go along is an error. Only folders
//! without files have nothing to bring.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use firebox_job::{SourceFile, SourcePath, Sources};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::inputs::InputError;
use crate::inputs::budget::Budget;
use crate::inputs::file::kind_name;

/// Reads every file below, in the order of their names.
pub(super) fn read(path: &Path, budget: &mut Budget) -> Result<Vec<SourceFile>, InputError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|errno| InputError::Unreadable { path: path.to_owned(), source: errno.into() })?;
    let folder = Folder { path, root };
    let mut files = Vec::new();
    // Not by recursion: the depth is somebody else's choice.
    let mut waiting = vec![None];
    while let Some(directory) = waiting.pop() {
        for name in folder.names(directory.as_ref())? {
            match folder.kind(&name)? {
                Found::Directory => waiting.push(Some(name)),
                Found::File => {
                    if files.len() == Sources::MAX_FILES {
                        return Err(InputError::TooManyFiles { path: path.to_owned() });
                    }
                    let content = folder.content(&name, budget)?;
                    files.push(SourceFile { path: name, content });
                }
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// What can go along.
enum Found {
    File,
    Directory,
}

struct Folder<'p> {
    path: &'p Path,
    root: OwnedFd,
}

impl Folder<'_> {
    /// The names in a directory, `None` being the folder itself.
    fn names(&self, directory: Option<&SourcePath>) -> Result<Vec<SourcePath>, InputError> {
        let at = directory.map_or(".", SourcePath::as_str);
        let unreadable = |errno| self.unreadable(at, errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let entries = Dir::new(self.open(at, flags).map_err(unreadable)?).map_err(unreadable)?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            if entry.file_name() == c"." || entry.file_name() == c".." {
                continue;
            }
            names.push(self.name(directory, entry.file_name())?);
        }
        Ok(names)
    }

    fn name(&self, directory: Option<&SourcePath>, name: &CStr) -> Result<SourcePath, InputError> {
        let Ok(name) = name.to_str() else {
            let name = name.to_string_lossy().into_owned();
            return Err(self.refused(&name, "has a name that is not UTF-8"));
        };
        // Checked here already, so that an endless depth ends the walk.
        Ok(match directory {
            Some(directory) => SourcePath::new(format!("{directory}/{name}"))?,
            None => SourcePath::new(name)?,
        })
    }

    fn kind(&self, name: &SourcePath) -> Result<Found, InputError> {
        let name = name.as_str();
        let unreadable = |errno| self.unreadable(name, errno);
        // Taken hold of by its name alone, so that a device or a pipe is looked at without being opened.
        let held = self.open(name, OFlags::PATH | OFlags::NOFOLLOW).map_err(unreadable)?;
        let stat = rustix::fs::statat(&held, "", AtFlags::EMPTY_PATH).map_err(unreadable)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Found::File),
            FileType::Directory => Ok(Found::Directory),
            FileType::Symlink => self.kind_behind_link(name),
            other => Err(self.refused(name, special(other))),
        }
    }

    fn kind_behind_link(&self, name: &str) -> Result<Found, InputError> {
        let target = match self.open(name, OFlags::PATH) {
            Ok(target) => target,
            Err(Errno::XDEV) => return Err(self.refused(name, "is a symbolic link that leads out of it")),
            Err(Errno::NOENT) => return Err(self.refused(name, "is a symbolic link that leads nowhere")),
            Err(Errno::LOOP) => return Err(self.refused(name, "is a symbolic link that leads in a circle")),
            Err(errno) => return Err(self.unreadable(name, errno)),
        };
        let stat =
            rustix::fs::statat(&target, "", AtFlags::EMPTY_PATH).map_err(|errno| self.unreadable(name, errno))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Found::File),
            // Followed, it would bring the same files under two names, or have no end.
            FileType::Directory => Err(self.refused(name, "is a symbolic link to a folder")),
            other => Err(self.refused(name, special(other))),
        }
    }

    fn content(&self, name: &SourcePath, budget: &mut Budget) -> Result<Vec<u8>, InputError> {
        let name = name.as_str();
        let unreadable = |errno| self.unreadable(name, errno);
        // Non-blocking, should it have become a pipe since it was looked at.
        let file = self.open(name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).map_err(unreadable)?;
        let stat = rustix::fs::fstat(&file).map_err(unreadable)?;
        if let Some(kind) = kind_name(FileType::from_raw_mode(stat.st_mode)) {
            return Err(InputError::NoFile { path: self.path.join(name), kind });
        }
        let what = format!("{name:?}");
        budget.expect(&what, u64::try_from(stat.st_size).unwrap_or(0))?;
        budget.read(&what, File::from(file), |source| InputError::UnreadableInside {
            folder: self.path.to_owned(),
            name: name.to_owned(),
            source,
        })
    }

    fn open(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.root, name, flags | OFlags::CLOEXEC, Mode::empty(), beneath)
    }

    fn unreadable(&self, name: &str, errno: Errno) -> InputError {
        let (folder, name) = (self.path.to_owned(), name.to_owned());
        InputError::UnreadableInside { folder, name, source: errno.into() }
    }

    fn refused(&self, name: &str, why: &'static str) -> InputError {
        InputError::Inside { folder: self.path.to_owned(), name: name.to_owned(), why }
    }
}

fn special(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "is a pipe",
        FileType::Socket => "is a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "is a device",
        _ => "is neither a file nor a folder",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use firebox_job::ByteSize;

    use super::*;

    fn read_all(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, String> {
        let files = read(folder, &mut Budget::new(ByteSize::mib(1))).map_err(|error| error.to_string())?;
        Ok(files.into_iter().map(|file| (file.path.to_string(), file.content)).collect())
    }

    #[test]
    fn a_link_to_a_file_inside_brings_that_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("a"), "A").unwrap();
        symlink("../a", folder.path().join("sub/link")).unwrap();
        let files = read_all(folder.path()).unwrap();
        assert_eq!(files, [("a".to_owned(), b"A".to_vec()), ("sub/link".to_owned(), b"A".to_vec())]);
    }

    #[test]
    fn what_cannot_go_along_is_named_and_nothing_is_left_out() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let secret = outside.path().join("secret");
        let check = |plant: &dyn Fn(&Path), words: &str| {
            let folder = tempfile::tempdir().unwrap();
            plant(folder.path());
            let error = read_all(folder.path()).unwrap_err();
            assert!(error.contains(words) && error.contains("\"x\""), "{error:?} does not say {words:?}");
        };
        check(&|folder| symlink(&secret, folder.join("x")).unwrap(), "leads out of it");
        check(&|folder| symlink("../x/y", folder.join("x")).unwrap(), "leads out of it");
        check(&|folder| symlink("nowhere", folder.join("x")).unwrap(), "leads nowhere");
        check(&|folder| symlink("x", folder.join("x")).unwrap(), "in a circle");
        check(&|folder| symlink(".", folder.join("x")).unwrap(), "a symbolic link to a folder");
        check(&|folder| drop(UnixListener::bind(folder.join("x")).unwrap()), "is a socket");
    }

    #[test]
    fn a_folder_that_goes_too_deep_ends_the_walk() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(["d"; SourcePath::MAX_DEPTH + 1].join("/"))).unwrap();
        assert!(read_all(folder.path()).unwrap_err().contains("33 parts"));
    }

    #[test]
    fn more_files_than_a_job_takes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..=Sources::MAX_FILES {
            fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        assert!(read_all(folder.path()).unwrap_err().contains("more than 1000 files"));
    }
}
