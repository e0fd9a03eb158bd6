//! What a guest is told of its cell: it is refused, or means one thing alone, and nothing that is not there is taken for it.
#![no_main]

use firebox_guest::Introduction;
use libfuzzer_sys::{Corpus, fuzz_target};

/// What a cell is supplied with is kept for good, and a fuzzer's memory has an end.
const MOST: usize = 512;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if MOST < bytes.len() {
        return Corpus::Reject;
    }
    match Introduction::read(bytes) {
        Ok(introduction) => {
            let said = introduction.encode();
            assert!(bytes.starts_with(&said), "it is not what was said");
            Corpus::Keep
        }
        Err(_) => Corpus::Keep,
    }
});
