//! The devices of a microVM, and a driver that does what it is told: no device panics, waits, forgets the rules of its queues, or serves
//! a driver that has broken them.
#![no_main]

// Property tests do the same on the stable compiler: what bytes mean is said in one place.
#[path = "../../crates/vmm/tests/kit/hostile_driver.rs"]
mod hostile_driver;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| hostile_driver::drive(script));
