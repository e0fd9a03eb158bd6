//! What is made beneath a directory of ours, and nowhere else.
//!
//! In the root of a cell stand links that strangers made, and beside them the warden makes files, directories and places to mount on, with
//! all its rights. So a path is gone by name after name, each in the directory that was opened before it, and never through a link:
//! where one stands in the way, making fails, whoever was to see to it that none does.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, makedev, mkdirat, mknodat, openat2, symlinkat,
};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, move_mount};

/// The mode of a text in a root that is read-only.
pub(crate) const TEXT: Mode = Mode::from_raw_mode(0o644);
/// And that of a program.
pub(crate) const PROGRAM: Mode = Mode::from_raw_mode(0o755);

const DIRECTORY: Mode = Mode::from_raw_mode(0o755);

/// A directory of ours. Paths are relative to it, and lead downwards.
pub(crate) struct Beneath<'a> {
    directory: BorrowedFd<'a>,
    owner: Option<u32>,
    /// What was made for the owner.
    made: RefCell<Vec<OwnedFd>>,
}

impl<'a> Beneath<'a> {
    /// This one. What is made is to be the owner's, or is the maker's where there is no other.
    pub(crate) fn new(directory: BorrowedFd<'a>, owner: Option<u32>) -> Beneath<'a> {
        Beneath { directory, owner, made: RefCell::default() }
    }

    /// Whose it is what is made, unless it is the maker's.
    pub(crate) fn owner(&self) -> Option<u32> {
        self.owner
    }

    /// Makes a directory and those above it, unless they are there.
    pub(crate) fn make_directory(&self, path: &Path) -> Result<(), Errno> {
        self.directory(path).map(drop)
    }

    /// Makes a file that is not there yet, and the directories above it.
    pub(crate) fn make_file(&self, path: &Path, content: &[u8], mode: Mode) -> Result<(), Errno> {
        let (parent, name) = self.parent_of(path)?;
        let file = open(parent.as_fd(), name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, mode)?;
        let mut rest = content;
        while !rest.is_empty() {
            let written = rustix::io::write(&file, rest)?;
            rest = &rest[written..];
        }
        self.note(&parent, name)
    }

    /// Makes a link, and the directories above it. What it leads to is the business of who follows it.
    pub(crate) fn make_link(&self, path: &Path, target: &Path) -> Result<(), Errno> {
        let (parent, name) = self.parent_of(path)?;
        symlinkat(target, &parent, name)?;
        self.note(&parent, name)
    }

    /// Makes a node of a character device that everybody may use, and the directories above it.
    pub(crate) fn make_device(&self, path: &Path, major: u32, minor: u32) -> Result<(), Errno> {
        let (parent, name) = self.parent_of(path)?;
        mknodat(&parent, name, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(major, minor))?;
        self.note(&parent, name)
    }

    /// Gives all that was made to the owner. Last of all, since not every root may make anything in what is another's.
    pub(crate) fn hand_over(self) -> Result<(), Errno> {
        let Beneath { directory: _, owner, made } = self;
        made.take().iter().try_for_each(|made| give(made.as_fd(), owner))
    }

    /// Mounts a tree on what is there.
    pub(crate) fn mount(&self, tree: BorrowedFd<'_>, path: &Path) -> Result<(), Errno> {
        let (parent, name) = self.parent_of(path)?;
        let place = open(parent.as_fd(), name, OFlags::PATH, Mode::empty())?;
        let both = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(tree, c"", &place, c"", both)
    }

    /// The directory above, made if it is not there, and the name in it.
    fn parent_of<'b>(&self, path: &'b Path) -> Result<(OwnedFd, &'b OsStr), Errno> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        Ok((self.directory(path.parent().unwrap_or(Path::new("")))?, name))
    }

    fn directory(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let mut directory = open(self.directory, OsStr::new("."), OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        for part in path.components() {
            // Views are made by trusted code; a path that leads upwards is a mistake of ours.
            let Component::Normal(name) = part else { return Err(Errno::INVAL) };
            match mkdirat(&directory, name, DIRECTORY) {
                Ok(()) => self.note(&directory, name)?,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            directory = open(directory.as_fd(), name, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        }
        Ok(directory)
    }

    /// Keeps in mind what was made there, whatever comes to be mounted on it, if it is to be another's.
    fn note(&self, parent: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
        if self.owner.is_some() {
            let made = open(parent.as_fd(), name, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
            self.made.borrow_mut().push(made);
        }
        Ok(())
    }
}

/// Gives what this is to the owner, if that is another.
pub(crate) fn give(what: BorrowedFd<'_>, owner: Option<u32>) -> Result<(), Errno> {
    let Some(owner) = owner else { return Ok(()) };
    chownat(what, c"", Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)), AtFlags::EMPTY_PATH)
}

/// Opens, or makes, what has this name in a directory and is no link.
fn open(directory: BorrowedFd<'_>, name: &OsStr, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(directory, name, flags | OFlags::CLOEXEC, mode, within)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_is_made_stands_where_it_was_to_with_all_above_it() {
        let place = tempfile::tempdir().unwrap();
        let root = File::open(place.path()).unwrap();
        let beneath = Beneath::new(root.as_fd(), None);
        beneath.make_directory(Path::new("dev/shm")).unwrap();
        beneath.make_directory(Path::new("dev")).unwrap();
        beneath.make_file(Path::new("opt/firebox/bin/tool"), b"words", PROGRAM).unwrap();
        beneath.make_link(Path::new("dev/fd"), Path::new("/proc/self/fd")).unwrap();
        let at = |path: &str| place.path().join(path);
        assert!(at("dev/shm").is_dir());
        assert_eq!(fs::read(at("opt/firebox/bin/tool")).unwrap(), b"words");
        assert_eq!(fs::metadata(at("opt/firebox/bin/tool")).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_link(at("dev/fd")).unwrap(), Path::new("/proc/self/fd"));
        for wrong in ["../x", "/x", "", "dev/../x", "."] {
            let path = Path::new(wrong);
            assert_eq!(beneath.make_file(path, b"", TEXT), Err(Errno::INVAL), "{wrong}");
        }
        assert_eq!(beneath.make_file(Path::new("dev/fd"), b"", TEXT), Err(Errno::EXIST));
    }

    #[test]
    fn nothing_is_made_through_a_link_wherever_that_leads() {
        let place = tempfile::tempdir().unwrap();
        let (root, victim) = (place.path().join("root"), place.path().join("victim"));
        for directory in [root.join("within"), victim.join("below")] {
            fs::create_dir_all(directory).unwrap();
        }
        fs::write(victim.join("file"), "as it was").unwrap();
        let before = fs::metadata(&victim).unwrap();
        let directory = File::open(&root).unwrap();
        let beneath = Beneath::new(directory.as_fd(), None);
        for target in [victim.to_str().unwrap(), "../victim", "within", "within/../../victim", "/proc/self/cwd"] {
            symlink(target, root.join("etc")).unwrap();
            let refused = [Err(Errno::LOOP), Err(Errno::NOTDIR)];
            for path in ["etc/passwd", "etc/below/file", "etc/new/file"].map(Path::new) {
                assert!(refused.contains(&beneath.make_file(path, b"ours", TEXT)), "{target}: {path:?}");
                assert!(refused.contains(&beneath.make_directory(path)), "{target}: {path:?}");
                assert!(refused.contains(&beneath.make_link(path, Path::new("/"))), "{target}: {path:?}");
                assert!(refused.contains(&beneath.make_device(path, 1, 3)), "{target}: {path:?}");
                assert!(refused.contains(&beneath.mount(directory.as_fd(), path)), "{target}: {path:?}");
            }
            // Nor instead of one, nor on what it leads to.
            let itself = Path::new("etc");
            assert_eq!(beneath.make_file(itself, b"ours", TEXT), Err(Errno::EXIST), "{target}");
            assert_eq!(beneath.mount(directory.as_fd(), itself), Err(Errno::LOOP), "{target}");
            assert!(refused.contains(&beneath.make_directory(itself)), "{target}");
            fs::remove_file(root.join("etc")).unwrap();
        }
        assert_eq!(fs::read_dir(root.join("within")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 2);
        assert_eq!(fs::read_dir(victim.join("below")).unwrap().count(), 0);
        assert_eq!(fs::read(victim.join("file")).unwrap(), b"as it was");
        assert_eq!(fs::metadata(&victim).unwrap().mtime_nsec(), before.mtime_nsec());
    }
}
