//! What only a process itself can ask the kernel for: we put the question into its registers, and read its answer.

use rustix::io::Errno;
use rustix::process::Pid;
use syscalls::Sysno;

use super::number;
use crate::ahead::{Stopped, wait_for};
use crate::sys::{self, Border, Registers};

/// A stopped thread that asks for us.
pub(super) struct Asked {
    tid: Pid,
    pid: Pid,
    registers: Registers,
    /// Where in its code there is a system call.
    call: u64,
    /// Where the kernel may write answers: below the stack of the first thread, which has nothing there.
    scratch: u64,
}

/// How far below the stack pointer: beyond what a function may use without saying so.
const BELOW: u64 = 1024;

impl Asked {
    pub(super) fn new(tid: Pid, stopped: &Stopped) -> Result<Asked, Errno> {
        let scratch = (sys::registers(stopped.pid)?.rsp - BELOW) & !15;
        Ok(Asked { tid, pid: stopped.pid, registers: sys::registers(tid)?, call: stopped.call, scratch })
    }

    /// Base, flags and size.
    pub(super) fn alternate_stack(&mut self) -> Result<[u64; 3], Errno> {
        self.ask(Sysno::sigaltstack, [0, self.scratch, 0, 0])?;
        self.answer()
    }

    /// Its head and its length.
    pub(super) fn robust_list(&mut self) -> Result<[u64; 2], Errno> {
        self.ask(Sysno::get_robust_list, [0, self.scratch, self.scratch + 8, 0])?;
        self.answer()
    }

    /// Where the kernel clears the thread's number at its end.
    pub(super) fn cleared_address(&mut self) -> Result<u64, Errno> {
        const GET_TID_ADDRESS: u64 = 40;
        self.ask(Sysno::prctl, [GET_TID_ADDRESS, self.scratch, 0, 0])?;
        self.answer::<1>().map(|[address]| address)
    }

    /// What a signal does, as the kernel's `struct sigaction`.
    pub(super) fn handler(&mut self, signal: usize) -> Result<[u64; 4], Errno> {
        self.ask(Sysno::rt_sigaction, [signal as u64, 0, self.scratch, 8])?;
        self.answer()
    }

    /// Where the heap ends.
    pub(super) fn end_of_heap(&mut self) -> Result<u64, Errno> {
        self.ask(Sysno::brk, [0; 4])
    }

    fn ask(&mut self, call: Sysno, [rdi, rsi, rdx, r10]: [u64; 4]) -> Result<u64, Errno> {
        /// In no system call.
        const NONE: u64 = u64::MAX;
        let arguments = Registers { rdi, rsi, rdx, r10, ..self.registers };
        let asking = match sys::border(self.tid)? {
            // The call that it is about to make becomes another. To have it make none first would not do: the filter on system
            // calls has its say about that, too.
            Border::Entering => Registers { orig_rax: number(call), ..arguments },
            Border::Leaving | Border::Elsewhere => {
                Registers { rip: self.call, rax: number(call), orig_rax: NONE, ..arguments }
            }
        };
        sys::set_registers(self.tid, &asking)?;
        loop {
            sys::to_next_call(self.tid, 0)?;
            wait_for(self.tid)?;
            if sys::border(self.tid)? != Border::Leaving {
                continue;
            }
            let answered = sys::registers(self.tid)?;
            if answered.orig_rax == number(call) {
                let answer = answered.rax;
                return if (-4095..0).contains(&(answer as i64)) {
                    Err(Errno::from_raw_os_error(-(answer as i32)))
                } else {
                    Ok(answer)
                };
            }
        }
    }

    fn answer<const N: usize>(&self) -> Result<[u64; N], Errno> {
        let mut words = [0; N];
        for (word, at) in words.iter_mut().zip((self.scratch..).step_by(8)) {
            let mut bytes = [0; 8];
            if sys::peek(self.pid, at, &mut bytes)? != bytes.len() {
                return Err(Errno::FAULT);
            }
            *word = u64::from_ne_bytes(bytes);
        }
        Ok(words)
    }
}
