//! Whether the directories on the disk are still what the tree says.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};

use crate::layer::entry::Content;
use crate::layer::path::shown;
use crate::store::is_our_own_error;
use crate::tree::assemble::open_directory;
use crate::tree::{Body, Children, NodeId, Tree};

/// What a comparison found, each with its place.
pub(crate) struct Compared {
    /// What is wrong.
    pub(crate) differences: Vec<String>,
    /// What we could not look at, for reasons of our own.
    pub(crate) unread: Vec<String>,
}

/// Says of every place where they differ what is wrong there. `layers` are the directories of the layers' files, whose
/// content was checked: a file of the tree that is the same as theirs need not be read again.
pub(crate) fn compare(tree: &Tree, layers: &[OwnedFd], root: BorrowedFd<'_>) -> Compared {
    let compared = Compared { differences: Vec::new(), unread: Vec::new() };
    let mut checking = Checking { tree, layers, compared };
    checking.directory(Tree::ROOT, root, "");
    checking.compared
}

struct Checking<'a> {
    tree: &'a Tree,
    layers: &'a [OwnedFd],
    compared: Compared,
}

impl Checking<'_> {
    fn directory(&mut self, id: NodeId, directory: BorrowedFd<'_>, path: &str) {
        let tree = self.tree;
        let Body::Directory(children) = &tree.node(id).body else { return };
        if let Err(error) = self.strangers(children, directory, path) {
            self.unreadable(&format!("{path}/"), &error);
        }
        for (name, child) in children {
            let path = format!("{path}/{}", shown(name));
            match self.is_right(child.node, directory, name, &path) {
                Ok(true) => {}
                Ok(false) => self.compared.differences.push(format!("`{path}` is not what it was")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.compared.differences.push(format!("`{path}` is missing"));
                }
                Err(error) => self.unreadable(&path, &error),
            }
        }
    }

    fn is_right(&mut self, id: NodeId, directory: BorrowedFd<'_>, name: &[u8], path: &str) -> io::Result<bool> {
        let status = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let tree = self.tree;
        Ok(match (&tree.node(id).body, FileType::from_raw_mode(status.st_mode)) {
            (Body::Directory(_), FileType::Directory) => {
                let inner = open_directory(directory, name)?;
                self.directory(id, inner.as_fd(), path);
                true
            }
            (Body::File(layer, content), FileType::RegularFile) => {
                let files = &self.layers[usize::from(*layer)];
                is_same_file(files.as_fd(), content, &status) || holds(directory, name, content)?
            }
            (Body::Link(target), FileType::Symlink) => readlinkat(directory, name, Vec::new())?.as_bytes() == &**target,
            _ => false,
        })
    }

    fn unreadable(&mut self, path: &str, error: &io::Error) {
        let found = format!("`{path}` cannot be read: {error}");
        if is_our_own_error(error) { self.compared.unread.push(found) } else { self.compared.differences.push(found) }
    }

    /// Names that nobody put there.
    fn strangers(&mut self, children: &Children, directory: BorrowedFd<'_>, path: &str) -> io::Result<()> {
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") && !children.contains_key(name) {
                self.compared.differences.push(format!("`{path}/{}` should not be there", shown(name)));
            }
        }
        Ok(())
    }
}

fn is_same_file(files: BorrowedFd<'_>, content: &Content, status: &Stat) -> bool {
    let of_layer = statat(files, content.number.to_string(), AtFlags::SYMLINK_NOFOLLOW);
    of_layer.is_ok_and(|of_layer| (of_layer.st_dev, of_layer.st_ino) == (status.st_dev, status.st_ino))
}

/// Whether a file has the content that it had.
pub(crate) fn holds(directory: BorrowedFd<'_>, name: &[u8], content: &Content) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = std::fs::File::from(openat(directory, name, flags, Mode::empty())?);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 128 << 10];
    let mut size = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(size == content.size && *hasher.finalize().as_bytes() == content.hash),
            read => {
                hasher.update(&buffer[..read]);
                size += read as u64;
            }
        }
    }
}
