//! Where the warden lives: a file system of its own, with nothing in it but the views that cells get.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use firebox_cell::{Mount, View};
use firebox_confine::Layer;
use firebox_warden::{StartError, at};
use firebox_wire::warden::{Failure, Stage};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, open_tree, unmount,
};

use crate::beneath::Beneath;
use crate::birth::HOST_PROC;
use crate::rights::Rights;
use crate::sys;
use crate::view::{OpenView, make_places};

/// Where in the warden's root a cell's files are attached for a moment.
pub(crate) const WORKBENCH: &str = "/bench";

/// A directory in the warden's root that stays empty.
pub(crate) const NOTHING: &str = "/nothing";

/// The program that is process 1 of each cell.
pub(crate) enum Program {
    /// As it comes with firebox, and what its file is to be called: some kernels show that in a list of processes.
    Bytes { name: &'static str, bytes: &'static [u8] },
    /// As a file that can be executed, and nothing else.
    Housed(OwnedFd),
}

impl Program {
    /// What is to be executed, once the warden has moved in.
    pub(crate) fn housed(&self) -> Result<BorrowedFd<'_>, Failure> {
        match self {
            Program::Bytes { .. } => Err(at(Stage::Agent)(Errno::NOENT)),
            Program::Housed(file) => Ok(file.as_fd()),
        }
    }
}

/// Whether the host has what these views show.
pub(crate) fn are_there(views: &[View]) -> Result<(), StartError> {
    views.iter().flat_map(|view| &view.mounts).try_for_each(|Mount { outside, .. }| {
        let there = std::fs::metadata(outside);
        there.map(drop).map_err(|source| StartError::View { path: outside.clone(), source })
    })
}

/// Takes on the rights it needs, opens what cells are to see, leaves the host's file system, and puts the views together
/// in its own. The program becomes a file, to be executed.
pub(crate) fn move_in(rights: &Rights, views: &[View], program: &mut Program) -> Result<(), Failure> {
    rights.enter().map_err(at(Stage::UserNamespace))?;
    sys::enter_mount_namespace().map_err(at(Stage::Root))?;
    let open = |view: &View| OpenView::open(view, rights.devices(), rights.users_of_a_cell(view.is_image).owner());
    let views: Vec<OpenView> = views.iter().map(open).collect::<Result<_, _>>().map_err(at(Stage::Mount))?;
    leave_host(rights.kept()).map_err(at(Stage::Root))?;
    assemble(views).map_err(at(Stage::Mount))?;
    if let Program::Bytes { name, bytes } = *program {
        *program = Program::Housed(house(name, bytes).map_err(at(Stage::Agent))?);
    }
    Ok(())
}

/// What of the host's file system stays in sight.
#[derive(Clone, Copy)]
pub(crate) enum Keep {
    Proc,
    Nothing,
}

/// Replaces the whole file system by an empty one of the warden's own.
///
/// Every cell starts with a copy of the warden's mounts. There being next to none makes that copy cheap, and a cell
/// that broke out of its root would stand in an empty room.
///
/// An ordinary user's warden takes the host's `/proc` along: the kernel lets it mount a new one, for a cell, only where
/// it can see a whole one already.
fn leave_host(proc: Keep) -> Result<(), Errno> {
    let proc = match proc {
        Keep::Proc => {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
            Some(open_tree(CWD, HOST_PROC, flags)?)
        }
        Keep::Nothing => None,
    };
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "mode", "0755")?;
    fsconfig_set_string(context.as_fd(), "size", "1m")?;
    fsconfig_create(context.as_fd())?;
    let safe = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let root = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, safe)?;
    // On top of the old root, which `pivot_root` then puts on top of the new one, where it can be let go.
    move_mount(&root, c"", CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    rustix::process::fchdir(&root)?;
    rustix::process::pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")?;
    if let Some(proc) = proc {
        mkdirat(CWD, HOST_PROC, Mode::from_raw_mode(0o755))?;
        move_mount(&proc, c"", CWD, HOST_PROC, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    }
    Ok(())
}

/// Puts the views together, each at its place in the warden's root.
fn assemble(views: Vec<OpenView>) -> Result<(), Errno> {
    let directory = Mode::from_raw_mode(0o755);
    mkdirat(CWD, WORKBENCH, directory)?;
    mkdirat(CWD, NOTHING, directory)?;
    make_places()?;
    for (number, view) in views.into_iter().enumerate() {
        let place = view_place(number);
        mkdirat(CWD, &place, directory)?;
        view.assemble(&place)?;
    }
    Ok(())
}

/// Puts the program into a file system of its own, which is attached nowhere and holds nothing else.
///
/// All cells execute the same file, and a process that an agent has thawed still names it as its program. So it can be
/// executed, and nothing else: neither be read, locked or watched nor, since it is read-only, be given times, attributes or
/// another mode; not by the owner either, who is an ordinary user's job. Else a job would leave something for the next.
fn house(name: &str, program: &[u8]) -> Result<OwnedFd, Errno> {
    // Into a process whose program cannot be read nobody can look, whatever it says of that itself: left out are both.
    let executed_only = Mode::from_raw_mode(if Layer::Dumps.is_left_out() { 0o555 } else { 0o111 });
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "mode", "0111")?;
    fsconfig_create(context.as_fd())?;
    let safe = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, safe)?;
    Beneath::new(mount.as_fd(), None).make_file(Path::new(name), program, executed_only)?;
    sys::set_mount_attributes(mount.as_fd(), MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    openat(&mount, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

pub(crate) fn view_place(number: usize) -> PathBuf {
    PathBuf::from(format!("/{number}"))
}
