//! Where the kernel hands over, and where a panic ends.

use core::arch::global_asm;
use core::ffi::{CStr, c_char};
use core::panic::PanicInfo;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the agent's start is written for x86-64 only");

// The kernel jumps here with the stack pointer at `argc`, which becomes the argument of the call. The ABI wants it
// aligned to 16 bytes at a call, and a zero frame pointer marks the outermost frame.
global_asm!(
    ".globl _start",
    "_start:",
    "xor %ebp, %ebp",
    "mov %rsp, %rdi",
    "and $-16, %rsp",
    "call {main}",
    "ud2",
    main = sym start,
    options(att_syntax),
);

/// What the kernel puts on a new program's stack: a count, and so many pointers to strings.
#[repr(C)]
struct Arguments {
    count: usize,
    first: [*const c_char; 2],
}

/// The program's start in Rust.
///
/// # Safety
/// `arguments` is the stack pointer that the kernel started the program with.
unsafe extern "C" fn start(arguments: *const Arguments) -> ! {
    // SAFETY: the kernel has put at least a count and, after the arguments, a null there, so both pointers can be read.
    let Arguments { count, first } = unsafe { arguments.read() };
    let argument = match count {
        // SAFETY: with two arguments, the second is a string of the kernel's that ends with NUL and is never changed.
        2 => unsafe { CStr::from_ptr(first[1]) },
        _ => c"",
    };
    crate::main(argument)
}

/// Nothing can be unwound or printed here; the host sees the exit code and a closed stream.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    super::process::exit(101)
}

/// Named by the unwinding tables of the precompiled `core` when a build does not strip them; never called, since a
/// panic here aborts.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
