//! The system calls that rustix does not have, each under a function that cannot be called wrongly, but
//! for closing descriptors: only the caller can know who else holds them.

#![expect(unsafe_code, reason = "the one place for raw system calls")]

use core::marker::PhantomData;
use core::ptr;

use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use syscalls::{Sysno, syscall};

use crate::seccomp::Instruction;

const SECCOMP_SET_MODE_FILTER: u32 = 1;
const CLOSE_RANGE_CLOEXEC: u32 = 4;
const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
const LANDLOCK_RULE_PATH_BENEATH: u32 = 1;

/// `struct landlock_ruleset_attr`, as of version 6; an older kernel takes it as long as what it does not know is zero.
#[repr(C)]
pub(crate) struct Ruleset {
    pub(crate) files: u64,
    pub(crate) network: u64,
    pub(crate) scoped: u64,
}

/// `struct landlock_path_beneath_attr`, which the kernel has packed.
#[repr(C, packed)]
pub(crate) struct PathBeneath<'a> {
    allowed: u64,
    parent: RawFd,
    borrowed: PhantomData<BorrowedFd<'a>>,
}

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    length: u16,
    instructions: *const Instruction,
}

impl<'a> PathBeneath<'a> {
    pub(crate) fn new(allowed: u64, parent: BorrowedFd<'a>) -> PathBeneath<'a> {
        PathBeneath { allowed, parent: parent.as_raw_fd(), borrowed: PhantomData }
    }
}

pub(crate) fn seccomp_install(instructions: &[Instruction]) -> Result<(), Errno> {
    let length = u16::try_from(instructions.len()).map_err(|_| Errno::INVAL)?;
    let program = Program { length, instructions: instructions.as_ptr() };
    // SAFETY: with this operation and no flags, the kernel reads one `sock_fprog` at the pointer, which `program` is,
    // and `length` instructions behind it, which the slice has; both outlive the call. It writes nothing and keeps a
    // copy. The filter changes which calls succeed, never what a successful one does to memory.
    unsafe { syscall!(Sysno::seccomp, SECCOMP_SET_MODE_FILTER, 0, ptr::from_ref(&program)) }.map(drop).map_err(errno)
}

pub(crate) fn landlock_abi() -> Result<u32, Errno> {
    // SAFETY: with this flag, a null pointer and a size of 0 are what the kernel demands; it reads and writes no memory
    // and makes no descriptor.
    let version = unsafe { syscall!(Sysno::landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION) };
    version.map_err(errno).and_then(|version| u32::try_from(version).map_err(|_| Errno::RANGE))
}

pub(crate) fn landlock_create(ruleset: &Ruleset) -> Result<OwnedFd, Errno> {
    // SAFETY: the kernel reads `size_of::<Ruleset>()` bytes at the pointer, which are there for as long as the
    // reference lives and have no padding; it writes nothing.
    let descriptor =
        unsafe { syscall!(Sysno::landlock_create_ruleset, ptr::from_ref(ruleset), size_of::<Ruleset>(), 0) }
            .map_err(errno)?;
    let descriptor = RawFd::try_from(descriptor).map_err(|_| Errno::RANGE)?;
    // SAFETY: the kernel has just opened it for us, so it is open, nobody else owns it, and closing it is ours.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

pub(crate) fn landlock_allow(ruleset: BorrowedFd<'_>, rule: &PathBeneath<'_>) -> Result<(), Errno> {
    // SAFETY: for this type of rule the kernel reads one `landlock_path_beneath_attr` at the pointer, which
    // `PathBeneath` is laid out as; it lives through the call, and so do both descriptors, being borrowed. The kernel
    // writes nothing.
    unsafe {
        syscall!(Sysno::landlock_add_rule, ruleset.as_raw_fd(), LANDLOCK_RULE_PATH_BENEATH, ptr::from_ref(rule), 0)
    }
    .map(drop)
    .map_err(errno)
}

pub(crate) fn landlock_restrict_self(ruleset: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: no memory is passed; the descriptor is borrowed, so it is open. What the thread may do from here on
    // changes, never what it has in memory.
    unsafe { syscall!(Sysno::landlock_restrict_self, ruleset.as_raw_fd(), 0) }.map(drop).map_err(errno)
}

/// Lets the next `execve` close every descriptor from `first` up; until then all stay open.
pub(crate) fn close_on_exec_from(first: u32) -> Result<(), Errno> {
    // SAFETY: no memory is passed, and with this flag no descriptor is closed while this program runs.
    unsafe { syscall!(Sysno::close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) }.map(drop).map_err(errno)
}

fn errno(errno: syscalls::Errno) -> Errno {
    Errno::from_raw_os_error(errno.into_raw())
}
