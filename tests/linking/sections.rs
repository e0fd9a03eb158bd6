//! Has assembly of its own, and a function that runs before `main`.

use std::arch::global_asm;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(target_arch = "x86_64")]
global_asm!(".globl forty_two", "forty_two:", "mov eax, 42", "ret");
#[cfg(target_arch = "aarch64")]
global_asm!(".globl forty_two", "forty_two:", "mov w0, 42", "ret");

unsafe extern "C" {
    fn forty_two() -> i32;
}

static EARLY: AtomicBool = AtomicBool::new(false);

extern "C" fn early() {
    EARLY.store(true, Ordering::Relaxed);
}

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = early;

fn main() {
    println!("{} {}", unsafe { forty_two() }, EARLY.load(Ordering::Relaxed));
}
