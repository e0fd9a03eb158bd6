//! What a request says its body is, what it accepts as an answer, what it is called and which trace it is part of: all as a plainer look would have them.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue, header};
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
    if let Some(id) = firebox_server::fuzzing::request_id(&with(HeaderName::from_static("x-request-id"))) {
        assert_eq!(id.as_bytes(), bytes);
        assert!(id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'), "{id:?} is logged");
    }
    if let Some(trace) = firebox_server::fuzzing::trace(&with(HeaderName::from_static("traceparent"))) {
        assert_eq!(
            firebox_server::fuzzing::trace(&HeaderMap::from_iter([(
                HeaderName::from_static("traceparent"),
                HeaderValue::from_str(&trace).expect("what we write is a header's value"),
            )])),
            Some(trace)
        );
    }
    Corpus::Keep
});
