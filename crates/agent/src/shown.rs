//! What the kernel says of itself, for a tool that is started ahead.
//!
//! A cell's `/proc` holds processes and nothing else. Allocators look there once for whether the kernel grants memory before it is
//! used, and take silence for a no: then they ask for it piece by piece. So a tool that we follow anyway, as far as to where
//! its job begins, finds what the host has put elsewhere in the cell. Where there is no such file, it is as if nobody had
//! followed.

use core::mem::size_of;

use rustix::io::Errno;
use rustix::process::Pid;

use crate::sys::{self, Registers};

/// What is asked for, and where it is. The host puts it there: `crates/lang/src/base.rs`.
const ELSEWHERE: [(&[u8], &[u8]); 1] =
    [(b"/proc/sys/vm/overcommit_memory", b"/opt/firebox/kernel/overcommit_memory\0\0\0")];

/// A program may use so much below its stack without saying so.
const RED_ZONE: u64 = 128;

/// A system call that opens another file than the one that it names.
pub(crate) struct Shown {
    tid: Pid,
    /// What the registers were that a system call leaves alone.
    asked: Registers,
}

/// Where a system call holds the path that it names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    First,
    Second,
}

impl Shown {
    /// Has a thread that is about to open this path open what is shown in its place, if something is.
    pub(crate) fn instead(tid: Pid, path: &[u8], asked: Registers, holds: Holds) -> Result<Option<Shown>, Errno> {
        let Some((_, place)) = ELSEWHERE.iter().find(|(name, _)| *name == path) else { return Ok(None) };
        // Below the stack nobody keeps anything.
        let at = (asked.rsp - RED_ZONE - place.len() as u64) & !(size_of::<u64>() as u64 - 1);
        let (words, _) = place.as_chunks::<{ size_of::<u64>() }>();
        for (number, word) in words.iter().enumerate() {
            sys::poke(tid, at + (number * size_of::<u64>()) as u64, u64::from_ne_bytes(*word))?;
        }
        let registers = match holds {
            Holds::First => Registers { rdi: at, ..asked },
            Holds::Second => Registers { rsi: at, ..asked },
        };
        sys::set_registers(tid, &registers)?;
        Ok(Some(Shown { tid, asked }))
    }

    /// Whether it is this thread that makes the call.
    pub(crate) fn is_by(&self, tid: Pid) -> bool {
        self.tid == tid
    }

    /// To be called when the call is over: the thread finds its registers as a system call leaves them.
    pub(crate) fn end(self) -> Result<(), Errno> {
        let Shown { tid, asked } = self;
        let left = sys::registers(tid)?;
        sys::set_registers(tid, &Registers { rdi: asked.rdi, rsi: asked.rsi, ..left })
    }
}

const _: () = assert!(ELSEWHERE[0].1.len().is_multiple_of(size_of::<u64>()), "it is written word by word");
