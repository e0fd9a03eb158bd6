//! Giving up one's own address space for another's, and running on from there.
//!
//! A process that is thawed takes up the very addresses that it was frozen at. All that is ours and in its way goes:
//! the stack, the kernel's page of time, every mapping but the zone, which is where the agent's program is linked (see
//! the build script). Nothing that is frozen is ever there.

use core::arch::{asm, naked_asm};
use core::cell::UnsafeCell;
use core::mem::size_of;
use core::ops::Range;
use core::ptr;

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;
use syscalls::{Sysno, syscall};

use super::checked;
use super::trace::{Registers, Rseq};

/// Where the zone begins, as the build script says.
const BEGIN: usize = 0x4800_0000_0000;
/// And where it ends.
const END: usize = BEGIN + (1 << 30);
/// Where an image's table of contents is mapped.
const CONTENTS: usize = BEGIN + (1 << 28);
/// The most that may be.
const CONTENTS_BYTES: usize = 1 << 24;
/// Where the kernel's own pages are put aside.
const SHELF: usize = BEGIN + (1 << 29);
/// The lowest address that can be mapped, and the first that cannot.
const LOWEST: usize = 0x1_0000;
const HIGHEST: usize = 0x7fff_ffff_f000;

/// The most threads that a process is thawed with.
pub(crate) const MOST_THREADS: usize = 32;
/// Room for what is in the vector unit.
pub(crate) const VECTOR_BYTES: usize = 12 * 1024;

const STACK_BYTES: usize = 64 * 1024;
const SMALL_STACK_BYTES: usize = 4 * 1024;

const MAP_SHARED: usize = 1;
const MAP_PRIVATE: usize = 2;
const MAP_FIXED: usize = 0x10;
const MAP_ANONYMOUS: usize = 0x20;
const MAP_GROWSDOWN: usize = 0x100;
const MAP_NORESERVE: usize = 0x4000;
const MREMAP_TO: usize = 1 | 2;
const PROT_READ: usize = 1;
const PROT_WRITE: usize = 2;

/// Memory in the zone that only one thread uses at a time.
#[repr(align(64))]
struct Own<T>(UnsafeCell<T>);

// SAFETY: the agent has one thread, and so has what it forks until `begin_thread`; from then on each thread uses the
// element that is named after its number and nobody else's.
unsafe impl<T> Sync for Own<T> {}

static STACK: Own<[u8; STACK_BYTES]> = Own(UnsafeCell::new([0; STACK_BYTES]));
static SMALL_STACKS: Own<[[u8; SMALL_STACK_BYTES]; MOST_THREADS]> =
    Own(UnsafeCell::new([[0; SMALL_STACK_BYTES]; MOST_THREADS]));
static FRAMES: Own<[Frame; MOST_THREADS]> = Own(UnsafeCell::new([const { Frame::EMPTY }; MOST_THREADS]));
static BELONGINGS: Own<[Belongings; MOST_THREADS]> = Own(UnsafeCell::new([Belongings::NONE; MOST_THREADS]));

/// What a mapping shows.
#[derive(Clone, Copy)]
pub(crate) enum Shows<'a> {
    /// A file from an offset on, changes being private.
    Private(BorrowedFd<'a>, u64),
    /// A file from an offset on.
    Shared(BorrowedFd<'a>, u64),
    /// Nothing yet.
    Zeros,
    /// Nothing yet, and it grows downwards.
    Stack,
}

/// Maps the table of contents of an image, which stays until [`forget_contents`].
pub(crate) fn map_contents(image: BorrowedFd<'_>, length: usize) -> Result<&'static [u8], Errno> {
    if CONTENTS_BYTES < length {
        return Err(Errno::TOOBIG);
    }
    map(CONTENTS..CONTENTS + length, PROT_READ, Shows::Private(image, 0))?;
    // SAFETY: so many bytes have just been mapped there for reading, of a file that is sealed against changes.
    Ok(unsafe { core::slice::from_raw_parts(ptr::with_exposed_provenance(CONTENTS), length) })
}

/// Takes the table of contents away again. Nobody may look at it from here on.
pub(crate) fn forget_contents() -> Result<(), Errno> {
    // SAFETY: nothing else is ever there, and the caller is done with the slice.
    checked(unsafe { syscall!(Sysno::munmap, CONTENTS, CONTENTS_BYTES) }).map(drop)
}

/// Runs on in the zone's own stack. What the caller has on its stack is lost, which is why nothing is handed on.
pub(crate) fn on_own_stack(next: extern "C" fn() -> !) -> ! {
    let top = STACK.0.get().addr() + STACK_BYTES;
    // SAFETY: the stack pointer is set to the end of memory that is ours and that nobody uses, aligned as a call wants it;
    // `next` never comes back.
    unsafe {
        asm!("mov rsp, {top}", "xor ebp, ebp", "call {next}", "ud2", top = in(reg) top, next = in(reg) next,
            options(noreturn));
    }
}

/// The address space is empty but for the zone. From here on nothing outside of the zone is referred to.
pub(crate) struct Emptied(());

/// Puts the kernel's own pages on the shelf and unmaps everything else outside of the zone. To be called on the zone's own
/// stack, by code that holds no reference to anything else.
pub(crate) fn give_up_everything(
    kernels: Range<usize>,
    parts: impl Iterator<Item = Range<usize>>,
) -> Result<Emptied, Errno> {
    for part in parts {
        move_pages(part.clone(), SHELF + (part.start - kernels.start))?;
    }
    let shelf_end = SHELF + kernels.len();
    for gone in [LOWEST..BEGIN, shelf_end..HIGHEST] {
        // SAFETY: by the caller's promise nothing of it is referred to any more; code, data and stack are in the zone.
        checked(unsafe { syscall!(Sysno::munmap, gone.start, gone.len()) })?;
    }
    Ok(Emptied(()))
}

impl Emptied {
    /// Maps a range. Not in the zone.
    pub(crate) fn map(&self, range: Range<usize>, protection: usize, shows: Shows<'_>) -> Result<(), Errno> {
        outside(&range)?;
        map(range, protection, shows)
    }

    /// Takes a part of the kernel's own pages from the shelf to where it belongs.
    pub(crate) fn take_from_shelf(&self, offset: usize, to: Range<usize>) -> Result<(), Errno> {
        outside(&to)?;
        move_pages(SHELF + offset..SHELF + offset + to.len(), to.start)
    }

    /// Fills a range that was mapped with this protection from a file.
    pub(crate) fn fill(
        &self,
        range: Range<usize>,
        protection: usize,
        file: BorrowedFd<'_>,
        offset: u64,
    ) -> Result<(), Errno> {
        outside(&range)?;
        let writable = protection & PROT_WRITE != 0;
        if !writable {
            protect(&range, PROT_READ | PROT_WRITE)?;
        }
        // All at once, that takes half of what it does page by page, when the kernel finds each missing as it copies.
        self.bring_in(range.clone(), Bring::ToWrite)?;
        // SAFETY: the range is outside of everything that this process refers to, so the kernel may write there.
        let read =
            checked(unsafe { syscall!(Sysno::pread64, file.as_raw_fd(), range.start, range.len(), offset as usize) })?;
        if !writable {
            protect(&range, protection)?;
        }
        if read == range.len() { Ok(()) } else { Err(Errno::IO) }
    }

    /// Has the kernel bring the pages of a range in, before they are needed. Only speed depends on it.
    pub(crate) fn bring_in(&self, range: Range<usize>, how: Bring) -> Result<(), Errno> {
        outside(&range)?;
        let advice = match how {
            Bring::ToRead => 22,
            Bring::ToWrite => 23,
        };
        // SAFETY: it changes no contents.
        let _ = unsafe { syscall!(Sysno::madvise, range.start, range.len(), advice) };
        Ok(())
    }
}

/// Why pages are brought in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bring {
    ToRead,
    ToWrite,
}

/// Says to the kernel where the parts of this process are, and what its auxiliary vector is.
pub(crate) fn set_bounds(bounds: &[u64; 11], auxiliary: &[u8]) -> Result<(), Errno> {
    /// The kernel's `struct prctl_mm_map`.
    #[repr(C)]
    struct Map {
        bounds: [u64; 11],
        auxiliary: *const u8,
        auxiliary_bytes: u32,
        program: i32,
    }
    const PR_SET_MM: usize = 35;
    const PR_SET_MM_MAP: usize = 14;
    // Which program this is stays as it is: to change that takes a capability.
    let map =
        Map { bounds: *bounds, auxiliary: auxiliary.as_ptr(), auxiliary_bytes: auxiliary.len() as u32, program: -1 };
    // SAFETY: the kernel reads `map` and the vector, both of which outlive the call, and checks what they say.
    checked(unsafe { syscall!(Sysno::prctl, PR_SET_MM, PR_SET_MM_MAP, ptr::from_ref(&map), size_of::<Map>(), 0) })
        .map(drop)
}

/// Closes descriptors, from the first number to before the second.
pub(crate) fn close_between(first: u32, end: u32) {
    // SAFETY: the caller is done with all of them, and they are not touched again.
    let _ = unsafe { syscall!(Sysno::close_range, first, end - 1, 0) };
}

/// The first descriptor that is not one of a program's three.
pub(crate) const FIRST_OWN: u32 = 3;
/// Where descriptors stand aside, beyond all that a frozen process had.
pub(crate) const ASIDE: u32 = 512;
/// Beyond all that the agent ever has.
pub(crate) const BEYOND: u32 = 1024;

/// Closes every descriptor but a program's three and these, which get the numbers from [`ASIDE`] on. Whoever holds one of
/// the others holds a wrong number from here on, so the caller does not go on with them.
pub(crate) fn keep_only(kept: [BorrowedFd<'_>; 3]) -> Result<(), Errno> {
    for (number, fd) in (ASIDE..).zip(kept) {
        give_number(fd, number, true)?;
    }
    close_between(FIRST_OWN, ASIDE);
    close_between(ASIDE + kept.len() as u32, BEYOND);
    Ok(())
}

/// Gives a descriptor another number as well, in place of what that one was.
pub(crate) fn give_number(fd: BorrowedFd<'_>, number: u32, close_on_exec: bool) -> Result<(), Errno> {
    const CLOSE_ON_EXEC: usize = 0o2000000;
    let flags = if close_on_exec { CLOSE_ON_EXEC } else { 0 };
    // SAFETY: only numbers of descriptors are passed; what was open under the new one is given up, as the caller knows.
    checked(unsafe { syscall!(Sysno::dup3, fd.as_raw_fd(), number, flags) }).map(drop)
}

/// Whether a range has nothing of the zone in it, and could be mapped.
pub(crate) fn outside(range: &Range<usize>) -> Result<(), Errno> {
    let free = LOWEST <= range.start && range.start <= range.end && range.end <= HIGHEST;
    if free && (range.end <= BEGIN || END <= range.start) { Ok(()) } else { Err(Errno::ADDRINUSE) }
}

fn map(range: Range<usize>, protection: usize, shows: Shows<'_>) -> Result<(), Errno> {
    let (flags, fd, offset) = match shows {
        Shows::Private(fd, offset) => (MAP_PRIVATE, fd.as_raw_fd() as isize, offset),
        Shows::Shared(fd, offset) => (MAP_SHARED, fd.as_raw_fd() as isize, offset),
        Shows::Zeros => (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
        Shows::Stack => (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_GROWSDOWN, -1, 0),
    };
    // SAFETY: the range is either the table's own place in the zone, or outside of it and given up.
    let mapped = checked(unsafe {
        syscall!(Sysno::mmap, range.start, range.len(), protection, flags | MAP_FIXED, fd, offset as usize)
    })?;
    if mapped == range.start { Ok(()) } else { Err(Errno::ADDRINUSE) }
}

fn protect(range: &Range<usize>, protection: usize) -> Result<(), Errno> {
    // SAFETY: as for `fill`, which alone calls this: the range is outside of everything that this process refers to.
    checked(unsafe { syscall!(Sysno::mprotect, range.start, range.len(), protection) }).map(drop)
}

fn move_pages(from: Range<usize>, to: usize) -> Result<(), Errno> {
    // SAFETY: what is moved are the kernel's own pages, which the agent has no use for; where they go nothing is.
    checked(unsafe { syscall!(Sysno::mremap, from.start, from.len(), from.len(), MREMAP_TO, to) }).map(drop)
}

/// What the kernel finds on the stack of a thread that comes back from a signal: all of the thread's state.
#[repr(C, align(64))]
struct Frame {
    vector: [u8; VECTOR_BYTES],
    context: Context,
}

/// The kernel's `struct ucontext`.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct Context {
    flags: u64,
    link: u64,
    alternate_stack: [u64; 3],
    general: [u64; 23],
    vector: u64,
    reserved: [u64; 8],
    blocked: u64,
}

impl Frame {
    const EMPTY: Frame = Frame { vector: [0; VECTOR_BYTES], context: Context::EMPTY };
}

impl Context {
    const EMPTY: Context = Context {
        flags: 0,
        link: 0,
        alternate_stack: [0; 3],
        general: [0; 23],
        vector: 0,
        reserved: [0; 8],
        blocked: 0,
    };
}

/// The state of a thread that a signal's end brings back.
pub(crate) struct Resumed<'a> {
    pub(crate) registers: Registers,
    pub(crate) blocked: u64,
    pub(crate) alternate_stack: [u64; 3],
    /// As the kernel's `XSAVE` area.
    pub(crate) vector: &'a [u8],
}

// The kernel's marks around a vector state, and where it looks for them.
const MARK_BEGIN: u32 = 0x4650_5853;
const MARK_END: u32 = 0x4650_5845;
const MARKS_AT: usize = 464;
const FEATURES_AT: usize = 512;
/// The legacy part and the header: there is never less.
const LEAST_VECTOR_BYTES: usize = 576;
/// Features of the vector unit that every process may use; those beyond it has to ask for.
const ORDINARY_FEATURES: u64 = 0x2ff;
/// UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS.
const CONTEXT_FLAGS: u64 = 1 | 2 | 4;
/// The segments of every 64-bit program: `cs`, and `ss` in the topmost of the four.
const SEGMENTS: u64 = 0x33 | (0x2b << 48);

/// Puts a thread's state where [`take_up`] and [`resume`] find it.
pub(crate) fn prepare(number: usize, resumed: &Resumed<'_>, belongings: Belongings) -> Result<(), Errno> {
    let Resumed { registers, blocked, alternate_stack, vector } = resumed;
    let length = ordinary_length(vector)?;
    let frames: *mut [Frame; MOST_THREADS] = FRAMES.0.get();
    if MOST_THREADS <= number || VECTOR_BYTES < length + 4 {
        return Err(Errno::TOOBIG);
    }
    let all: *mut [Belongings; MOST_THREADS] = BELONGINGS.0.get();
    // SAFETY: in bounds, and as the static's own word has it: only one thread is there yet.
    unsafe { (*all)[number] = belongings };
    // SAFETY: likewise.
    let frame: &mut Frame = unsafe { &mut (*frames)[number] };
    frame.vector[..length].copy_from_slice(&vector[..length]);
    let features = read_word(vector, FEATURES_AT) & ORDINARY_FEATURES;
    let marks = &mut frame.vector[MARKS_AT..FEATURES_AT];
    marks.fill(0);
    marks[..4].copy_from_slice(&MARK_BEGIN.to_ne_bytes());
    marks[4..8].copy_from_slice(&(length as u32 + 4).to_ne_bytes());
    marks[8..16].copy_from_slice(&features.to_ne_bytes());
    marks[16..20].copy_from_slice(&(length as u32).to_ne_bytes());
    frame.vector[FEATURES_AT..FEATURES_AT + 8].copy_from_slice(&features.to_ne_bytes());
    frame.vector[length..length + 4].copy_from_slice(&MARK_END.to_ne_bytes());
    let r = registers;
    let mut general = [0; 23];
    general[..18].copy_from_slice(&[
        r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx, r.rax, r.rcx, r.rsp,
        r.rip, r.eflags,
    ]);
    general[18] = SEGMENTS;
    let vector = frame.vector.as_ptr().addr() as u64;
    // That a thread runs on its alternate stack is the kernel's to say, not ours.
    let [base, flags, size] = *alternate_stack;
    let alternate_stack = [base, flags & !1, size];
    let blocked = *blocked;
    frame.context = Context { flags: CONTEXT_FLAGS, alternate_stack, general, vector, blocked, ..Context::EMPTY };
    Ok(())
}

/// How much of a vector state an ordinary process has: what comes after that takes a permission.
fn ordinary_length(vector: &[u8]) -> Result<usize, Errno> {
    if vector.len() < LEAST_VECTOR_BYTES {
        return Err(Errno::INVAL);
    }
    let features = read_word(vector, FEATURES_AT) & ORDINARY_FEATURES;
    let of = |feature: u32| {
        // Its size and its offset in the area.
        let found = core::arch::x86_64::__cpuid_count(0xd, feature);
        (found.eax + found.ebx) as usize
    };
    let ends = (2..63).filter(|feature| features >> feature & 1 == 1).map(of);
    let length = ends.fold(LEAST_VECTOR_BYTES, usize::max);
    if vector.len() < length { Err(Errno::INVAL) } else { Ok(length) }
}

fn read_word(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |word| u64::from_ne_bytes(*word))
}

/// What a thread needs of the kernel beside its registers.
#[derive(Clone, Copy)]
pub(crate) struct Belongings {
    pub(crate) thread_pointer: u64,
    pub(crate) robust_list: [u64; 2],
    pub(crate) rseq: Rseq,
    /// Where the kernel clears the thread's number at its end, and where the C library reads it.
    pub(crate) cleared: u64,
}

impl Belongings {
    const NONE: Belongings =
        Belongings { thread_pointer: 0, robust_list: [0; 2], rseq: Rseq::new(0, 0, 0), cleared: 0 };
}

/// Gives this thread what belongs to the frozen one.
pub(crate) fn take_up(number: usize) -> Result<(), Errno> {
    const ARCH_SET_FS: usize = 0x1002;
    let all: *const [Belongings; MOST_THREADS] = BELONGINGS.0.get();
    if MOST_THREADS <= number {
        return Err(Errno::TOOBIG);
    }
    // SAFETY: in bounds, written before there was a second thread.
    let Belongings { thread_pointer, robust_list, rseq, cleared } = unsafe { (*all)[number] };
    // SAFETY: the agent itself has no thread-local storage.
    checked(unsafe { syscall!(Sysno::arch_prctl, ARCH_SET_FS, thread_pointer as usize) })?;
    if robust_list[0] != 0 {
        // SAFETY: the kernel only notes it, and looks there at the thread's end, checking every address.
        checked(unsafe { syscall!(Sysno::set_robust_list, robust_list[0] as usize, robust_list[1] as usize) })?;
    }
    // SAFETY: as above.
    let tid = checked(unsafe { syscall!(Sysno::set_tid_address, cleared as usize) })?;
    write_number(cleared as usize, tid as i32)?;
    if rseq.address != 0 {
        // SAFETY: the frozen thread had its area there, of that size; the kernel writes into nothing else.
        checked(unsafe {
            syscall!(Sysno::rseq, rseq.address as usize, rseq.size as usize, 0, rseq.signature as usize)
        })?;
    }
    Ok(())
}

/// Writes a thread's number where its C library keeps it.
fn write_number(address: usize, number: i32) -> Result<(), Errno> {
    if address == 0 {
        return Ok(());
    }
    outside(&(address..address.wrapping_add(size_of::<i32>())))?;
    let place: *mut i32 = ptr::with_exposed_provenance_mut(address);
    // SAFETY: outside of all that this process refers to, and mapped, since the frozen thread had it there; if it is not,
    // this process of a job's ends.
    unsafe { place.write_unaligned(number) };
    Ok(())
}

/// Goes on as the thread whose state was prepared under this number.
pub(crate) fn resume(number: usize) -> ! {
    let frames: *const [Frame; MOST_THREADS] = FRAMES.0.get();
    let place = number.min(MOST_THREADS - 1);
    // SAFETY: in bounds.
    let context: *const Context = unsafe { &raw const (*frames)[place].context };
    // SAFETY: the kernel takes the whole state of this thread from there and never comes back here.
    unsafe {
        asm!("mov rsp, {context}", "mov eax, 15", "syscall", "ud2", context = in(reg) context, options(noreturn));
    }
}

/// Calls a function of the process that this one has become, on a stack of that process's.
pub(crate) fn call(function: u64, argument: u64, stack: u64) -> u64 {
    // SAFETY: the process is whole by now, with the thread pointer of the thread whose stack this is and which runs
    // nothing else; what the function does to itself it does as that process.
    unsafe { call_on(function, argument, stack & !15) }
}

/// The change of stacks there and back, which no compiler could follow.
#[unsafe(naked)]
unsafe extern "C" fn call_on(function: u64, argument: u64, stack: u64) -> u64 {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov rbp, rsp",
        "mov rsp, rdx",
        "mov rax, rdi",
        "mov rdi, rsi",
        "cld",
        "call rax",
        "mov rsp, rbp",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Begins another thread, which goes through `next` with this number.
pub(crate) fn begin_thread(number: usize, next: extern "C" fn(usize) -> !) -> Result<i32, Errno> {
    if MOST_THREADS <= number {
        return Err(Errno::TOOBIG);
    }
    // VM, FS, FILES, SIGHAND, THREAD, SYSVSEM: a thread, as every C library makes them.
    const FLAGS: usize = 0x0005_0f00;
    let stack = SMALL_STACKS.0.get().addr() + (number + 1) * SMALL_STACK_BYTES;
    // SAFETY: the stack is the zone's, this thread's alone, and `next` never comes back to it.
    let tid = unsafe { clone_thread(FLAGS, stack, number, next) };
    if tid < 0 { Err(Errno::from_raw_os_error(-(tid as i32))) } else { Ok(tid as i32) }
}

/// The system call, whose two returns no compiler could follow.
#[unsafe(naked)]
unsafe extern "C" fn clone_thread(flags: usize, stack: usize, number: usize, next: extern "C" fn(usize) -> !) -> isize {
    naked_asm!(
        "push r12",
        "push r13",
        "mov r12, rdx",
        "mov r13, rcx",
        "xor edx, edx",
        "xor r10d, r10d",
        "xor r8d, r8d",
        "mov eax, 56",
        "syscall",
        "test rax, rax",
        "jnz 2f",
        "xor ebp, ebp",
        "mov rdi, r12",
        "call r13",
        "ud2",
        "2:",
        "pop r13",
        "pop r12",
        "ret",
    )
}
