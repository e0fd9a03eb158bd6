//! Namespaces, and processes in them.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use firebox_confine::Layer;
use rustix::io::Errno;
use rustix::process::Pid;
use syscalls::{Sysno, syscall};

use super::checked;

/// Which of the two processes this is after a clone.
pub(crate) enum Cloned {
    /// The first process of the new namespaces.
    Child,
    /// The old process, with the new one's id and a descriptor for it.
    Parent { pid: Pid, pidfd: OwnedFd },
}

const CLONE_NEWCGROUP: usize = 0x0200_0000;
const CLONE_NEWIPC: usize = 0x0800_0000;
const CLONE_NEWNET: usize = 0x4000_0000;
const CLONE_NEWNS: usize = 0x0002_0000;
const CLONE_NEWPID: u64 = 0x2000_0000;
pub(super) const CLONE_NEWUSER: usize = 0x1000_0000;
const CLONE_NEWUTS: usize = 0x0400_0000;
const CLONE_PIDFD: u64 = 0x0000_1000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const SIGCHLD: u64 = 17;

/// Those that the first process of a cell enters by itself.
const NAMESPACES: [(Layer, usize); 4] = [
    (Layer::MountNamespace, CLONE_NEWNS),
    (Layer::NetworkNamespace, CLONE_NEWNET),
    (Layer::IpcNamespace, CLONE_NEWIPC),
    (Layer::UtsNamespace, CLONE_NEWUTS),
];

/// The kernel's `struct clone_args`, as long as it was when `cgroup` came.
#[repr(C)]
#[derive(Default)]
pub(super) struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

impl CloneArgs {
    /// With these flags and nothing else, not even a signal at the end of the new process.
    pub(super) fn of(flags: u64) -> CloneArgs {
        CloneArgs { flags, ..CloneArgs::default() }
    }
}

/// Copies this process into a new PID namespace, and into a control group (v2) if one is given. To be called only by a
/// process with a single thread.
pub(crate) fn clone_into_pid_namespace(cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned, Errno> {
    let mut pidfd: i32 = -1;
    let mut args = CloneArgs {
        flags: CLONE_PIDFD | if Layer::PidNamespace.is_left_out() { 0 } else { CLONE_NEWPID },
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: SIGCHLD,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a whole `struct clone_args` of the size given, `pidfd` outlives the call, and without
    // CLONE_VM or a stack of its own the child goes on with a copy of all memory, as after `fork`.
    let result = unsafe { syscall!(Sysno::clone3, &raw mut args, size_of::<CloneArgs>()) };
    match checked(result)? {
        0 => Ok(Cloned::Child),
        pid => {
            let pid = Pid::from_raw(pid as i32).ok_or(Errno::IO)?;
            // SAFETY: CLONE_PIDFD has made the kernel put a new descriptor there, and nobody else knows it.
            Ok(Cloned::Parent { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
        }
    }
}

fn unshare(flags: usize) -> Result<(), Errno> {
    // SAFETY: new namespaces change what names mean, not memory; CLONE_FILES, which would, is not among the flags
    // that the functions below pass.
    checked(unsafe { syscall!(Sysno::unshare, flags) }).map(|_| ())
}

/// Gives this process a mount namespace of its own, a copy of the present one.
pub(crate) fn enter_mount_namespace() -> Result<(), Errno> {
    unshare(CLONE_NEWNS)
}

/// Gives this process mount, network, IPC and UTS namespaces of its own.
pub(crate) fn enter_namespaces() -> Result<(), Errno> {
    let all = NAMESPACES.iter().filter(|(layer, _)| !layer.is_left_out());
    unshare(all.fold(0, |all, (_, one)| all | one))
}

/// Makes the present control group the root of what this process sees of control groups.
pub(crate) fn enter_cgroup_namespace() -> Result<(), Errno> {
    unshare(CLONE_NEWCGROUP)
}

/// Enters a new user namespace, in which nobody is mapped yet.
pub(crate) fn enter_user_namespace() -> Result<(), Errno> {
    unshare(CLONE_NEWUSER)
}
