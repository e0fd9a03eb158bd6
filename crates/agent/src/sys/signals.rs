//! Signals: back to their defaults, and the end of a child as something to poll for.

use core::mem::size_of;
use core::ptr;

use rustix::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use syscalls::{Sysno, syscall};

use super::checked;

const SIGPIPE: u32 = 13;
const SIGTERM: u32 = 15;
const SIGCHLD: u32 = 17;
const HIGHEST_SIGNAL: i32 = 64;
const SIG_BLOCK: usize = 0;
const SIG_SETMASK: usize = 2;
const SFD_NONBLOCK: usize = 0o4000;
const SFD_CLOEXEC: usize = 0o2000000;

/// A set of signals as the kernel has it.
type SignalSet = u64;

const fn set_of(signal: u32) -> SignalSet {
    1 << (signal - 1)
}

/// The kernel's `struct sigaction`, all zero for the default.
#[repr(C)]
struct Action {
    handler: usize,
    flags: usize,
    restorer: usize,
    mask: SignalSet,
}

/// Gives every signal its default effect. What our parents ignore (Rust programs ignore SIGPIPE) would otherwise be
/// ignored in every program of every job.
pub(crate) fn reset_signals() {
    let default = Action { handler: 0, flags: 0, restorer: 0, mask: 0 };
    for signal in 1..=HIGHEST_SIGNAL {
        // SAFETY: `default` is a whole `struct sigaction` that outlives the call, the old one is not asked for, and
        // the set's size is the kernel's. SIGKILL and SIGSTOP are refused, which is as good.
        let _ = unsafe {
            syscall!(
                Sysno::rt_sigaction,
                signal,
                ptr::from_ref(&default),
                ptr::null_mut::<Action>(),
                size_of::<SignalSet>()
            )
        };
    }
}

/// Sets what a signal does, as the kernel's `struct sigaction` has it.
pub(crate) fn set_handler(signal: usize, action: &[u64; 4]) -> Result<(), Errno> {
    // SAFETY: `action` is as large as a `struct sigaction` and outlives the call. The handler is code of the process that
    // this one has become.
    checked(unsafe {
        syscall!(Sysno::rt_sigaction, signal, ptr::from_ref(action), ptr::null_mut::<Action>(), size_of::<SignalSet>())
    })
    .map(drop)
}

/// Lets every signal through again: for a child that is to become a job's program.
pub(crate) fn unblock_signals() -> Result<(), Errno> {
    set_mask(SIG_SETMASK, 0)
}

fn set_mask(how: usize, set: SignalSet) -> Result<(), Errno> {
    // SAFETY: `set` outlives the call, the old mask is not asked for, and the set's size is the kernel's.
    checked(unsafe {
        syscall!(Sysno::rt_sigprocmask, how, ptr::from_ref(&set), ptr::null_mut::<SignalSet>(), size_of::<SignalSet>())
    })
    .map(|_| ())
}

/// Readable when a child has ended, or when the agent is to end.
pub(crate) struct SignalFd(OwnedFd);

/// What has come since it was last asked.
#[derive(Clone, Copy, Default)]
pub(crate) struct Came {
    /// A child has ended.
    pub(crate) child: bool,
    /// The agent is to end: in a fence, whoever made it is gone.
    pub(crate) end: bool,
}

/// Which signals the agent listens for.
#[derive(Clone, Copy)]
pub(crate) enum Heard {
    /// The end of a child.
    Children,
    /// And that the agent is to end.
    ChildrenAndEnd,
}

/// The kernel's `struct signalfd_siginfo`, which begins with the signal's number.
const INFORMATION_BYTES: usize = 128;

impl SignalFd {
    /// Blocks these signals and makes a descriptor for them. Blocks the one for a pipe that nobody reads, too, which the
    /// kernel keeps from process 1 but not from the agent of a fence: the write says so itself.
    pub(crate) fn new(heard: Heard) -> Result<SignalFd, Errno> {
        let set = match heard {
            Heard::Children => set_of(SIGCHLD),
            Heard::ChildrenAndEnd => set_of(SIGCHLD) | set_of(SIGTERM),
        };
        set_mask(SIG_BLOCK, set | set_of(SIGPIPE))?;
        // SAFETY: -1 asks for a new descriptor, `set` outlives the call, and its size is the kernel's.
        let fd = checked(unsafe {
            syscall!(Sysno::signalfd4, -1isize, ptr::from_ref(&set), size_of::<SignalSet>(), SFD_NONBLOCK | SFD_CLOEXEC)
        })?;
        // SAFETY: the kernel has just made this descriptor for us, nobody else knows it.
        Ok(SignalFd(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// Takes what has come, so that the descriptor is quiet again. Neither signal queues, so there are two at most.
    pub(crate) fn take(&self) -> Came {
        let mut came = Came::default();
        let mut information = [0u8; 2 * INFORMATION_BYTES];
        let read = rustix::io::read(&self.0, &mut information).unwrap_or(0);
        for one in information[..read].chunks_exact(INFORMATION_BYTES) {
            match one.first_chunk().map(|number| u32::from_ne_bytes(*number)) {
                Some(SIGCHLD) => came.child = true,
                Some(SIGTERM) => came.end = true,
                _ => {}
            }
        }
        came
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
