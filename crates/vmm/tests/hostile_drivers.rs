//! Drivers that do anything, as a property test and the kept findings of the fuzzer make them up: no device panics, hangs, forgets
//! the rules or touches what it must not.

mod kit;

use std::fs;
use std::path::Path;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_driver_does(script in proptest::collection::vec(any::<u8>(), 0..600)) {
        kit::hostile_driver::drive(&script);
    }

    /// The same by a driver that has set its device up first, so that more of it gets as far as requests.
    #[test]
    fn whatever_a_driver_does_with_a_device_that_is_ready(script in proptest::collection::vec(any::<u8>(), 2..600)) {
        let mut script = script;
        script[1] = 3;
        kit::hostile_driver::drive(&script);
    }
}

#[test]
fn what_a_fuzzer_begins_with_or_has_found_once() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/devices");
    let mut count = 0;
    for seed in fs::read_dir(seeds).unwrap() {
        kit::hostile_driver::drive(&fs::read(seed.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(3 <= count, "the seeds are missing");
}
