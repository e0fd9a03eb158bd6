//! Following a tool on one CPU.
//!
//! Each of its system calls stops it twice, which wakes us, and then we wake it. Between two CPUs each of that is an interrupt, and a wake-up from
//! idleness where one had nothing else to do: in a virtual machine, that is the host's to see to. On one CPU it is a change of processes. Bash and Node are
//! ready in half the time.
//!
//! A tool cannot tell. It is still told that it may be wherever it could be, or a Java would believe that it has one CPU for its whole life.

use core::mem::size_of;

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use syscalls::Sysno;

use crate::sys::{self, Border, Registers};

/// That a tool and we share a CPU.
pub(crate) struct OneCpu {
    /// Where both may be else.
    before: CpuSet,
}

impl OneCpu {
    /// Has a process that has one thread stay where we are. None where that cannot be had: then it takes longer.
    pub(crate) fn share(tool: Pid) -> Option<OneCpu> {
        let before = sched_getaffinity(None).ok()?;
        let mut here = CpuSet::new();
        let cpu = sys::cpu().ok().filter(|cpu| *cpu < CpuSet::MAX_CPU)?;
        here.set(cpu);
        sched_setaffinity(None, &here).ok()?;
        let shared = OneCpu { before };
        match sched_setaffinity(Some(tool), &here) {
            Ok(()) => Some(shared),
            Err(_) => {
                let _ = shared.leave();
                None
            }
        }
    }

    /// Lets these threads of it go wherever they like, as we do.
    pub(crate) fn part(self, mut threads: impl Iterator<Item = Pid>) -> Result<(), Errno> {
        let left = self.leave();
        threads.try_for_each(|tid| match sched_setaffinity(Some(tid), &self.before) {
            // It has ended; or none of them is left, and the kernel has given it others.
            Err(Errno::SRCH | Errno::INVAL) => Ok(()),
            done => done,
        })?;
        left
    }

    /// To be called at each system call of a thread, when it is entered and when it is left. Puts right what a thread was told about where it may be.
    pub(crate) fn see(&self, tid: Pid, registers: &Registers, border: Border) -> Result<(), Errno> {
        match (Sysno::new(registers.orig_rax as usize), border) {
            (Some(Sysno::sched_getaffinity), Border::Leaving) => self.put_right(tid, registers),
            // Where it wants to be would be forgotten when we part.
            (Some(Sysno::sched_setaffinity), Border::Entering) => Err(Errno::NOTSUP),
            _ => Ok(()),
        }
    }

    fn put_right(&self, tid: Pid, told: &Registers) -> Result<(), Errno> {
        const WORD: u64 = size_of::<u64>() as u64;
        // How many bytes it was told; an error is negative, and that is none.
        let bytes = if told.rax <= size_of::<CpuSet>() as u64 { told.rax } else { 0 };
        (0..bytes / WORD).try_for_each(|word| sys::poke(tid, told.rdx + word * WORD, self.word(word as usize)))
    }

    /// What the kernel says of 64 CPUs at once.
    fn word(&self, word: usize) -> u64 {
        const CPUS: usize = u64::BITS as usize;
        let may_be_on = |cpu: usize| cpu < CpuSet::MAX_CPU && self.before.is_set(cpu);
        (0..CPUS).filter(|cpu| may_be_on(word * CPUS + cpu)).fold(0, |word, cpu| word | 1 << cpu)
    }

    fn leave(&self) -> Result<(), Errno> {
        sched_setaffinity(None, &self.before)
    }
}
