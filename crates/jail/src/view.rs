//! The read-only part of a cell's root, put together once and copied for every cell.
//!
//! Opened before the warden gives up its view of the host, mounted after it has. What a mount shows can then no
//! longer be changed by renaming anything on the host.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use firebox_cell::View;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, makedev, mkdirat, mknodat, openat, symlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_string,
    fsmount, fsopen, move_mount, open_tree,
};

use crate::files::PLACES;
use crate::sys::{Attributes, set_mount_attributes};

/// A view whose parts are open but not yet put together.
pub(crate) struct OpenView {
    mounts: Vec<OpenMount>,
    devices: Vec<Device>,
    links: Vec<(PathBuf, PathBuf)>,
    files: Vec<(PathBuf, String)>,
}

struct OpenMount {
    tree: OwnedFd,
    inside: PathBuf,
    shape: Shape,
}

/// What a mount needs to be mounted on.
#[derive(Clone, Copy)]
enum Shape {
    Directory,
    File,
}

/// How a cell gets its device nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Devices {
    /// Made anew, which only root may do.
    Made,
    /// The host's own, shown.
    Shown,
}

/// One device node.
enum Device {
    Made { name: &'static str, major: u32, minor: u32 },
    Shown { name: &'static str, node: OwnedFd },
}

/// The six device nodes of a cell, with their numbers.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// What programs expect beside them.
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "dev/fd"),
    ("/proc/self/fd/0", "dev/stdin"),
    ("/proc/self/fd/1", "dev/stdout"),
    ("/proc/self/fd/2", "dev/stderr"),
];

impl OpenView {
    /// Opens every part, while the host's file system is still in sight.
    pub(crate) fn open(view: &View, devices: Devices) -> Result<OpenView, Errno> {
        let View { mounts, links, files } = view;
        let mut open = Vec::with_capacity(mounts.len());
        for mount in mounts {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
            let tree = open_tree(CWD, &mount.outside, flags)?;
            let read_only = Attributes::READ_ONLY.and(Attributes::NO_SUID).and(Attributes::NO_DEVICES);
            set_mount_attributes(tree.as_fd(), read_only)?;
            let stat = fstat(&tree)?;
            let shape = match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => Shape::Directory,
                _ => Shape::File,
            };
            open.push(OpenMount { tree, inside: mount.inside.clone(), shape });
        }
        let devices = DEVICES.map(|(name, major, minor)| Device::open(devices, name, major, minor));
        Ok(OpenView {
            mounts: open,
            devices: devices.into_iter().collect::<Result<_, _>>()?,
            links: links.iter().map(|link| (link.inside.clone(), link.target.clone())).collect(),
            files: files.iter().map(|file| (file.inside.clone(), file.content.clone())).collect(),
        })
    }

    /// Mounts the view at a directory of the warden's own root. The whole of it is read-only in the end.
    pub(crate) fn assemble(self, at: &Path) -> Result<(), Errno> {
        let root = mount_root(at)?;
        let root = root.as_fd();
        for (_, place) in PLACES {
            make_directories(root, Path::new(place))?;
        }
        make_directories(root, Path::new("proc"))?;
        self.devices.iter().try_for_each(|device| device.put_into(root))?;
        for (target, link) in DEVICE_LINKS {
            symlinkat(target, root, link)?;
        }
        for (inside, target) in &self.links {
            let inside = relative(inside)?;
            make_parents(root, inside)?;
            symlinkat(target, root, inside)?;
        }
        for (inside, content) in &self.files {
            make_file(root, relative(inside)?, content.as_bytes())?;
        }
        for mount in &self.mounts {
            let inside = relative(&mount.inside)?;
            match mount.shape {
                Shape::Directory => make_directories(root, inside)?,
                Shape::File => make_file(root, inside, b"")?,
            }
            move_mount(&mount.tree, c"", root, inside, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        }
        set_mount_attributes(root, Attributes::READ_ONLY.and(Attributes::NO_SUID))
    }
}

impl Device {
    fn open(devices: Devices, name: &'static str, major: u32, minor: u32) -> Result<Device, Errno> {
        match devices {
            Devices::Made => Ok(Device::Made { name, major, minor }),
            Devices::Shown => {
                let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
                let node = open_tree(CWD, Path::new("/dev").join(name), flags)?;
                set_mount_attributes(node.as_fd(), Attributes::NO_SUID)?;
                Ok(Device::Shown { name, node })
            }
        }
    }

    fn put_into(&self, root: Dir<'_>) -> Result<(), Errno> {
        match self {
            Device::Made { name, major, minor } => {
                let (path, mode) = (Path::new("dev").join(name), Mode::from_raw_mode(0o666));
                mknodat(root, path, FileType::CharacterDevice, mode, makedev(*major, *minor))
            }
            Device::Shown { name, node } => {
                let path = Path::new("dev").join(name);
                make_file(root, &path, b"")?;
                move_mount(node, c"", root, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            }
        }
    }
}

/// An empty file system for mount points, links and small files; the device nodes in it must work.
fn mount_root(at: &Path) -> Result<OwnedFd, Errno> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "mode", "0755")?;
    fsconfig_set_string(context.as_fd(), "size", "4m")?;
    fsconfig_create(context.as_fd())?;
    let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_NOSUID)?;
    move_mount(&mount, c"", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(mount)
}

/// The path below the root. Views are made by trusted code; one that leads upwards is a mistake of ours.
fn relative(inside: &Path) -> Result<&Path, Errno> {
    let inside = inside.strip_prefix("/").map_err(|_| Errno::INVAL)?;
    let plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
    if plain { Ok(inside) } else { Err(Errno::INVAL) }
}

type Dir<'a> = rustix::fd::BorrowedFd<'a>;

fn make_parents(root: Dir<'_>, path: &Path) -> Result<(), Errno> {
    path.parent().map_or(Ok(()), |parent| make_directories(root, parent))
}

fn make_directories(root: Dir<'_>, path: &Path) -> Result<(), Errno> {
    let mut so_far = PathBuf::new();
    for part in path.components() {
        so_far.push(part);
        match mkdirat(root, &so_far, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn make_file(root: Dir<'_>, path: &Path, content: &[u8]) -> Result<(), Errno> {
    make_parents(root, path)?;
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(root, path.as_c_str(), flags, Mode::from_raw_mode(0o644))?;
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = &rest[written..];
    }
    Ok(())
}
