//! A process whose only purpose is the user namespace that was made with it.

use std::arch::asm;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, waitid, waitpid};
use syscalls::Sysno;

use super::checked;
use super::process::{CLONE_NEWUSER, CloneArgs};

const CLONE_VM: u64 = 0x0000_0100;
const CLONE_VFORK: u64 = 0x0000_4000;
/// Waits also for children whose end sends no signal.
const WALL: u32 = 0x4000_0000;

/// A process that has ended and has not been waited for: the user namespace that it was the only one in still is its own. With this its
/// last goes.
pub(crate) struct NamespaceHolder(Pid);

impl NamespaceHolder {
    /// Makes one, in a user namespace that belongs to that of this process and has no maps yet.
    ///
    /// Whoever unshares a user namespace has lost all rights over the old one, and cannot give the new one more than their own id. So
    /// somebody else has to be the first in it.
    pub(crate) fn new() -> Result<NamespaceHolder, Errno> {
        // No signal at its end: where the signal for that is ignored, the kernel would not leave it to be waited for.
        let args = CloneArgs::of(CLONE_VM | CLONE_VFORK | CLONE_NEWUSER as u64);
        let mut result = Sysno::clone3 as isize;
        // SAFETY: `args` is a whole `struct clone_args` of the size given and outlives the call. The new process shares all memory and
        // the stack with this one, which stands still until it has ended; and it ends within these lines, where it writes to registers
        // of its own and to no memory. The kernel keeps all registers for this one but those named.
        unsafe {
            asm!(
                "syscall",
                "test rax, rax",
                "jnz 2f",
                "mov eax, {exit}",
                "xor edi, edi",
                "syscall",
                "2:",
                exit = const Sysno::exit as i32,
                inlateout("rax") result,
                in("rdi") &raw const args,
                in("rsi") size_of::<CloneArgs>(),
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        let pid = checked(syscalls::Errno::from_ret(result as usize))?;
        let holder = NamespaceHolder(Pid::from_raw(pid as i32).ok_or(Errno::IO)?);
        // This process goes on a moment before the other has let go of all it shares.
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::from_bits_retain(WALL);
        waitid(WaitId::Pid(holder.0), ended)?;
        Ok(holder)
    }

    /// Its process id, as this process sees it.
    pub(crate) fn pid(&self) -> i32 {
        self.0.as_raw_nonzero().get()
    }
}

impl Drop for NamespaceHolder {
    fn drop(&mut self) {
        // It has ended, so this waits for nobody.
        let _ = waitpid(Some(self.0), WaitOptions::from_bits_retain(WALL));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_holder_is_in_a_namespace_of_its_own_and_nothing_of_it_is_left() {
        let holder = match NamespaceHolder::new() {
            Ok(holder) => holder,
            Err(errno) => return skip(errno),
        };
        let seen = format!("/proc/{}", holder.pid());
        let namespace = |of: &str| fs::read_link(format!("{of}/ns/user"));
        assert_ne!(namespace(&seen).unwrap(), namespace("/proc/self").unwrap());
        let status = fs::read_to_string(format!("{seen}/status")).unwrap();
        assert!(status.contains("State:\tZ"), "{status}");
        drop(holder);
        assert!(!fs::exists(&seen).unwrap());
    }

    #[expect(clippy::print_stdout, reason = "a test that cannot be made here says so")]
    fn skip(errno: Errno) {
        println!("skipped: a holder of a user namespace: the host grants none: {errno}");
    }
}
