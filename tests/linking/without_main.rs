//! Is started by the C library, has the standard library all the same, and is interposed by one of its own functions.

#![no_main]

use std::sync::atomic::{AtomicUsize, Ordering};

static ASKED: AtomicUsize = AtomicUsize::new(0);

#[unsafe(no_mangle)]
pub extern "C" fn getpid() -> i32 {
    ASKED.fetch_add(1, Ordering::Relaxed);
    4242
}

#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    println!("{} {}", std::process::id(), ASKED.load(Ordering::Relaxed));
    5
}
