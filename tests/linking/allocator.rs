//! Has an allocator of its own, which counts what it is asked for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static ASKED: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let before = ASKED.load(Ordering::Relaxed);
    let words: Vec<String> = "a b c".split(' ').map(String::from).collect();
    let text = format!("{words:?}");
    println!("{text} {}", ASKED.load(Ordering::Relaxed) - before);
    std::thread::spawn(|| println!("{}", "x".repeat(3))).join().unwrap();
}
