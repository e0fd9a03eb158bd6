//! The read-only part of a cell's root, put together once and copied for every cell.
//!
//! Opened before the warden gives up its view of the host, mounted after it has. What a mount shows can then no
//! longer be changed by renaming anything on the host.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use firebox_cell::{Mount, Supply, View};
use firebox_confine::Layer;
use rustix::fs::{CWD, FileType, Mode, OFlags, mkdirat, openat, stat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};

use crate::beneath::{Beneath, PROGRAM, TEXT, give};
use crate::files::PLACES;
use crate::owners::Owners;
use crate::sys::{no_set_user_id, read_only, set_mount_attributes};

/// A view whose parts are open but not yet put together.
pub(crate) struct OpenView {
    mounts: Vec<OpenMount>,
    devices: Vec<Device>,
    links: Vec<(PathBuf, PathBuf)>,
    files: Vec<(PathBuf, String)>,
    supplies: Vec<Supply>,
    /// Whose all of it is to be, if it is an image's and another's than the warden's.
    owner: Option<u32>,
}

struct OpenMount {
    inside: PathBuf,
    part: Part,
}

/// A part of the host, as a cell is to see it.
enum Part {
    /// A directory, under a layer of our own: see `layered`.
    Layered(OwnedFd),
    /// A directory that cannot have one, or a large file: as it is.
    Bound { tree: OwnedFd, shape: Shape },
    /// A small file, copied.
    Copied(Vec<u8>),
}

/// What a mount needs to be mounted on.
#[derive(Clone, Copy)]
enum Shape {
    Directory,
    File,
}

/// Larger files than this are not copied into a view.
const COPIED_BYTES: u64 = 1 << 20;

/// Where in the warden's root a directory of the host stands while a layer is laid over it, and an empty one beside it.
const LOWER: &str = "/lower";
const EMPTY: &str = "/empty";
/// And what is ours in such directories, each in one of its own: it has to stay.
const OVER: &str = "/over";

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
    pub(crate) fn open(view: &View, devices: Devices, owner: Option<u32>) -> Result<OpenView, Errno> {
        let View { mounts, links, files, supplies, is_image: _, steps: _ } = view;
        let there = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let owners = owner.and_then(|owner| Owners::of(mounts, owner));
        let open = mounts.iter().map(|Mount { outside, inside }| {
            let part = Part::open(outside, &there, owners.as_ref());
            part.map(|part| OpenMount { inside: inside.clone(), part })
        });
        let open = open.collect::<Result<_, _>>()?;
        let devices = DEVICES.map(|(name, major, minor)| Device::open(devices, name, major, minor));
        Ok(OpenView {
            mounts: open,
            devices: devices.into_iter().collect::<Result<_, _>>()?,
            links: links.iter().map(|link| (link.inside.clone(), link.target.clone())).collect(),
            files: files.iter().map(|file| (file.inside.clone(), file.content.clone())).collect(),
            supplies: supplies.clone(),
            owner,
        })
    }

    /// Mounts the view at a directory of the warden's own root. The whole of it is read-only in the end.
    pub(crate) fn assemble(self, at: &Path) -> Result<(), Errno> {
        let mount = mount_root(at)?;
        let root = Beneath::new(mount.as_fd(), self.owner);
        for (_, place) in PLACES {
            root.make_directory(Path::new(place))?;
        }
        root.make_directory(Path::new("proc"))?;
        self.devices.iter().try_for_each(|device| device.put_into(&root))?;
        for (target, link) in DEVICE_LINKS {
            root.make_link(Path::new(link), Path::new(target))?;
        }
        for (inside, target) in &self.links {
            root.make_link(relative(inside)?, target)?;
        }
        let (in_mounts, beside): (Vec<_>, Vec<_>) = self
            .files
            .into_iter()
            .partition(|(inside, _)| self.mounts.iter().any(|mount| inside.starts_with(&mount.inside)));
        for (inside, content) in &beside {
            root.make_file(relative(inside)?, content.as_bytes(), TEXT)?;
        }
        for supply in &self.supplies {
            let inside = Path::new(Supply::PLACE).join(supply.below());
            root.make_file(relative(&inside)?, supply.program(), PROGRAM)?;
        }
        for OpenMount { inside, part } in self.mounts {
            let ours = in_mounts.iter().filter_map(|(file, content)| Some((file.strip_prefix(&inside).ok()?, content)));
            part.put_into(&root, relative(&inside)?, &ours.collect::<Vec<_>>())?;
        }
        root.hand_over()?;
        give(mount.as_fd(), self.owner)?;
        set_mount_attributes(mount.as_fd(), read_only() | no_set_user_id())
    }
}

impl Part {
    /// Opens it. `mounts` is what the host says of its mounts.
    fn open(outside: &Path, mounts: &str, owners: Option<&Owners>) -> Result<Part, Errno> {
        let stat = stat(outside)?;
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if !is_directory && stat.st_size as u64 <= COPIED_BYTES {
            return std::fs::read(outside).map(Part::Copied).map_err(|error| raw(&error));
        }
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        let tree = open_tree(CWD, outside, flags)?;
        let safe = read_only() | no_set_user_id() | MountAttrFlags::MOUNT_ATTR_NODEV;
        set_mount_attributes(tree.as_fd(), safe)?;
        if let Some(owners) = owners {
            owners.give(tree.as_fd());
        }
        let path = std::fs::canonicalize(outside).map_err(|error| raw(&error))?;
        Ok(match is_directory {
            false => Part::Bound { tree, shape: Shape::File },
            // A layer shows one file system; what is mounted further down would be missing.
            true if has_mount_below(mounts, &path) => Part::Bound { tree, shape: Shape::Directory },
            true => Part::Layered(tree),
        })
    }

    /// Puts it there, with files of ours in it where it has a layer.
    fn put_into(self, root: &Beneath<'_>, inside: &Path, ours: &[(&Path, &String)]) -> Result<(), Errno> {
        let (tree, shape) = match self {
            Part::Copied(content) => return root.make_file(inside, &content, TEXT),
            Part::Bound { tree, shape } => (tree, shape),
            Part::Layered(tree) => (layered(tree, ours, root.owner())?, Shape::Directory),
        };
        match shape {
            Shape::Directory => root.make_directory(inside)?,
            Shape::File => root.make_file(inside, b"", TEXT)?,
        }
        root.mount(tree.as_fd(), inside)
    }
}

/// Lays a layer of our own over a directory of the host: an overlay with nothing above it.
///
/// What a cell then opens are inodes of the overlay. On those of the host it could watch with inotify what the host
/// runs, hold locks that the host meets, and have the host's disk flushed by `fsync`. A kernel that has no overlay for
/// us, or no more depth for one, leaves the directory as it is. What is ours stands in front of what the directory has of the same name.
fn layered(tree: OwnedFd, ours: &[(&Path, &String)], owner: Option<u32>) -> Result<OwnedFd, Errno> {
    if Layer::Overlay.is_left_out() {
        return Ok(tree);
    }
    move_mount(&tree, c"", CWD, LOWER, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    let overlay = || {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let lower = match over(ours, owner)? {
            Some(over) => format!("{}:{LOWER}", over.display()),
            None => format!("{LOWER}:{EMPTY}"),
        };
        fsconfig_set_string(context.as_fd(), "lowerdir", lower)?;
        fsconfig_create(context.as_fd())?;
        let safe = read_only() | no_set_user_id() | MountAttrFlags::MOUNT_ATTR_NODEV;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, safe)
    };
    let made = overlay();
    match made {
        Ok(overlay) => {
            unmount(LOWER, UnmountFlags::DETACH)?;
            Ok(overlay)
        }
        // The tree's descriptor still is the mount at `LOWER`, and can be moved on from there.
        Err(_) => Ok(tree),
    }
}

/// A directory with these files, if there are any.
fn over(ours: &[(&Path, &String)], owner: Option<u32>) -> Result<Option<PathBuf>, Errno> {
    if ours.is_empty() {
        return Ok(None);
    }
    let all = openat(CWD, OVER, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let all = Beneath::new(all.as_fd(), owner);
    let place = (0..).map(|number: u32| number.to_string()).find(|place| !Path::new(OVER).join(place).exists());
    let place = place.map(PathBuf::from).ok_or(Errno::NOSPC)?;
    ours.iter().try_for_each(|(file, content)| all.make_file(&place.join(file), content.as_bytes(), TEXT))?;
    all.hand_over()?;
    Ok(Some(Path::new(OVER).join(place)))
}

/// Makes the places that `OpenView::assemble` needs in the warden's root.
pub(crate) fn make_places() -> Result<(), Errno> {
    [LOWER, EMPTY, OVER].into_iter().try_for_each(|place| mkdirat(CWD, place, Mode::from_raw_mode(0o755)))
}

/// Whether something is mounted in a directory, at any depth.
fn has_mount_below(mounts: &str, directory: &Path) -> bool {
    // The fifth field is the mount point. White space in it is written as octal, and so is no white space.
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    points.map(Path::new).any(|point| point != directory && point.starts_with(directory))
}

fn raw(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

impl Device {
    fn open(devices: Devices, name: &'static str, major: u32, minor: u32) -> Result<Device, Errno> {
        match devices {
            Devices::Made => Ok(Device::Made { name, major, minor }),
            Devices::Shown => {
                let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
                let node = open_tree(CWD, Path::new("/dev").join(name), flags)?;
                set_mount_attributes(node.as_fd(), no_set_user_id())?;
                Ok(Device::Shown { name, node })
            }
        }
    }

    fn put_into(&self, root: &Beneath<'_>) -> Result<(), Errno> {
        match self {
            Device::Made { name, major, minor } => root.make_device(&Path::new("dev").join(name), *major, *minor),
            Device::Shown { name, node } => {
                let path = Path::new("dev").join(name);
                root.make_file(&path, b"", TEXT)?;
                root.mount(node.as_fd(), &path)
            }
        }
    }
}

/// An empty file system for mount points, links, small files and what firebox brings along; the device nodes in it must
/// work.
fn mount_root(at: &Path) -> Result<OwnedFd, Errno> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "mode", "0755")?;
    fsconfig_set_string(context.as_fd(), "size", "64m")?;
    fsconfig_create(context.as_fd())?;
    let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, no_set_user_id())?;
    move_mount(&mount, c"", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(mount)
}

/// The path below the root.
fn relative(inside: &Path) -> Result<&Path, Errno> {
    inside.strip_prefix("/").map_err(|_| Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_below_a_directory_is_seen_and_one_beside_it_is_not() {
        let mounts = "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n26 25 8:2 / /usr/local rw - ext4 /dev/sda2 rw\n";
        for (directory, expected) in [("/usr", true), ("/usr/local", false), ("/usr/lib", false), ("/usr/loc", false)] {
            assert_eq!(has_mount_below(mounts, Path::new(directory)), expected, "{directory}");
        }
    }
}
