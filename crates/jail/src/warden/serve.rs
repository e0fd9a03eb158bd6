//! The warden's own life: it leaves the host's file system, then answers messages until its engine is gone.
//!
//! Runs with all the rights there are. What it still knows of the host are descriptors: the control groups it made, the
//! shared files with their locks, the agent. It opens no path of the host, and parses nothing but `wire::warden`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use firebox_cell::View;
use firebox_wire::warden::{Failure, Made, Make, Message, Stage};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, open_tree, unmount,
};

use super::living::{Living, Makings, State};
use crate::birth::HOST_PROC;
use crate::channel::{Patience, receive, send};
use crate::rights::Rights;
use crate::sys;
use crate::view::{OpenView, make_places};

/// What the warden was given at its start.
pub(super) struct Service {
    pub(super) socket: OwnedFd,
    pub(super) rights: Rights,
    pub(super) agent: OwnedFd,
    /// Keeps the number of the agents' streams free of any other descriptor of the warden's.
    pub(super) reserved: OwnedFd,
}

/// Where in the warden's root a cell's files are attached for a moment.
const WORKBENCH: &str = "/bench";

impl Service {
    /// The whole life of a warden.
    pub(super) fn run(mut self, views: &[View]) -> ! {
        let greeting = match settle().and_then(|()| self.move_in(views)) {
            Ok(()) => Made::Cell,
            Err(failure) => Made::Failed(failure),
        };
        // When the engine is gone already, the loop finds out.
        let _ = send(self.socket.as_fd(), &greeting, &[], Patience::Never);
        if greeting == Made::Cell {
            self.serve(views.len());
        }
        drop(self.reserved);
        self.rights.release();
        sys::exit(0)
    }

    /// Takes on the rights it needs, opens what cells are to see, leaves the host's file system, and puts the views
    /// together in its own.
    fn move_in(&self, views: &[View]) -> Result<(), Failure> {
        let at = |stage: Stage| move |errno: Errno| Failure { stage, errno: errno.raw_os_error() };
        self.rights.enter().map_err(at(Stage::UserNamespace))?;
        sys::enter_mount_namespace().map_err(at(Stage::Root))?;
        let open = |view| OpenView::open(view, self.rights.devices());
        let views: Vec<OpenView> = views.iter().map(open).collect::<Result<_, _>>().map_err(at(Stage::Mount))?;
        leave_host(if self.rights.watched_proc().is_some() { Keep::Proc } else { Keep::Nothing })
            .map_err(at(Stage::Root))?;
        assemble(views).map_err(at(Stage::Mount))
    }

    fn serve(&mut self, views: usize) {
        let mut cells: Vec<Living> = Vec::new();
        let mut engine = true;
        let mut born: u64 = 0;
        while engine || !cells.is_empty() {
            let ready = wait(engine.then_some(self.socket.as_fd()), &cells);
            let Ok(ready) = ready else {
                // Out of memory for a list of descriptors: cells die with their warden.
                return;
            };
            let now = Instant::now();
            cells.iter_mut().for_each(|cell| cell.end_overdue(now));
            if ready.engine {
                match receive(self.socket.as_fd(), Patience::Never) {
                    Ok(Some(message)) => {
                        born += 1;
                        match self.make(&message.bytes, views, born) {
                            Ok(cell) => cells.push(cell),
                            Err(failure) => {
                                let _ = send(self.socket.as_fd(), &Made::Failed(failure), &[], Patience::Never);
                            }
                        }
                    }
                    Err(Errno::AGAIN) => {}
                    Ok(None) | Err(_) => {
                        engine = false;
                        cells.iter_mut().for_each(Living::end);
                    }
                }
            }
            // From the back, so that removing one does not move those still to be looked at.
            for place in ready.cells.into_iter().rev() {
                if let State::Gone = cells[place].attend(&self.rights) {
                    let uid = cells.swap_remove(place).bury();
                    self.rights.give_back(uid);
                }
            }
        }
    }

    /// Makes one cell and hands its two ends to the engine.
    fn make(&mut self, message: &[u8], views: usize, number: u64) -> Result<Living, Failure> {
        let at = |stage: Stage| move |errno: Errno| Failure { stage, errno: errno.raw_os_error() };
        let Make { view } = Make::decode(message).map_err(|_| at(Stage::Message)(Errno::BADMSG))?;
        if views <= usize::from(view) {
            return Err(at(Stage::View)(Errno::NOENT));
        }
        let uid = self.rights.lease().map_err(|error| at(Stage::LeaseUid)(error.errno()))?;
        let makings = Makings {
            view: &view_place(usize::from(view)),
            workbench: Path::new(WORKBENCH),
            uid,
            number,
            agent: self.agent.as_fd(),
        };
        match Living::make(&makings, &self.rights) {
            Ok((mut cell, stream, socket)) => {
                let ends = [stream.as_fd(), socket.as_fd()];
                let handed = send(self.socket.as_fd(), &Made::Cell, &ends, Patience::Never);
                if handed.is_err() {
                    cell.end();
                }
                Ok(cell)
            }
            Err(failure) => {
                self.rights.give_back(uid);
                Err(failure)
            }
        }
    }
}

/// Right after the fork. A session without a terminal, and no stream of the user's.
fn settle() -> Result<(), Failure> {
    let at = |errno: Errno| Failure { stage: Stage::Root, errno: errno.raw_os_error() };
    // Ctrl-C is for the engine; the warden ends when its engine is gone and every cell removed.
    rustix::process::setsid().map_err(at)?;
    rustix::process::umask(Mode::empty());
    let null = openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(at)?;
    rustix::stdio::dup2_stdin(&null).map_err(at)?;
    rustix::stdio::dup2_stdout(&null).map_err(at)?;
    rustix::stdio::dup2_stderr(&null).map_err(at)
}

/// What of the host's file system stays in sight.
enum Keep {
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

fn view_place(number: usize) -> PathBuf {
    PathBuf::from(format!("/{number}"))
}

/// What has happened.
struct Ready {
    engine: bool,
    /// Which cells want attention, in order.
    cells: Vec<usize>,
}

fn wait(engine: Option<BorrowedFd<'_>>, cells: &[Living]) -> Result<Ready, Errno> {
    let mut fds: Vec<PollFd<'_>> = cells.iter().map(Living::poll_fd).collect();
    fds.extend(engine.map(|engine| PollFd::from_borrowed_fd(engine, PollFlags::IN)));
    let next = cells.iter().filter_map(Living::until).min();
    // Rounded up by a millisecond, so that the time has passed when the wait for it is over.
    let most = next.map(|next| next.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
    let most = most.and_then(|most| Timespec::try_from(most).ok());
    match poll(&mut fds, most.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(errno),
    }
    let hot: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
    let of_cells = (0..cells.len()).filter(|place| hot[*place]).collect();
    Ok(Ready { engine: engine.is_some() && hot[cells.len()], cells: of_cells })
}
