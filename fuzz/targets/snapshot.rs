//! The state in a snapshot of a microVM, whole and made up: it is refused, or means one thing alone; and no count in it makes anybody allocate.
#![no_main]

// Property tests do the same on the stable compiler: what is whole is said in one place.
#[path = "../../crates/vmm/tests/kit/sealed.rs"]
mod sealed;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|state: &[u8]| {
    sealed::check(state);
});
