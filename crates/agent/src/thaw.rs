//! From an image to a process: this one.
//!
//! ```text
//! find the kernel's own pages --> on the zone's own stack: give up every mapping --> map the image's
//!   --> handlers, names, the filter of a step --> stand, and wait for the word to go --> threads --> on where it was frozen
//! ```
//!
//! No privilege is needed for any of it, and none is had: the process is in its cell, as confined as the agent. What the
//! image says can do no more than the process could do to itself.

use core::convert::Infallible;
use core::ffi::CStr;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use firebox_confine::{ConfineError, Filter};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, pread};
use rustix::pipe::PipeFlags;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::freeze::{Mapping, Source, mappings};
use crate::image::{Contents, End, Kind, PAGE, SIGNALS};
use crate::learnt::Reader;
use crate::step::{self, ChildEnds, Go, STANDS};
use crate::sys::{self, ASIDE, BEYOND, Belongings, Emptied, Resumed, Shows};

/// How long the image's table of contents is: what is known before the change of stacks and needed after it.
static TABLE_BYTES: AtomicUsize = AtomicUsize::new(0);
/// Where the kernel's own pages are: begin and end of each part.
static KERNELS: [[AtomicUsize; 2]; MOST_KERNELS] = [const { [const { AtomicUsize::new(0) }; 2] }; MOST_KERNELS];
const MOST_KERNELS: usize = 6;

// The descriptors that are left then, by number.
const WORDS: u32 = ASIDE;
const GO: u32 = ASIDE + 1;
const IMAGE: u32 = ASIDE + 2;

/// Becomes what the image says, as far as to the word to go, and then all the way. Comes back only when it has not begun.
pub(crate) fn become_image(image: &OwnedFd, ends: &ChildEnds) -> Errno {
    match find_out(image).and_then(|()| sys::keep_only([ends.words(), ends.go(), image.as_fd()])) {
        Ok(()) => sys::on_own_stack(continue_in_the_zone),
        Err(errno) => errno,
    }
}

/// Notes what can only be learnt while there is still an address space to learn it in.
fn find_out(image: &OwnedFd) -> Result<(), Errno> {
    let mut first = [0; 16];
    if pread(image, &mut first, 0)? != first.len() {
        return Err(Errno::NOEXEC);
    }
    TABLE_BYTES.store(Contents::length(&first)?, Ordering::Relaxed);
    let text = sys::pages(64 << 10)?;
    let maps = openat(CWD, c"/proc/self/maps", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut read = 0;
    loop {
        match rustix::io::read(&maps, &mut text[read..])? {
            0 => break,
            more => read += more,
        }
    }
    let mut places = KERNELS.iter();
    for mapping in mappings(&text[..read]) {
        let Mapping { range, source, .. } = mapping?;
        if let Source::Kernels = source {
            let [start, end] = places.next().ok_or(Errno::NOTSUP)?;
            start.store(range.start as usize, Ordering::Relaxed);
            end.store(range.end as usize, Ordering::Relaxed);
        }
    }
    Ok(())
}

fn kernels() -> impl Iterator<Item = Range<usize>> + Clone {
    let ranges = KERNELS.iter().map(|[start, end]| start.load(Ordering::Relaxed)..end.load(Ordering::Relaxed));
    ranges.filter(|range| range.start < range.end)
}

/// Everything from here on uses the zone alone.
extern "C" fn continue_in_the_zone() -> ! {
    let Err(errno) = rebuild();
    let _ = rustix::io::write(sys::inherited(WORDS), &errno.raw_os_error().to_ne_bytes());
    sys::exit(127)
}

fn rebuild() -> Result<Infallible, Errno> {
    let all = match (kernels().next(), kernels().last()) {
        (Some(first), Some(last)) => first.start..last.end,
        _ => return Err(Errno::NOTSUP),
    };
    let emptied = sys::give_up_everything(all, kernels())?;
    let image = sys::inherited(IMAGE);
    let table_bytes = TABLE_BYTES.load(Ordering::Relaxed);
    let contents = Contents::new(sys::map_contents(image, table_bytes)?);
    map_parts(&emptied, contents, image, table_bytes as u64)?;
    open_pipes(contents)?;
    describe(contents)?;
    let threads = contents.threads()?;
    for number in 0..threads {
        prepare_thread(contents, number)?;
    }
    bring_in(&emptied, image, table_bytes as u64 + contents.pages()?)?;
    sys::take_up(0)?;
    tell(contents)?;
    sys::forget_contents()?;
    // Nothing of the agent is open any more, so the process may be looked at as any other of the job's.
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    Filter::STEP.install().map_err(ConfineError::errno)?;
    rustix::io::write(sys::inherited(WORDS), &[STANDS])?;
    match step::wait_for_terms(sys::inherited(GO))? {
        Go::Never => sys::exit(0),
        Go::On(terms) => step::limit_to(&terms, true)?,
    }
    sys::close_between(ASIDE, BEYOND);
    for number in 1..threads {
        sys::begin_thread(number, go_on)?;
    }
    sys::resume(0)
}

/// Has the process call the functions by which it is told that it is a copy: the first without an argument, the others with
/// what that has answered.
fn tell(contents: Contents<'_>) -> Result<(), Errno> {
    /// Beyond what a function may use below its stack without saying so.
    const BELOW: u64 = 512;
    let mut answer = None;
    for hook in contents.hooks()? {
        if contents.threads()? != 1 {
            return Err(Errno::NOTSUP);
        }
        let stack = contents.thread(0)?.registers.rsp - BELOW;
        let answered = sys::call(hook, answer.unwrap_or(0), stack);
        answer = answer.or(Some(answered));
    }
    Ok(())
}

/// Another thread, on where it was frozen.
extern "C" fn go_on(number: usize) -> ! {
    match sys::take_up(number) {
        Ok(()) => sys::resume(number),
        Err(_) => sys::exit(127),
    }
}

fn map_parts(emptied: &Emptied, contents: Contents<'_>, image: BorrowedFd<'_>, pages_at: u64) -> Result<(), Errno> {
    let mut file: Option<(&[u8], OwnedFd)> = None;
    let mut kernels_begin = None;
    for part in contents.parts()? {
        let (range, protection) = (part.range(), usize::from(part.protection));
        match part.kind {
            Kind::File | Kind::SharedFile => {
                let path = contents.path(&part)?;
                let open = match file.take() {
                    Some((same, open)) if same == path => open,
                    _ => open_file(path)?,
                };
                let shows = match part.kind {
                    Kind::SharedFile => Shows::Shared(open.as_fd(), part.offset),
                    _ => Shows::Private(open.as_fd(), part.offset),
                };
                emptied.map(range, protection, shows)?;
                file = Some((path, open));
            }
            Kind::Blank => emptied.map(range, protection, Shows::Zeros)?,
            Kind::Stack => emptied.map(range, protection, Shows::Stack)?,
            Kind::ShownPages => emptied.map(range, protection, Shows::Private(image, pages_at + part.offset))?,
            Kind::CopiedPages => emptied.fill(range, protection, image, pages_at + part.offset)?,
            Kind::Kernels => {
                let begin = *kernels_begin.get_or_insert(range.start);
                emptied.take_from_shelf(range.start - begin, range)?;
            }
        }
    }
    Ok(())
}

/// Pipes of the process to itself, filled as they were.
fn open_pipes(contents: Contents<'_>) -> Result<(), Errno> {
    for reading in contents.pipes()?.filter(|end| end.end == End::Reads) {
        let (out, into) = pipe()?;
        rustix::io::write(&into, reading.content)?;
        for end in contents.pipes()?.filter(|end| end.pipe == reading.pipe) {
            if ASIDE <= end.number {
                return Err(Errno::MFILE);
            }
            let here = match end.end {
                End::Reads => &out,
                End::Writes => &into,
            };
            let flags = OFlags::from_bits_retain(end.flags);
            if flags.contains(OFlags::NONBLOCK) {
                rustix::io::ioctl_fionbio(here, true)?;
            }
            sys::give_number(here.as_fd(), end.number, flags.contains(OFlags::CLOEXEC))?;
        }
    }
    Ok(())
}

/// Both ends of a new pipe, aside.
fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (out, into) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let aside = |fd: OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, ASIDE as i32);
    Ok((aside(out)?, aside(into)?))
}

fn open_file(path: &[u8]) -> Result<OwnedFd, Errno> {
    let path = CStr::from_bytes_with_nul(path).map_err(|_| Errno::INVAL)?;
    openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// What the kernel is told of the process: where its parts are, its name, what signals do.
fn describe(contents: Contents<'_>) -> Result<(), Errno> {
    sys::set_bounds(&contents.bounds()?, contents.auxiliary()?)?;
    let name = contents.name()?;
    rustix::thread::set_name(CStr::from_bytes_until_nul(&name).map_err(|_| Errno::INVAL)?)?;
    for signal in 1..=SIGNALS {
        let action = contents.handler(signal)?;
        // All others are at their defaults, where the agent has put them.
        if action != [0; 4] {
            sys::set_handler(signal, &action)?;
        }
    }
    Ok(())
}

fn prepare_thread(contents: Contents<'_>, number: usize) -> Result<(), Errno> {
    let thread = contents.thread(number)?;
    let belongings = Belongings {
        thread_pointer: thread.registers.fs_base,
        robust_list: thread.robust_list,
        rseq: thread.rseq,
        cleared: thread.cleared,
    };
    sys::prepare(
        number,
        &Resumed {
            registers: thread.registers,
            blocked: thread.blocked,
            alternate_stack: thread.alternate_stack,
            vector: thread.vector,
        },
        belongings,
    )
}

/// Does before the job comes what the process would else do page by page, each time by way of the kernel: what is written
/// behind the image's last page.
fn bring_in(emptied: &Emptied, image: BorrowedFd<'_>, mut at: u64) -> Result<(), Errno> {
    let mut reader = Reader::new();
    let mut part = [0; PAGE];
    loop {
        let read = pread(image, &mut part, at)?;
        if read == 0 {
            return Ok(());
        }
        for range in reader.ranges(&part[..read]) {
            let (how, range) = range?;
            emptied.bring_in(range.start as usize..range.end as usize, how)?;
        }
        at += read as u64;
    }
}
