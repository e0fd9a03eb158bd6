//! How a process becomes a cell: the straight road from the clone to the first instruction of the agent, or of another program of ours
//! that has a cell around it.
//!
//! It begins as root on the host, process 1 of a new PID namespace; the other namespaces that the host's user namespace owns it
//! enters first of all. It ends without a
//! capability, in a user namespace that maps its uid, and at most one more that nobody has, and owns nothing. The namespaces belonging to the host is on
//! purpose: not even a process with all capabilities of the cell's own user namespace could change them.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use firebox_confine::{ConfineError, Layer};
use firebox_warden::{at, confess, exit, out_of_the_way, place_descriptors};
use firebox_wire::warden::{Failure, Stage};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getppid, setrlimit};
use rustix::thread::{Gid, LinkNameSpaceType, Uid, move_into_link_name_space};

use crate::files::PLACES;
use crate::sys;
use crate::users::{self, Users};

/// The name of every cell's host.
const HOST_NAME: &[u8] = b"firebox";

/// Where an ordinary user's warden keeps the host's `/proc`.
pub(crate) const HOST_PROC: &str = "/proc";

/// Where the program expects the first of what it is handed.
const FIRST_HANDED: i32 = 3;

/// What a process needs to become a cell. Its descriptors close when the program starts, but for those that are handed to it.
pub(crate) struct Birth<'a> {
    /// What is to be around it.
    pub(crate) room: Room<'a>,
    /// The uid and gid, as the warden sees them.
    pub(crate) uid: u32,
    /// Which users there are in the cell.
    pub(crate) users: Users,
    /// Whether the groups that firebox was started with can be given up.
    pub(crate) groups: Supplementary,
    /// The ways into its control group.
    pub(crate) group: &'a [OwnedFd],
    /// What the program has open besides the three that every program has.
    pub(crate) handed: Vec<BorrowedFd<'a>>,
    /// The program itself.
    pub(crate) program: BorrowedFd<'a>,
    /// How it is started.
    pub(crate) execute: fn(BorrowedFd<'_>, &str) -> Errno,
    /// What it is told.
    pub(crate) argument: String,
    /// Takes the failure; closes without a word when the program has started.
    pub(crate) failed: BorrowedFd<'a>,
}

/// What is to be around a process.
pub(crate) enum Room<'a> {
    /// What an agent and its jobs see, and where they write.
    View {
        /// Where in the warden's root the view stands.
        view: &'a Path,
        /// Where in the warden's root the cell's files may be attached for a moment.
        workbench: &'a Path,
        /// The cell's writable file system.
        files: BorrowedFd<'a>,
    },
    /// Nothing: this directory of the warden's root has nothing in it. And no interface that works.
    Empty(&'a Path),
}

impl Room<'_> {
    fn root(&self) -> &Path {
        match self {
            Room::View { view, .. } => view,
            Room::Empty(directory) => directory,
        }
    }
}

/// What becomes of the groups that firebox was started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Supplementary {
    /// They are given up.
    GivenUp,
    /// The kernel does not let an ordinary user give them up, since that could take away a refusal meant for them.
    Kept,
}

impl Birth<'_> {
    /// Becomes the cell.
    pub(crate) fn go(&self) -> ! {
        // What is handed on goes to fixed numbers in the end; these two are needed after that.
        let kept = out_of_the_way(self.failed).and_then(|failed| Ok((failed, out_of_the_way(self.program)?)));
        let (failed, failure) = match kept {
            Ok((failed, program)) => (Some(failed), self.steps(program.as_fd())),
            Err(errno) => (None, at(Stage::Descriptors)(errno)),
        };
        confess(failed.as_ref().map_or(self.failed, AsFd::as_fd), failure);
        exit(125)
    }

    /// All steps, in the order of security. Returns only what went wrong.
    fn steps(&self, program: BorrowedFd<'_>) -> Failure {
        let done = self.namespaces().and_then(|()| {
            self.network()?;
            self.callers_limits();
            self.host_name()?;
            self.files()?;
            let maps = self.proc()?;
            let root = self.root()?;
            self.join_group()?;
            if Layer::UserNamespace.is_left_out() {
                // While it is root that does it: the leased uid has no rights but in a user namespace of its own.
                self.enter_root(&root)?;
                self.identity()?;
            } else if self.users.owner().is_none() {
                self.identity()?;
                self.user_namespace(&maps)?;
                self.enter_root(&root)?;
            } else {
                self.prepared_namespace(&maps)?;
                self.enter_root(&root)?;
                self.identity_inside()?;
            }
            // Before their numbers become those of what is handed on, which they would take along.
            drop((maps, root));
            self.privileges()?;
            self.descriptors()
        });
        match done {
            Err(failure) => failure,
            Ok(()) => at(Stage::Agent)((self.execute)(program, &self.argument)),
        }
    }

    /// As root. Mounts, network, IPC and names of its own. Here and not in the clone, for which the warden would wait: a network
    /// alone takes the kernel a third of a millisecond.
    fn namespaces(&self) -> Result<(), Failure> {
        sys::enter_namespaces().map_err(at(Stage::Clone))
    }

    /// As root. A loopback of its own, for who can use it; no other interface is ever there.
    fn network(&self) -> Result<(), Failure> {
        if Layer::NetworkNamespace.is_left_out() || matches!(self.room, Room::Empty(_)) {
            return Ok(());
        }
        sys::bring_up_loopback().map_err(at(Stage::Network))
    }

    /// As root. What the caller's shell was limited to says nothing about a job: where the kernel lets us, a job begins
    /// without limits, and is then held to its own.
    fn callers_limits(&self) {
        let none = Rlimit { current: None, maximum: None };
        for resource in [Resource::As, Resource::Cpu, Resource::Data, Resource::Fsize, Resource::Nproc, Resource::Rss] {
            // Raising takes CAP_SYS_RESOURCE of the host; without it the caller's limits stay.
            let _ = setrlimit(resource, none);
        }
    }

    /// As root. The host's name is not the job's business.
    fn host_name(&self) -> Result<(), Failure> {
        if Layer::UtsNamespace.is_left_out() {
            return Ok(());
        }
        rustix::system::sethostname(HOST_NAME).map_err(at(Stage::Hostname))?;
        rustix::system::setdomainname(b"").map_err(at(Stage::Hostname))
    }

    /// As root. Attaches the writable file system on the workbench, and its directories to their places in the view.
    ///
    /// All of this happens in this process's own mount namespace, a copy of the warden's.
    fn files(&self) -> Result<(), Failure> {
        let Room::View { view, workbench, files } = self.room else { return Ok(()) };
        let attach = || {
            move_mount(files, c"", CWD, workbench, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            for (name, place) in PLACES {
                let name = Path::new(OsStr::from_bytes(name.to_bytes()));
                let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
                let part = open_tree(CWD, workbench.join(name), flags)?;
                move_mount(&part, c"", CWD, view.join(place), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            }
            unmount(workbench, UnmountFlags::DETACH)
        };
        attach().map_err(at(Stage::Files))
    }

    /// As root, in the new PID namespace. A `/proc` of only the cell's processes, read-only, for who sees any; and a second one, never
    /// attached and writable, through which the user namespace's maps are written.
    fn proc(&self) -> Result<OwnedFd, Failure> {
        let mount = |attributes: MountAttrFlags| {
            let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
            // Nothing but processes: not what the kernel says of the host.
            if !Layer::ProcSubset.is_left_out() {
                fsconfig_set_string(context.as_fd(), "subset", "pid")?;
            }
            fsconfig_create(context.as_fd())?;
            fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        };
        let safe = sys::no_set_user_id()
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC
            | sys::read_only();
        let attach = || {
            if let Room::View { view, .. } = self.room {
                let seen = mount(safe)?;
                move_mount(&seen, c"", CWD, view.join("proc"), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            }
            let maps = mount(MountAttrFlags::empty())?;
            // An ordinary user's warden has to keep the host's `/proc` for these two to be granted. No cell keeps it.
            match unmount(HOST_PROC, UnmountFlags::DETACH) {
                Ok(()) | Err(Errno::NOENT | Errno::INVAL) => Ok(maps),
                Err(errno) => Err(errno),
            }
        };
        attach().map_err(at(Stage::Proc))
    }

    /// As root. The whole root as a tree of its own, attached nowhere.
    ///
    /// A process whose root is such a tree sees no mount in `/proc/self/mountinfo`, so no path of the host; it can
    /// mount nothing, whatever its capabilities; and it can make no user namespace, which the kernel refuses to
    /// everyone whose root is not that of the mount namespace.
    fn root(&self) -> Result<OwnedFd, Failure> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        let opened = if Layer::DetachedRoot.is_left_out() {
            openat(CWD, self.room.root(), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        } else {
            open_tree(CWD, self.room.root(), flags)
        };
        let root = opened.map_err(at(Stage::Root))?;
        if let Room::Empty(_) = self.room {
            // A view is read-only already.
            sys::set_mount_attributes(root.as_fd(), sys::read_only()).map_err(at(Stage::Root))?;
        }
        Ok(root)
    }

    /// As root. Into its control group, which then is the root of all that is seen of control groups.
    fn join_group(&self) -> Result<(), Failure> {
        for door in self.group {
            rustix::io::write(door, b"0").map_err(at(Stage::Cgroup))?;
        }
        if Layer::CgroupNamespace.is_left_out() {
            return Ok(());
        }
        sys::enter_cgroup_namespace().map_err(at(Stage::Cgroup))
    }

    /// As root, and then no longer: the leased uid, and no group but its own.
    fn identity(&self) -> Result<(), Failure> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.uid));
        let change = || {
            self.give_up_groups()?;
            rustix::thread::set_thread_res_gid(gid, gid, gid)?;
            rustix::thread::set_thread_res_uid(uid, uid, uid)?;
            // The change took away the right to write to one's own `/proc` files, needed once more for the maps.
            rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)
        };
        change().map_err(at(Stage::Ids))
    }

    fn give_up_groups(&self) -> Result<(), Errno> {
        match self.groups {
            Supplementary::GivenUp => rustix::thread::set_thread_groups(&[]),
            Supplementary::Kept => Ok(()),
        }
    }

    /// As the leased uid. A user namespace in which that uid is all there is.
    fn user_namespace(&self, maps: &OwnedFd) -> Result<(), Failure> {
        let map = self.users.map(self.uid);
        users::enter_own_namespace(maps.as_fd(), &map).map_err(at(Stage::UserNamespace))
    }

    /// As root. A user namespace in which there are two, which takes rights over both of them and over the namespace that they are of.
    /// This process is neither of them yet, and no root of the host any more.
    fn prepared_namespace(&self, maps: &OwnedFd) -> Result<(), Failure> {
        let enter = || {
            let map = self.users.map(self.uid);
            let namespace = users::make_namespace(maps.as_fd(), self.uid, &map, &map)?;
            self.give_up_groups()?;
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::User))
        };
        enter().map_err(at(Stage::UserNamespace))
    }

    /// With the capabilities of the user namespace, which go a step later: the leased uid, as it is called in there.
    fn identity_inside(&self) -> Result<(), Failure> {
        let (uid, gid) = (Uid::from_raw(users::JOB), Gid::from_raw(users::JOB));
        let change = || {
            rustix::thread::set_thread_res_gid(gid, gid, gid)?;
            rustix::thread::set_thread_res_uid(uid, uid, uid)
        };
        change().map_err(at(Stage::Ids))
    }

    /// With the capabilities that the new user namespace gave over itself.
    fn enter_root(&self, root: &OwnedFd) -> Result<(), Failure> {
        let enter = || {
            rustix::process::fchdir(root)?;
            rustix::process::chroot(".")?;
            rustix::process::chdir("/")
        };
        enter().map_err(at(Stage::Root))
    }

    /// Gives up the capabilities over the user namespace too, for this process and all it will start.
    fn privileges(&self) -> Result<(), Failure> {
        let drop_all = || {
            firebox_confine::drop_capabilities()?;
            firebox_confine::forbid_new_privileges()?;
            rustix::process::umask(Mode::from_raw_mode(0o022));
            // Last, since a change of identity takes it back: when the warden dies, so does the cell. The warden is
            // outside of this PID namespace, so there is no parent to be seen.
            let visible = if Layer::PidNamespace.is_left_out() { getppid() } else { None };
            firebox_confine::die_with_parent(visible)
        };
        drop_all().map_err(|error: ConfineError| at(Stage::Capabilities)(error.errno()))
    }

    /// What is handed on, at its place; everything else of the warden's closes with the start of the program.
    fn descriptors(&self) -> Result<(), Failure> {
        place_descriptors(&self.handed, FIRST_HANDED).map_err(at(Stage::Descriptors))
    }
}
