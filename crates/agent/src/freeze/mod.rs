//! From a stopped process to its image.
//!
//! ```text
//! threads --asked--> what only they can ask the kernel for ---.
//! proc: /proc/PID -> mappings -> runs (which pages are its own) +--> image::Writer --> Image*, Frozen
//! ```

mod asked;
mod descriptors;
mod hooks;
mod learn;
mod mappings;
mod proc;
mod runs;

use firebox_wire::{MAX_PAYLOAD, Report};
use rustix::io::Errno;
use rustix::process::Pid;
use syscalls::Sysno;

use crate::ahead::{CALL_BYTES, Stopped};
use crate::image::{Contents, Kind, SIGNALS, Thread, Writer};
use crate::stream::{Gone, Stream};
use crate::sys::{self, Border, Registers, VECTOR_BYTES};
use asked::Asked;
pub(crate) use hooks::Hooks;
pub(crate) use learn::learn;
pub(crate) use mappings::{Mapping, Source, mappings};
use proc::Proc;
use runs::Runs;

/// The largest table of contents.
const TABLE_BYTES: usize = 2 << 20;
const PATHS_BYTES: usize = 64 << 10;
/// What `/proc` says of all mappings of a process.
pub(crate) const MAPPINGS_BYTES: usize = 256 << 10;

/// Why there is no image.
pub(crate) enum NoImage {
    /// The process has something that an image cannot hold, or the kernel would not let us look.
    Refused(Errno),
    /// The host is gone.
    Gone(Gone),
}

impl From<Errno> for NoImage {
    fn from(errno: Errno) -> NoImage {
        NoImage::Refused(errno)
    }
}

/// Reports the image of a stopped process. The process is of no use afterwards.
pub(crate) fn freeze(stopped: &Stopped, hooks: &Hooks, stream: &mut Stream, chunk: &mut [u8]) -> Result<(), NoImage> {
    let proc = Proc::of(stopped.pid)?;
    let mut writer = Writer::new(sys::pages(TABLE_BYTES)?, sys::pages(PATHS_BYTES)?)?;
    writer.hooks(hooks.addresses())?;
    descriptors::pipes(&proc, &mut writer)?;
    threads(stopped, &proc, &mut writer)?;
    writer.name(proc.name(chunk)?);
    writer.auxiliary(proc.auxiliary(chunk)?);
    for mapping in mappings(proc.mappings(sys::pages(MAPPINGS_BYTES)?)?) {
        parts(&mapping?, &proc, &mut writer)?;
    }
    let table = writer.finish()?;
    for bytes in table.chunks(MAX_PAYLOAD) {
        stream.send(&Report::Image(bytes)).map_err(NoImage::Gone)?;
    }
    for part in Contents::new(table).parts()?.filter(|part| part.pages() > 0) {
        let mut at = part.start;
        while at < part.end {
            let length = chunk.len().min((part.end - at) as usize);
            proc.read(at, &mut chunk[..length])?;
            stream.send(&Report::Image(&chunk[..length])).map_err(NoImage::Gone)?;
            at += length as u64;
        }
    }
    stream.send(&Report::Frozen { asks: stopped.asks }).map_err(NoImage::Gone)
}

fn threads(stopped: &Stopped, proc: &Proc, writer: &mut Writer<'_>) -> Result<(), Errno> {
    let mut vector = [0; VECTOR_BYTES];
    for tid in stopped.threads() {
        let registers = sys::registers(tid)?;
        let state = about_to_call(tid, registers)?;
        let length = sys::vector_state(tid, &mut vector)?;
        let (blocked, rseq) = (sys::blocked_signals(tid)?, sys::rseq(tid)?);
        let mut asked = Asked::new(tid, stopped)?;
        writer.thread(&Thread {
            registers: state,
            blocked,
            alternate_stack: asked.alternate_stack()?,
            robust_list: asked.robust_list()?,
            cleared: asked.cleared_address()?,
            rseq,
            vector: vector.get(..length).ok_or(Errno::TOOBIG)?,
        })?;
        if tid == stopped.pid {
            for signal in 1..=SIGNALS {
                writer.handler(signal, &asked.handler(signal)?);
            }
            writer.bounds(&proc.bounds(asked.end_of_heap()?)?);
        }
    }
    Ok(())
}

/// The registers with which a thread makes anew the system call that it was stopped in, or in front of.
fn about_to_call(tid: Pid, registers: Registers) -> Result<Registers, Errno> {
    /// What the kernel says to itself of a call that was interrupted and that it will make again.
    const AGAIN: [i32; 4] = [-512, -513, -514, -516];
    /// What it says of one that it never does.
    const INTERRUPTED: i32 = -4;
    let (within, answer) = (0 <= registers.orig_rax as i64, registers.rax as i32);
    let made_again = match sys::border(tid)? {
        Border::Entering => true,
        // Made, but for one that was interrupted.
        Border::Leaving => AGAIN.contains(&answer),
        Border::Elsewhere => within && (AGAIN.contains(&answer) || answer == INTERRUPTED),
    };
    Ok(if made_again {
        Registers { rip: registers.rip - CALL_BYTES, rax: registers.orig_rax, ..registers }
    } else {
        registers
    })
}

/// The parts that a mapping becomes: itself, and on top of it the pages that are the process's own.
fn parts(mapping: &Mapping<'_>, proc: &Proc, writer: &mut Writer<'_>) -> Result<(), Errno> {
    let Mapping { range, protection, offset, source } = mapping;
    let add = |writer: &mut Writer<'_>, kind, path: &[u8]| writer.part(kind, *protection, range.clone(), *offset, path);
    let pages = match source {
        Source::File(path) => {
            add(writer, Kind::File, path)?;
            Kind::ShownPages
        }
        // Nobody writes there, so it is as it was.
        Source::SharedFile(path) => return add(writer, Kind::SharedFile, path),
        Source::Blank => {
            add(writer, Kind::Blank, b"")?;
            Kind::CopiedPages
        }
        Source::Stack => {
            add(writer, Kind::Stack, b"")?;
            Kind::CopiedPages
        }
        Source::Kernels => return add(writer, Kind::Kernels, b""),
        Source::KernelsForAll => return Ok(()),
        Source::Other => return Err(Errno::NOTSUP),
    };
    if *protection == 0 {
        return Ok(());
    }
    for run in Runs::of(range.clone(), proc) {
        writer.part(pages, *protection, run?, 0, b"")?;
    }
    Ok(())
}

/// The number of a system call, as a register has it.
fn number(call: Sysno) -> u64 {
    call.id() as u64
}
