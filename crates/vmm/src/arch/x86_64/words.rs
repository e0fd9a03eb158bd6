//! The words that every Linux is started with, before those of whoever starts it. Where two contradict each other Linux believes the later, so whoever
//! starts it has the last word.
//!
//! Each was measured, by how many instructions a guest takes to user space: without these words 1,400 million of Debian's kernel, with them 518. What changes
//! less than a hundredth is not in here: `pci=off`, `tsc=reliable`, `no_timer_check`, `audit=0`, `8250.nr_uarts=1`, `i8042.…`, `lsm=…`, `nowatchdog`,
//! `ipv6.disable=1`, `nokaslr`. KVM's own clock tells a kernel what others find out by calibrating, and the tables say which old hardware there is not. Nor is
//! `init_on_alloc=0`, which would save four hundredths and with them what keeps one program's memory from the next, nor `mitigations=off`, which
//! saves nothing at the start.

/// `cryptomgr.notests`: a kernel's ciphers need not be tested by each kernel that starts, for a job, on a machine where it has started a thousand times. Whoever
/// has made the kernel has tested them, and Linux itself is made without these tests unless somebody asks for them, as Debian does. They are nearly two thirds
/// of what its kernel executes to user space. A kernel that does not know the word passes over it.
pub(crate) const WORDS: &str = "cryptomgr.notests";
