//! What a guest is told of its cell: it is refused, or means one thing alone, and nothing that is not there is taken for it.
#![no_main]

use firebox_guest::Introduction;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    match Introduction::read(bytes) {
        Ok(introduction) => {
            let said = introduction.encode();
            assert!(bytes.starts_with(&said), "it is not what was said");
            Corpus::Keep
        }
        Err(_) => Corpus::Keep,
    }
});
