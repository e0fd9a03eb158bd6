//! What a request says its body is, and what it accepts as an answer: both as a plainer look would have them.
#![no_main]

use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return Corpus::Reject };
    let with = |name| HeaderMap::from_iter([(name, value.clone())]);
    let said = String::from_utf8_lossy(bytes).to_lowercase();
    if firebox_server::fuzzing::is_json(&with(header::CONTENT_TYPE)) {
        assert!(said.trim_start().starts_with("application/json"), "{said:?} is taken for JSON");
    }
    if firebox_server::fuzzing::wants_events(&with(header::ACCEPT)) {
        assert!(said.contains("text/event-stream"), "{said:?} is taken for a wish for events");
    }
    Corpus::Keep
});
