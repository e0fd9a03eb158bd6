//! What the user who started firebox is allowed. It decides how a jail is made, and how its limits are held.
//!
//! | | root of the host | anybody else |
//! |---|---|---|
//! | namespaces of a cell belong to | the host | a user namespace that the warden entered |
//! | a cell's uid on the host | leased, nobody else's | the user's own |
//! | whose the files of an image are in a cell | of an id that nobody has | the job's, who is root in there |
//! | memory, tasks and CPU | control groups, where there are any | those that were handed to the user, else watched; tasks by an rlimit of the cell's user namespace |
//! | device nodes | made | the host's, shown |

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use firebox_confine::Layer;
use firebox_warden::{EngineUser, StartError};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities};

use crate::birth::Supplementary;
use crate::cgroup::{Delegated, Groups, Place, Site};
use crate::instance::{ClaimError, Instance};
use crate::lease::{LeaseError, Uids};
use crate::quarters::Keep;
use crate::sys;
use crate::users::{OWNER, Users};
use crate::view::Devices;

/// Where all firebox processes of a host that root started agree on who has which uid and which name.
const RUN_DIRECTORY: &str = "/run/firebox";

/// What the user who started firebox is allowed.
pub(crate) enum Rights {
    /// Everything.
    Root(Root),
    /// What the kernel grants to everybody.
    User(User),
}

/// What root's warden holds on the host.
pub(crate) struct Root {
    uids: Uids,
    instance: Instance,
    holding: Holding,
}

/// What an ordinary user's warden needs.
pub(crate) struct User {
    uid: u32,
    gid: u32,
    holding: Holding,
    /// Where the groups are, if there are any.
    site: Option<Site>,
}

/// What cells are held to their limits by.
pub(crate) enum Holding {
    /// The kernel.
    Groups(Groups),
    /// Nobody: they are watched, in the host's `/proc`.
    Watched(OwnedFd),
}

/// Whose uid a cell of root's has on the host when a test leaves the leased one out.
const ROOT: u32 = 0;

/// The one uid of a user namespace that an ordinary user's warden entered.
const ALONE: u32 = 0;

impl Rights {
    /// Finds out, and claims what there is to be claimed on the host.
    pub(crate) fn claim() -> Result<(Rights, EngineUser), StartError> {
        if !has_roots_rights() {
            let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            let (holding, site) = match Delegated::claim() {
                Ok(Delegated { groups, site }) => (Holding::Groups(groups), Some(site)),
                Err(_) => (watched()?, None),
            };
            return Ok((Rights::User(User { uid, gid, holding, site }), EngineUser::Same));
        }
        let mut uids = Uids::new(shared_file("uids")?);
        let instance = Instance::claim(shared_file("instances")?).map_err(|error| match error {
            ClaimError::AllTaken => StartError::TooMany,
            ClaimError::Io(source) => in_run_directory("instances", source),
        })?;
        let engine = uids.lease().map_err(|_| StartError::TooMany)?;
        // In most containers control groups are there to be read only.
        let holding = make_groups(&instance)?.map_or_else(watched, |groups| Ok(Holding::Groups(groups)))?;
        Ok((Rights::Root(Root { uids, instance, holding }), EngineUser::Leased(engine)))
    }

    /// Takes on, in the warden's own process, the rights that cells are made with.
    pub(crate) fn enter(&self) -> Result<(), Errno> {
        match self {
            Rights::Root(_) => Ok(()),
            Rights::User(User { uid, gid, .. }) => {
                sys::enter_user_namespace()?;
                write(c"/proc/self/setgroups", "deny")?;
                write(c"/proc/self/uid_map", &format!("{ALONE} {uid} 1"))?;
                write(c"/proc/self/gid_map", &format!("{ALONE} {gid} 1"))
            }
        }
    }

    /// The uid and gid for a new cell, as the warden sees them.
    pub(crate) fn lease(&mut self) -> Result<u32, LeaseError> {
        match self {
            Rights::Root(_) if Layer::LeasedUid.is_left_out() => Ok(ROOT),
            Rights::Root(root) => root.uids.lease(),
            Rights::User(_) => Ok(ALONE),
        }
    }

    /// Takes a cell's uid back, once no process has it any more.
    pub(crate) fn give_back(&mut self, uid: u32) {
        match self {
            Rights::Root(_) if Layer::LeasedUid.is_left_out() => {}
            Rights::Root(root) => root.uids.give_back(uid),
            Rights::User(_) => {}
        }
    }

    /// Which users there are in a cell.
    pub(crate) fn users_of_a_cell(&self, is_on_an_image: bool) -> Users {
        match self {
            _ if !is_on_an_image => Users::Job,
            Rights::Root(_) => Users::JobAndOwner(OWNER),
            Rights::User(_) => Users::JobAsOwner,
        }
    }

    /// What becomes of the groups that firebox was started with, in a cell.
    pub(crate) fn groups_of_a_cell(&self) -> Supplementary {
        match self {
            Rights::Root(_) => Supplementary::GivenUp,
            Rights::User(_) => Supplementary::Kept,
        }
    }

    /// How a cell gets its device nodes.
    pub(crate) fn devices(&self) -> Devices {
        match self {
            Rights::Root(_) => Devices::Made,
            Rights::User(_) => Devices::Shown,
        }
    }

    /// What cells are held to their limits by.
    pub(crate) fn holding(&self) -> &Holding {
        match self {
            Rights::Root(root) => &root.holding,
            Rights::User(user) => &user.holding,
        }
    }

    /// What the warden keeps of the host's file system.
    pub(crate) fn kept(&self) -> Keep {
        match self {
            Rights::Root(_) => Keep::Nothing,
            Rights::User(_) => Keep::Proc,
        }
    }

    /// Gives back what was claimed. What cannot be removed is left for the next start, which finds it in the record.
    pub(crate) fn release(self) {
        match self {
            Rights::Root(Root { instance, holding: Holding::Groups(groups), uids: _ }) => {
                if groups.remove().is_ok() {
                    let _ = instance.clear();
                }
            }
            Rights::User(User { holding: Holding::Groups(groups), site, uid: _, gid: _ }) => {
                let _ = groups.remove();
                site.into_iter().for_each(Site::leave);
            }
            Rights::Root(_) | Rights::User(_) => {}
        }
    }
}

/// Root by name and by rights: root in a container is often only the former, and then gets what an ordinary user gets.
fn has_roots_rights() -> bool {
    let needed = CapabilitySet::SYS_ADMIN
        | CapabilitySet::SYS_CHROOT
        | CapabilitySet::SETUID
        | CapabilitySet::SETGID
        | CapabilitySet::NET_ADMIN
        | CapabilitySet::MKNOD
        | CapabilitySet::CHOWN
        | CapabilitySet::KILL;
    rustix::process::geteuid().is_root() && capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

fn write(path: &std::ffi::CStr, text: &str) -> Result<(), Errno> {
    let file = openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text.as_bytes()).map(|_| ())
}

fn watched() -> Result<Holding, StartError> {
    let proc = openat(CWD, "/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    proc.map(Holding::Watched).map_err(StartError::kernel("open /proc"))
}

/// Makes the instance's control groups, where the host has such, and writes them down first: should this process die in
/// between, the next start knows where to look.
fn make_groups(instance: &Instance) -> Result<Option<Groups>, StartError> {
    let Ok(place) = Place::detect() else { return Ok(None) };
    let name = instance.name();
    instance.record(&place.directories(&name)).map_err(|source| in_run_directory("instances", source))?;
    Ok(place.create(&name).ok())
}

fn in_run_directory(name: &str, source: io::Error) -> StartError {
    StartError::RunDirectory { path: Path::new(RUN_DIRECTORY).join(name), source }
}

/// Opens a file that all firebox processes of the host share. Only root may touch it: its locks say who is who.
fn shared_file(name: &str) -> Result<File, StartError> {
    let directory = Path::new(RUN_DIRECTORY);
    let made = DirBuilder::new().mode(0o700).recursive(true).create(directory);
    made.map_err(|source| StartError::RunDirectory { path: directory.to_owned(), source })?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(directory.join(name)).map_err(|source| in_run_directory(name, source))
}
