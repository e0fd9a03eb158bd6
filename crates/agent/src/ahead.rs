//! A tool that was started ahead of its job and stopped, before it could look at anything of it.
//!
//! We follow it from its start, system call by system call. Stopped means: every thread of it stands still, and the call by
//! which it would first have named something in the work directory has not been made. Whatever is there when it is let go
//! is what it finds, as if it had only just been started.

use core::mem::size_of;

use firebox_wire::{Halt, Terms};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, WaitOptions, WaitStatus, prlimit, wait, waitpid};
use syscalls::Sysno;

use crate::one_cpu::OneCpu;
use crate::shown::{Holds, Shown};
use crate::sys::{self, Border, MOST_THREADS, Registers};

/// The longest path that is looked at: more cannot be the name of anything that a tool looks for at its start.
const PATH_BYTES: usize = 512;

/// What the kernel adds to the number of a stop when it is for a system call.
const SYSTEM_CALL: i32 = 0x80;
const SIGTRAP: i32 = 5;
/// Why a stop is none of a signal.
const FORKED: i32 = 1;
const FORKED_AND_WAITS: i32 = 2;
const BEGAN_THREAD: i32 = 3;
const EXECUTED: i32 = 4;
const ENDS: i32 = 6;
const STOPPED: i32 = 128;

/// A tool that was started, and stopped.
pub(crate) struct Stopped {
    pub(crate) pid: Pid,
    threads: Threads,
    /// Where in its code there is a system call.
    pub(crate) call: u64,
    /// Whether all that is left is to ask for something in the work directory.
    pub(crate) asks: bool,
}

/// Where a tool is to be stopped.
#[derive(Clone, Copy)]
pub(crate) struct Until {
    pub(crate) halt: Halt,
    /// Random numbers of so many bytes at once it may draw: each copy of it will be told to draw its own.
    pub(crate) renewed: u32,
}

/// How much of a tool's life is behind it when it begins to be followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// It is about to be executed.
    Executing,
    /// It is running.
    Running,
}

/// The threads of a process, the one first that it began with.
struct Threads {
    ids: [Option<Pid>; MOST_THREADS],
}

/// How a process stopped.
enum Stop {
    Gone,
    Call,
    Executed,
    Thread,
    Forked,
    /// It is about to end, with all it has.
    Ends,
    /// By us, or as each thread does at its beginning.
    Interrupted,
    Breakpoint,
    Signal(usize),
}

impl Stopped {
    /// Follows a process that has been seized and is about to execute a tool, until there is nothing more that the tool
    /// could do without having looked at the work directory. `work` is the path of that, `shared` that we are on one CPU meanwhile.
    pub(crate) fn bring(
        pid: Pid,
        since: Since,
        until: Until,
        work: &[u8],
        shared: Option<&OneCpu>,
    ) -> Result<Stopped, Errno> {
        let Until { halt, renewed } = until;
        let mut threads = Threads::new(pid);
        let mut executed = since == Since::Running;
        let mut asks = false;
        let mut breakpoint = None;
        let mut call = 0;
        let mut shown = None;
        let halted = loop {
            let (tid, stop) = wait_for_any()?;
            match stop {
                Stop::Gone if tid == pid => return Err(Errno::CHILD),
                Stop::Gone => threads.remove(tid),
                // Another process would be left out of an image, and would run on.
                Stop::Forked => return Err(Errno::NOTSUP),
                Stop::Executed => {
                    executed = true;
                    if halt == Halt::Loaded {
                        breakpoint = Some(Breakpoint::set_at_entry(pid)?);
                    }
                    sys::to_next_call(tid, 0)?;
                }
                Stop::Thread => {
                    threads.add(sys::new_thread(tid)?)?;
                    sys::to_next_call(tid, 0)?;
                }
                Stop::Call => {
                    let border = sys::border(tid)?;
                    let entering = border == Border::Entering;
                    let registers = sys::registers(tid)?;
                    shared.map_or(Ok(()), |shared| shared.see(tid, &registers, border))?;
                    if executed && entering {
                        call = registers.rip - CALL_BYTES;
                    }
                    if executed && entering && names_job(&registers, pid, work) {
                        asks = true;
                        break tid;
                    }
                    if executed && entering && halt == Halt::AsksOrDraws {
                        if draws(&registers, pid, renewed) {
                            break tid;
                        }
                        keep_from_forgetting(tid, &registers)?;
                    }
                    match shown.take_if(|shown: &mut Shown| !entering && shown.is_by(tid)) {
                        Some(over) => over.end()?,
                        None if executed && entering && shown.is_none() => shown = shows(registers, tid)?,
                        None => {}
                    }
                    sys::to_next_call(tid, 0)?;
                }
                Stop::Interrupted | Stop::Ends => sys::to_next_call(tid, 0)?,
                Stop::Breakpoint => match breakpoint.take() {
                    Some(breakpoint) => {
                        breakpoint.remove()?;
                        break tid;
                    }
                    None => sys::to_next_call(tid, SIGTRAP as usize)?,
                },
                Stop::Signal(signal) => sys::to_next_call(tid, signal)?,
            }
        };
        let others = threads.ids;
        for tid in others.into_iter().flatten().filter(|tid| *tid != halted) {
            match sys::interrupt(tid).and_then(|()| stop_of(tid)) {
                Ok(Stop::Gone) | Err(Errno::SRCH | Errno::CHILD) => threads.remove(tid),
                // It was just about to begin another, which stops by itself. Nobody else would ever let that one go.
                Ok(Stop::Thread) => {
                    let begun = sys::new_thread(tid)?;
                    threads.add(begun)?;
                    wait_for(begun)?;
                }
                Ok(Stop::Forked) => return Err(Errno::NOTSUP),
                Ok(_) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(Stopped { pid, threads, call, asks })
    }

    /// All threads, the one first that the process began with.
    pub(crate) fn threads(&self) -> impl Iterator<Item = Pid> {
        self.threads.ids.iter().copied().flatten()
    }

    /// Holds it to its terms, and lets it go.
    pub(crate) fn let_go(&self, terms: &Terms, limits_tasks: bool) -> Result<(), Errno> {
        self.limit(Resource::Fsize, terms.file_bytes)?;
        if limits_tasks {
            self.limit(Resource::Nproc, terms.tasks.into())?;
        }
        self.threads().try_for_each(|tid| match sys::detach(tid, 0) {
            // Those before it run already. On a busy machine they can have come to the end of the process by now, and its end is
            // heard of as any other.
            Err(Errno::SRCH) => Ok(()),
            detached => detached,
        })
    }

    /// Where less was inherited, less it stays.
    fn limit(&self, resource: Resource, most: u64) -> Result<(), Errno> {
        let most = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX).min(most);
        prlimit(Some(self.pid), resource, Rlimit { current: Some(most), maximum: Some(most) }).map(drop)
    }
}

/// How long the instruction is that makes a system call.
pub(crate) const CALL_BYTES: u64 = 2;

impl Threads {
    fn new(first: Pid) -> Threads {
        let mut ids = [None; MOST_THREADS];
        ids[0] = Some(first);
        Threads { ids }
    }

    fn add(&mut self, tid: Pid) -> Result<(), Errno> {
        let free = self.ids.iter_mut().find(|id| id.is_none()).ok_or(Errno::TOOBIG)?;
        *free = Some(tid);
        Ok(())
    }

    fn remove(&mut self, tid: Pid) {
        self.ids.iter_mut().filter(|id| **id == Some(tid)).for_each(|id| *id = None);
    }
}

/// An instruction that stops a program, in place of the first of its own.
struct Breakpoint {
    pid: Pid,
    address: u64,
    original: u64,
}

impl Breakpoint {
    /// To be called when a program has just been executed: then its stack holds what the kernel told its loader.
    fn set_at_entry(pid: Pid) -> Result<Breakpoint, Errno> {
        let address = entry(pid)?;
        let original = read_word(pid, address)?;
        const INT3: u64 = 0xcc;
        sys::poke(pid, address, original & !0xff | INT3)?;
        Ok(Breakpoint { pid, address, original })
    }

    fn remove(self) -> Result<(), Errno> {
        let Breakpoint { pid, address, original } = self;
        sys::poke(pid, address, original)?;
        let registers = sys::registers(pid)?;
        sys::set_registers(pid, &Registers { rip: address, ..registers })
    }
}

/// The address of a program's first own instruction.
fn entry(pid: Pid) -> Result<u64, Errno> {
    const AT_ENTRY: u64 = 9;
    // argc, argv, 0, environment, 0, and then pairs of a kind and a value.
    let mut at = sys::registers(pid)?.rsp;
    at += 8 * (read_word(pid, at)? + 2);
    while read_word(pid, at)? != 0 {
        at += 8;
    }
    loop {
        at += 8;
        let (kind, value) = (read_word(pid, at)?, read_word(pid, at + 8)?);
        match kind {
            0 => return Err(Errno::NOEXEC),
            AT_ENTRY => return Ok(value),
            _ => at += 8,
        }
    }
}

fn read_word(pid: Pid, address: u64) -> Result<u64, Errno> {
    let mut word = [0; size_of::<u64>()];
    if sys::peek(pid, address, &mut word)? == word.len() { Ok(u64::from_ne_bytes(word)) } else { Err(Errno::FAULT) }
}

/// Whether a thread that is about to make a system call names something in the work directory by it.
fn names_job(registers: &Registers, pid: Pid, work: &[u8]) -> bool {
    Named::by(registers).is_some_and(|named| named.is_of_the_job(named.read(pid, &mut [0; PATH_BYTES]), work))
}

/// Whether a thread that is about to make a system call draws random numbers by it: more of them than seed a table or an
/// allocator. Copies of a process that has drawn them would all have the same.
fn draws(registers: &Registers, pid: Pid, renewed: u32) -> bool {
    /// CPython's hashes take 24 bytes, Rust's 16. At 32 begin the keys of generators.
    const OF_A_TABLE: u64 = 24;
    if Sysno::new(registers.orig_rax as usize) == Some(Sysno::getrandom) {
        return OF_A_TABLE < registers.rsi && registers.rsi != u64::from(renewed);
    }
    Named::by(registers).is_some_and(|named| {
        named.does == Does::Opens && matches!(named.read(pid, &mut [0; PATH_BYTES]), b"/dev/urandom" | b"/dev/random")
    })
}

/// Shows a thread that is about to open something of the kernel's where that is.
fn shows(registers: Registers, tid: Pid) -> Result<Option<Shown>, Errno> {
    match Named::by(&registers) {
        Some(named) if named.does == Does::Opens => {
            let holds = if named.path == registers.rdi { Holds::First } else { Holds::Second };
            Shown::instead(tid, named.read(tid, &mut [0; PATH_BYTES]), registers, holds)
        }
        _ => Ok(None),
    }
}

/// What a system call does with the path that it names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Opens,
    LooksAt,
}

/// Sees to it that a process which will be copied has no memory that the kernel empties for whoever is forked. That is where
/// random numbers are kept for later: in a copy they would be those of all others, and since the C library takes them from
/// there without a system call, nobody would see it draw.
fn keep_from_forgetting(tid: Pid, registers: &Registers) -> Result<(), Errno> {
    const MAP_TYPE: u64 = 0xf;
    const MAP_DROPPABLE: u64 = 0x8;
    const WIPE_ON_FORK: u64 = 18;
    match Sysno::new(registers.orig_rax as usize) {
        // Of no type it is refused, as by a kernel that does not know of this one, and the C library asks the kernel for
        // random numbers instead. A copy tries again.
        Some(Sysno::mmap) if registers.r10 & MAP_TYPE == MAP_DROPPABLE => {
            sys::set_registers(tid, &Registers { r10: registers.r10 & !MAP_TYPE, ..*registers })
        }
        Some(Sysno::madvise) if registers.rdx == WIPE_ON_FORK => Err(Errno::NOTSUP),
        _ => Ok(()),
    }
}

/// The path that a system call names.
struct Named {
    /// Its address.
    path: u64,
    does: Does,
    /// Whether a relative one counts from the work directory. From another one nothing of the job can be reached: that
    /// would have to be opened by name before.
    from_work: bool,
}

impl Named {
    fn by(registers: &Registers) -> Option<Named> {
        const AT_CURRENT: i32 = -100;
        let Registers { rdi, rsi, orig_rax, .. } = *registers;
        let plain = |does| Named { path: rdi, does, from_work: true };
        let from = |does| Named { path: rsi, does, from_work: rdi as i32 == AT_CURRENT };
        Some(match Sysno::new(orig_rax as usize)? {
            Sysno::open | Sysno::creat | Sysno::execve | Sysno::chdir | Sysno::truncate => plain(Does::Opens),
            Sysno::openat | Sysno::openat2 | Sysno::execveat => from(Does::Opens),
            Sysno::stat | Sysno::lstat | Sysno::statfs | Sysno::access | Sysno::readlink => plain(Does::LooksAt),
            Sysno::unlink | Sysno::mkdir | Sysno::rmdir | Sysno::getxattr => plain(Does::LooksAt),
            Sysno::newfstatat | Sysno::statx | Sysno::readlinkat => from(Does::LooksAt),
            Sysno::faccessat | Sysno::faccessat2 | Sysno::unlinkat | Sysno::mkdirat => from(Does::LooksAt),
            _ => return None,
        })
    }

    /// A path that cannot be read is an error that the call itself will give.
    fn read<'b>(&self, pid: Pid, buffer: &'b mut [u8; PATH_BYTES]) -> &'b [u8] {
        let read = sys::peek(pid, self.path, buffer).unwrap_or(0);
        buffer[..read].split(|byte| *byte == 0).next().unwrap_or(&[])
    }

    /// Whether it leads to something that a job may have put there.
    fn is_of_the_job(&self, path: &[u8], work: &[u8]) -> bool {
        let inside = match path {
            [] => return false,
            [b'/', ..] => match path.strip_prefix(work) {
                Some([]) => b"",
                Some([b'/', inside @ ..]) => inside,
                _ => return false,
            },
            relative if self.from_work => relative,
            _ => return false,
        };
        match inside {
            // The directory itself is always there, and looks the same; only what is in it does not.
            b"" | b"." | b"./" => self.does == Does::Opens,
            _ => true,
        }
    }
}

fn wait_for_any() -> Result<(Pid, Stop), Errno> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => return Ok((pid, stop(status))),
            Ok(None) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Follows the first thread of a process until that is about to end, and with it the process.
pub(crate) fn follow_to_its_end(pid: Pid) -> Result<(), Errno> {
    loop {
        match stop_of(pid)? {
            Stop::Ends => return Ok(()),
            Stop::Gone => return Err(Errno::CHILD),
            Stop::Signal(signal) => sys::go_on(pid, signal)?,
            Stop::Breakpoint => sys::go_on(pid, SIGTRAP as usize)?,
            Stop::Call | Stop::Executed | Stop::Thread | Stop::Forked | Stop::Interrupted => sys::go_on(pid, 0)?,
        }
    }
}

/// Waits until a thread has stopped, for whatever reason.
pub(crate) fn wait_for(tid: Pid) -> Result<(), Errno> {
    match stop_of(tid)? {
        Stop::Gone => Err(Errno::CHILD),
        _ => Ok(()),
    }
}

fn stop_of(tid: Pid) -> Result<Stop, Errno> {
    loop {
        match waitpid(Some(tid), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(stop(status)),
            Ok(None) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn stop(status: WaitStatus) -> Stop {
    let raw = status.as_raw();
    if raw & 0xff != 0x7f {
        return Stop::Gone;
    }
    let (signal, why) = (raw >> 8 & 0xff, raw >> 16);
    match (why, signal) {
        (EXECUTED, _) => Stop::Executed,
        (BEGAN_THREAD, _) => Stop::Thread,
        (FORKED | FORKED_AND_WAITS, _) => Stop::Forked,
        (ENDS, _) => Stop::Ends,
        (STOPPED, _) => Stop::Interrupted,
        (_, signal) if signal == SIGTRAP | SYSTEM_CALL => Stop::Call,
        (_, SIGTRAP) => Stop::Breakpoint,
        (_, signal) => Stop::Signal(signal as usize),
    }
}
