//! A tree as directories on the disk, for jails.
//!
//! Its files are those of its layers under other names, so it takes hardly any space and no time to speak of. Each name
//! is made in a directory that is open, and each directory was made here a moment before: there is no path to follow
//! and nothing to follow it through. The kernel is told to refuse if there were.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps, fchmod, futimens, linkat, mkdirat, openat2, symlinkat,
    utimensat,
};
use rustix::io::Errno;

use crate::layer::attributes;
use crate::layer::entry::Meta;
use crate::layer::path::shown;
use crate::tree::{Body, LayerNumber, NodeId, Tree};

/// Why a tree could not be laid out.
#[derive(Debug, thiserror::Error)]
#[error("cannot make `{path}` of the root filesystem")]
pub struct AssembleError {
    /// The name, as far as it can be shown.
    pub path: String,
    /// Why not.
    pub source: io::Error,
}

/// Makes in `root`, which is empty, all that is in the tree. `layers` are the directories of their files.
pub(crate) fn assemble(tree: &Tree, layers: &[OwnedFd], root: BorrowedFd<'_>) -> Result<(), AssembleError> {
    Assembling { tree, layers, copies: RefCell::default() }.fill(Tree::ROOT, root)
}

struct Assembling<'a> {
    tree: &'a Tree,
    layers: &'a [OwnedFd],
    /// Of files that have as many names as the filesystem allows, by layer and number: where a copy is that has fewer.
    copies: RefCell<HashMap<(LayerNumber, u32), Copied>>,
}

/// Where a copy is.
struct Copied {
    directory: OwnedFd,
    name: Vec<u8>,
}

impl Assembling<'_> {
    /// Descends as deep as `Bounds::DEPTH` says.
    fn fill(&self, id: NodeId, directory: BorrowedFd<'_>) -> Result<(), AssembleError> {
        let node = self.tree.node(id);
        let Body::Directory(children) = &node.body else { return Ok(()) };
        for (name, child) in children {
            let wrong = |source: io::Error| AssembleError { path: shown(name), source };
            match &self.tree.node(child.node).body {
                Body::Directory(_) => {
                    let made = make_directory(directory, name).map_err(|errno| wrong(errno.into()))?;
                    self.fill(child.node, made.as_fd())?;
                }
                Body::File(layer, content) => {
                    let meta = &self.tree.node(child.node).meta;
                    self.file((*layer, content.number), meta, directory, name).map_err(wrong)?;
                }
                Body::Link(target) => {
                    let modified = times(&self.tree.node(child.node).meta);
                    let made = symlinkat(&**target, directory, &**name)
                        .and_then(|()| utimensat(directory, &**name, &modified, AtFlags::SYMLINK_NOFOLLOW));
                    made.map_err(|errno| wrong(errno.into()))?;
                }
            }
        }
        let noted = attributes::set(directory, &node.meta.attributes);
        let dated = noted.and_then(|()| Ok(futimens(directory, &times(&node.meta))?));
        dated.map_err(|source| AssembleError { path: ".".to_owned(), source })
    }

    fn file(
        &self,
        (layer, number): (LayerNumber, u32),
        meta: &Meta,
        directory: BorrowedFd<'_>,
        name: &[u8],
    ) -> io::Result<()> {
        let mut copies = self.copies.borrow_mut();
        let files = self.layers[usize::from(layer)].as_fd();
        let linked = match copies.get(&(layer, number)) {
            Some(copied) => linkat(&copied.directory, &*copied.name, directory, name, AtFlags::empty()),
            None => linkat(files, number.to_string(), directory, name, AtFlags::empty()),
        };
        match linked {
            // Each copy is good for as many names again, so there are few of them, however many names an image has.
            Err(Errno::MLINK) => {
                copy_file(files, &number.to_string(), meta, directory, name)?;
                let directory = rustix::io::fcntl_dupfd_cloexec(directory, 0)?;
                copies.insert((layer, number), Copied { directory, name: name.to_vec() });
                Ok(())
            }
            linked => Ok(linked?),
        }
    }
}

/// Everybody may look into it: who may not look at all is kept out of the store.
fn make_directory(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    mkdirat(parent, name, Mode::RWXU)?;
    let made = open_directory(parent, name)?;
    fchmod(&made, Mode::from_raw_mode(0o755))?;
    Ok(made)
}

/// Opens what is a directory right there, and neither a link to one nor another filesystem's.
pub(super) fn open_directory(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let beneath =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    openat2(parent, name, flags, Mode::empty(), beneath)
}

fn times(meta: &Meta) -> Timestamps {
    let modified = Timespec { tv_sec: meta.modified.0, tv_nsec: meta.modified.1.into() };
    Timestamps { last_access: modified, last_modification: modified }
}

fn copy_file(
    files: BorrowedFd<'_>,
    number: &str,
    meta: &Meta,
    directory: BorrowedFd<'_>,
    name: &[u8],
) -> io::Result<()> {
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let open = openat2(files, number, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), beneath)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat2(directory, name, flags, Mode::RUSR | Mode::WUSR, beneath)?;
    let status = rustix::fs::fstat(&open)?;
    io::copy(&mut std::fs::File::from(open), &mut std::fs::File::from(made.try_clone()?))?;
    attributes::set(made.as_fd(), &meta.attributes)?;
    fchmod(&made, Mode::from_raw_mode(status.st_mode & 0o777))?;
    let modified = Timespec { tv_sec: status.st_mtime, tv_nsec: status.st_mtime_nsec as _ };
    Ok(futimens(&made, &Timestamps { last_access: modified, last_modification: modified })?)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::layer::entry::Attributes;

    #[test]
    fn no_directory_is_opened_but_what_is_right_there() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::create_dir(outside.path().join("inner")).unwrap();
        let place = tempfile::tempdir_in(outside.path()).unwrap();
        std::fs::create_dir(place.path().join("own")).unwrap();
        symlink(outside.path(), place.path().join("planted")).unwrap();
        let here = File::open(place.path()).unwrap();
        let opened = |name: &str| open_directory(here.as_fd(), name.as_bytes()).map(drop);
        assert_eq!(opened("own"), Ok(()));
        for (name, refused) in [
            ("..", Errno::XDEV),
            ("own/../..", Errno::XDEV),
            ("/", Errno::XDEV),
            ("planted", Errno::NOTDIR),
            ("planted/inner", Errno::LOOP),
        ] {
            assert_eq!(opened(name), Err(refused), "{name}");
        }
        // Nor what somebody mounted there.
        let root = File::open("/").unwrap();
        assert_eq!(open_directory(root.as_fd(), b"proc").map(drop), Err(Errno::XDEV));
    }

    #[test]
    fn a_copy_is_of_a_file_that_is_right_there_and_lands_there() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "secret").unwrap();
        let place = tempfile::tempdir_in(outside.path()).unwrap();
        std::fs::write(place.path().join("0"), "own").unwrap();
        symlink(outside.path().join("secret"), place.path().join("1")).unwrap();
        symlink(outside.path(), place.path().join("planted")).unwrap();
        let here = File::open(place.path()).unwrap();
        let meta = Meta { mode: 0o644, uid: 0, gid: 0, modified: (0, 0), attributes: Attributes::default() };
        let copied = |from: &str, to: &str| {
            let copied = copy_file(here.as_fd(), from, &meta, here.as_fd(), to.as_bytes());
            copied.map_err(|error| Errno::from_io_error(&error).unwrap())
        };
        copied("0", "copy").unwrap();
        for (from, to, refused) in [
            ("1", "x", Errno::LOOP),
            ("../secret", "x", Errno::XDEV),
            ("0", "planted/x", Errno::LOOP),
            ("0", "../x", Errno::XDEV),
        ] {
            assert_eq!(copied(from, to), Err(refused), "{from} to {to}");
        }
        assert!(!outside.path().join("x").exists() && !place.path().join("x").exists());
    }
}
