//! Two layers of an image, one upon the other: each is refused or read, no path of theirs leads out, what is written down of them is read
//! back as it was, and merged they have no more entries than they could name.
//!
//! The first byte says how many blocks the lower one has.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

const BLOCK: usize = 512;
/// An entry, and as many directories as may lie above it.
const MOST: usize = 1 + 256;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some([lower, upper]) = firebox_image::fuzzing::two_layers(bytes) else { return Corpus::Reject };
    if let Some(entries) = firebox_image::fuzzing::entries(&[&lower, &upper]) {
        assert!(entries as usize <= 1 + bytes.len().div_ceil(BLOCK) * MOST, "{entries} entries");
    }
    Corpus::Keep
});
