//! Following another process of ours: every system call it makes, and what is in its registers and its memory.

use core::mem::size_of;
use core::ptr;

use rustix::io::Errno;
use rustix::process::Pid;
use syscalls::{Sysno, syscall};

use super::checked;

// `linux/ptrace.h`.
const GETREGS: usize = 12;
const SETREGS: usize = 13;
const POKETEXT: usize = 4;
const DETACH: usize = 17;
const CONT: usize = 7;
const SYSCALL: usize = 24;
const GETEVENTMSG: usize = 0x4201;
const GETREGSET: usize = 0x4204;
const SEIZE: usize = 0x4206;
const INTERRUPT: usize = 0x4207;
const LISTEN: usize = 0x4208;
const GETSIGMASK: usize = 0x420a;
const GET_SYSCALL_INFO: usize = 0x420e;
const GET_RSEQ_CONFIGURATION: usize = 0x420f;

const TRACE_SYSGOOD: usize = 1;
const TRACE_FORK: usize = 2;
const TRACE_VFORK: usize = 4;
const TRACE_CLONE: usize = 8;
const TRACE_EXEC: usize = 0x10;
const TRACE_EXIT: usize = 0x40;
const EXIT_KILL: usize = 0x10_0000;

/// The note of a core file that holds the state of the vector unit.
const X86_XSTATE: usize = 0x202;

/// Has the registers listed once: by name for those who know them, as words for those who store them.
macro_rules! registers {
    ($($(#[$about:meta])* $name:ident,)*) => {
        /// The general registers, in the kernel's order.
        #[derive(Clone, Copy, Default)]
        #[repr(C)]
        pub(crate) struct Registers {
            $($(#[$about])* pub(crate) $name: u64,)*
        }

        /// How many registers there are.
        pub(crate) const REGISTERS: usize = [$(stringify!($name)),*].len();

        impl Registers {
            /// All of them, in the kernel's order.
            pub(crate) fn words(&self) -> [u64; REGISTERS] {
                [$(self.$name),*]
            }

            /// From that.
            pub(crate) fn from_words([$($name),*]: [u64; REGISTERS]) -> Registers {
                Registers { $($name),* }
            }
        }
    };
}

registers! {
    r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi,
    /// The number of the system call that it is in; -1 when it is in none.
    orig_rax,
    rip, cs, eflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs,
}

/// Where a stopped thread is with regard to the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Border {
    /// About to go in.
    Entering,
    /// About to come out.
    Leaving,
    /// Neither: it was interrupted.
    Elsewhere,
}

/// A thread's restartable sequences, as it has registered them.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Rseq {
    pub(crate) address: u64,
    pub(crate) size: u32,
    pub(crate) signature: u32,
    flags: u32,
    pad: u32,
}

impl Rseq {
    /// What a thread had registered.
    pub(crate) const fn new(address: u64, size: u32, signature: u32) -> Rseq {
        Rseq { address, size, signature, flags: 0, pad: 0 }
    }
}

fn ptrace(request: usize, tid: Pid, address: usize, data: usize) -> Result<usize, Errno> {
    // SAFETY: the callers below pass, as `address` and `data`, numbers or pointers to memory of the size that the request
    // writes or reads; the kernel checks the rest and answers an error.
    checked(unsafe { syscall!(Sysno::ptrace, request, tid.as_raw_nonzero().get(), address, data) })
}

/// Begins to follow a process: it stops at each system call from its next start on, and so does every thread of it. It
/// does not outlive us.
pub(crate) fn seize(pid: Pid) -> Result<(), Errno> {
    let options = TRACE_SYSGOOD | TRACE_FORK | TRACE_VFORK | TRACE_CLONE | TRACE_EXEC | EXIT_KILL;
    ptrace(SEIZE, pid, 0, options).map(drop)
}

/// Lets a stopped thread go to its next system call, with a signal if one was on its way.
pub(crate) fn to_next_call(tid: Pid, signal: usize) -> Result<(), Errno> {
    ptrace(SYSCALL, tid, 0, signal).map(drop)
}

/// Stops a thread wherever it is.
pub(crate) fn interrupt(tid: Pid) -> Result<(), Errno> {
    ptrace(INTERRUPT, tid, 0, 0).map(drop)
}

/// Begins to watch a process: it stops before it exits, and for its signals.
pub(crate) fn watch_exit(pid: Pid) -> Result<(), Errno> {
    ptrace(SEIZE, pid, 0, TRACE_EXIT).map(drop)
}

/// Lets a stopped thread go, with a signal if one was on its way.
pub(crate) fn go_on(tid: Pid, signal: usize) -> Result<(), Errno> {
    ptrace(CONT, tid, 0, signal).map(drop)
}

/// Has a process that is to stand still do so, as it would if nobody watched it.
pub(crate) fn listen(tid: Pid) -> Result<(), Errno> {
    ptrace(LISTEN, tid, 0, 0).map(drop)
}

/// The exit code of a process whose first thread has stopped before it exits; none where it has not chosen one itself for all
/// of its threads, so that it could still change.
pub(crate) fn exits_with(pid: Pid) -> Result<Option<u64>, Errno> {
    let chosen = Sysno::new(registers(pid)?.orig_rax as usize) == Some(Sysno::exit_group);
    let status = message(pid)?;
    Ok((chosen && status & 0x7f == 0).then_some(status >> 8 & 0xff))
}

/// Lets a stopped thread go for good, with a signal if one was on its way.
pub(crate) fn detach(tid: Pid, signal: usize) -> Result<(), Errno> {
    ptrace(DETACH, tid, 0, signal).map(drop)
}

/// The thread that a stop tells of.
pub(crate) fn new_thread(tid: Pid) -> Result<Pid, Errno> {
    Pid::from_raw(message(tid)? as i32).ok_or(Errno::SRCH)
}

/// What there is to be known of a stop.
fn message(tid: Pid) -> Result<u64, Errno> {
    let mut message = 0u64;
    ptrace(GETEVENTMSG, tid, 0, ptr::from_mut(&mut message).addr())?;
    Ok(message)
}

/// The registers of a stopped thread.
pub(crate) fn registers(tid: Pid) -> Result<Registers, Errno> {
    let mut registers = Registers::default();
    ptrace(GETREGS, tid, 0, ptr::from_mut(&mut registers).addr())?;
    Ok(registers)
}

/// Sets them.
pub(crate) fn set_registers(tid: Pid, registers: &Registers) -> Result<(), Errno> {
    ptrace(SETREGS, tid, 0, ptr::from_ref(registers).addr()).map(drop)
}

/// Where a stopped thread is.
pub(crate) fn border(tid: Pid) -> Result<Border, Errno> {
    // `struct ptrace_syscall_info`, which begins with what we want to know.
    let mut information = [0u64; 16];
    ptrace(GET_SYSCALL_INFO, tid, size_of::<[u64; 16]>(), information.as_mut_ptr().addr())?;
    Ok(match information[0] as u8 {
        1 => Border::Entering,
        2 => Border::Leaving,
        _ => Border::Elsewhere,
    })
}

/// The signals that a stopped thread has blocked.
pub(crate) fn blocked_signals(tid: Pid) -> Result<u64, Errno> {
    let mut mask = 0u64;
    ptrace(GETSIGMASK, tid, size_of::<u64>(), ptr::from_mut(&mut mask).addr())?;
    Ok(mask)
}

/// The restartable sequences of a stopped thread; the address is zero when it has none.
pub(crate) fn rseq(tid: Pid) -> Result<Rseq, Errno> {
    let mut rseq = Rseq::default();
    ptrace(GET_RSEQ_CONFIGURATION, tid, size_of::<Rseq>(), ptr::from_mut(&mut rseq).addr())?;
    Ok(rseq)
}

/// What is in the vector unit of a stopped thread: so many bytes of it.
pub(crate) fn vector_state(tid: Pid, buffer: &mut [u8]) -> Result<usize, Errno> {
    #[repr(C)]
    struct Vector {
        base: *mut u8,
        length: usize,
    }
    let mut vector = Vector { base: buffer.as_mut_ptr(), length: buffer.len() };
    ptrace(GETREGSET, tid, X86_XSTATE, ptr::from_mut(&mut vector).addr())?;
    Ok(vector.length)
}

/// Writes eight bytes into a stopped process, wherever they are, its code included.
pub(crate) fn poke(tid: Pid, address: u64, word: u64) -> Result<(), Errno> {
    ptrace(POKETEXT, tid, address as usize, word as usize).map(drop)
}

/// Reads a process's memory, up to the first page that cannot be read. How many bytes that were.
pub(crate) fn peek(pid: Pid, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    #[repr(C)]
    struct Vector {
        base: usize,
        length: usize,
    }
    let here = Vector { base: buffer.as_mut_ptr().addr(), length: buffer.len() };
    let there = Vector { base: address as usize, length: buffer.len() };
    // SAFETY: both vectors outlive the call; the kernel writes at most `buffer.len()` bytes into `buffer`, which is ours,
    // and checks the other process's addresses itself.
    checked(unsafe {
        syscall!(
            Sysno::process_vm_readv,
            pid.as_raw_nonzero().get(),
            ptr::from_ref(&here),
            1,
            ptr::from_ref(&there),
            1,
            0
        )
    })
}
