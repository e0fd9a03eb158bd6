//! The words that every Linux is started with, before those of whoever starts it. Where two contradict each other Linux believes the later, so whoever
//! starts it has the last word.
//!
//! Each was measured, by how many instructions a guest of one processor takes to user space, how much memory, and by its exits: of Debian's kernel
//! 1,400 million without these words, and with them 440 million, 8 MiB less, and 103 exits fewer of 2,100. What makes no difference is not in here:
//! `tsc=reliable`, `no_timer_check`, `audit=0`, `i8042.…`, `lsm=…`, `nowatchdog`, `ipv6.disable=1`, `nokaslr`, `debugfs=off`. KVM's own clock tells a kernel
//! what others find out by calibrating, and the tables say which old hardware there is not. Nor is `init_on_alloc=0`, which would save four hundredths and
//! with them what keeps one program's memory from the next, nor `mitigations=off`, which saves nothing at the start.
//!
//! - `cryptomgr.notests`: a kernel's ciphers need not be tested by each kernel that starts, for a job, on a machine where it has started a thousand times.
//!   Whoever has made the kernel has tested them, and Linux itself is made without these tests unless somebody asks for them, as Debian does. They
//!   are nearly two thirds of what its kernel executes to user space.
//! - `initcall_blacklist`: nobody traces the kernel in a guest, and no job would have the right. So the files for it, thousands, are not made, nor
//!   what is shown in them: a sixth of the rest, and the 8 MiB.
//! - `pci=off`: there is no PCI, which a kernel finds out by asking 91 times.
//! - `8250.nr_uarts=1`: there is one serial port, where a kernel looks for four.
//!
//! A kernel that does not know one of these, or has it not, passes over it.

/// What every Linux is started with.
pub const WORDS: &str =
    "cryptomgr.notests initcall_blacklist=trace_eval_init,tracer_init_tracefs pci=off 8250.nr_uarts=1";
