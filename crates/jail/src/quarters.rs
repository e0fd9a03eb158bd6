//! Where the warden lives: a file system of its own, with nothing in it but the views that cells get.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use firebox_cell::View;
use firebox_confine::Layer;
use firebox_warden::at;
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

/// What the agent's file is called.
const AGENTS_NAME: &str = "agent";

/// Takes on the rights it needs, opens what cells are to see, leaves the host's file system, and puts the views together
/// in its own. The agent as a file, to be executed.
pub(crate) fn move_in(rights: &Rights, views: &[View], agent: &[u8]) -> Result<OwnedFd, Failure> {
    rights.enter().map_err(at(Stage::UserNamespace))?;
    sys::enter_mount_namespace().map_err(at(Stage::Root))?;
    let open = |view: &View| OpenView::open(view, rights.devices(), rights.users_of_a_cell(view.is_image).owner());
    let views: Vec<OpenView> = views.iter().map(open).collect::<Result<_, _>>().map_err(at(Stage::Mount))?;
    leave_host(rights.kept()).map_err(at(Stage::Root))?;
    assemble(views).map_err(at(Stage::Mount))?;
    house_agent(agent).map_err(at(Stage::Agent))
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
    make_places()?;
    for (number, view) in views.into_iter().enumerate() {
        let place = view_place(number);
        mkdirat(CWD, &place, directory)?;
        view.assemble(&place)?;
    }
    Ok(())
}

/// Puts the agent into a file system of its own, which is attached nowhere and holds nothing else.
///
/// All cells execute the same file, and a process that the agent has thawed still names it as its program. So it can be
/// executed, and nothing else: neither be read, locked or watched nor, since it is read-only, be given times, attributes or
/// another mode; not by the owner either, who is an ordinary user's job. Else a job would leave something for the next.
fn house_agent(agent: &[u8]) -> Result<OwnedFd, Errno> {
    // Into a process whose program cannot be read nobody can look, whatever it says of that itself: left out are both.
    let executed_only = Mode::from_raw_mode(if Layer::Dumps.is_left_out() { 0o555 } else { 0o111 });
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "mode", "0111")?;
    fsconfig_create(context.as_fd())?;
    let safe = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, safe)?;
    Beneath::new(mount.as_fd(), None).make_file(Path::new(AGENTS_NAME), agent, executed_only)?;
    sys::set_mount_attributes(mount.as_fd(), MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    openat(&mount, AGENTS_NAME, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

pub(crate) fn view_place(number: usize) -> PathBuf {
    PathBuf::from(format!("/{number}"))
}
