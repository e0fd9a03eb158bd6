//! What a client says of jobs that outlive its connection: the body that asks for one or for many, where to send its end, what stands
//! behind the `?` of an address, where a stream goes on.
//!
//! The first byte says which.
#![no_main]

use std::time::Duration;

use firebox_api::{BatchRequest, JobRequest, MOST_IN_A_BATCH, Parts, Refusal};
use firebox_server::fuzzing;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use libfuzzer_sys::{Corpus, fuzz_target};

/// However much a client sends, it does not get that much back.
const LONGEST_REFUSAL: usize = 16 << 10;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((which, bytes)) = bytes.split_first() else { return Corpus::Reject };
    match which {
        b'j' => job(bytes),
        b'b' => match BatchRequest::from_json(bytes) {
            Ok(batch) => {
                assert!((1..=MOST_IN_A_BATCH).contains(&batch.jobs.len()));
                batch.jobs.iter().for_each(|each| job(each.get().as_bytes()));
            }
            Err(error) => look_at(&error.into()),
        },
        b'w' => {
            let Ok(url) = std::str::from_utf8(bytes) else { return Corpus::Reject };
            if let Some((host, port, path)) = fuzzing::webhook(url) {
                assert!(url.starts_with("https://") || url[..8].eq_ignore_ascii_case("https://"), "{url:?}");
                assert!(!host.is_empty() && port != 0 && path.starts_with(['/', '?']), "{host:?} {port} {path:?}");
                assert!(!host.contains(['/', '@', '\r', '\n', ' ', '\0']), "{host:?}");
                let private = ["localhost.", "127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:7f00:1"];
                assert!(!private.contains(&host.as_str()), "{host:?} is not public");
            }
        }
        b'q' => {
            let Ok(uri) = Uri::builder().path_and_query([b"/v1/jobs?", bytes].concat()).build() else {
                return Corpus::Reject;
            };
            match fuzzing::wait(&uri) {
                Ok(wait) => assert!(wait.is_none_or(|wait| wait <= Duration::from_secs(60)), "{uri}"),
                Err(refusal) => look_at(&refusal),
            }
            match fuzzing::page(&uri) {
                Ok(limit) => assert!((1..=1000).contains(&limit), "{uri}"),
                Err(refusal) => look_at(&refusal),
            }
        }
        b'h' => {
            let Ok(value) = HeaderValue::from_bytes(bytes) else { return Corpus::Reject };
            let with = |name| HeaderMap::from_iter([(HeaderName::from_static(name), value.clone())]);
            match fuzzing::last_event(&with("last-event-id")) {
                Ok(number) => assert!(number >= 0),
                Err(refusal) => look_at(&refusal),
            }
            match fuzzing::idempotency_key(&with("idempotency-key")) {
                Ok(key) => assert_eq!(key.as_deref().map(str::as_bytes), Some(bytes)),
                Err(refusal) => look_at(&refusal),
            }
        }
        _ => return Corpus::Reject,
    }
    Corpus::Keep
});

fn job(bytes: &[u8]) {
    match JobRequest::from_json(bytes) {
        // What a request becomes is another target's.
        Ok(JobRequest { request, webhook: _ }) => {
            let _ = Parts::try_from(request).map_err(|error| look_at(&error.into()));
        }
        Err(error) => look_at(&error.into()),
    }
}

fn look_at(refusal: &Refusal) {
    let told = serde_json::to_string(refusal).expect("a refusal is JSON");
    assert!(told.len() <= LONGEST_REFUSAL, "{} bytes: {}", told.len(), &told[..200.min(told.len())]);
}
