//! Callers, an agent and a cell on the two lines of a guest, that do what they are told: what is said is heard by whom it is for, once, whole and in its
//! order, or by nobody; and when all have gone, it is over.
#![no_main]

use libfuzzer_sys::fuzz_target;

// Property tests do the same on the stable compiler: what bytes mean is said in one place.
fuzz_target!(|script: &[u8]| firebox_guest::play_relay(script));
