//! Where the kernel hands over, and where a panic ends.

use core::arch::global_asm;
use core::panic::PanicInfo;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the agent's start is written for x86-64 only");

// The kernel jumps here with the stack pointer at `argc`. The ABI wants it aligned to 16 bytes at a call, and a
// zero frame pointer marks the outermost frame.
global_asm!(
    ".globl _start",
    "_start:",
    "xor %ebp, %ebp",
    "and $-16, %rsp",
    "call {main}",
    "ud2",
    main = sym crate::main,
    options(att_syntax),
);

/// Nothing can be unwound or printed here; the host sees the exit code and a closed stream.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    super::process::exit(101)
}

/// Named by the unwinding tables of the precompiled `core` when a build does not strip them; never called, since a
/// panic here aborts.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
