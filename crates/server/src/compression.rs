//! Which answers are compressed, for clients that can read it: text that is worth it, and whole.
//!
//! A secret next to what an attacker chooses could be guessed by how well both compress together (BREACH). No answer has a
//! secret of ours or of anybody but the one who asks: keys are in requests only, and nothing of one client's is told to another.

use axum::body::HttpBody;
use axum::http::{Response, header};
use tower_http::compression::predicate::Predicate;
use tower_http::compression::{CompressionLayer, CompressionLevel};

/// What is smaller gains nothing: it fits into a packet or two.
const SMALLEST: u64 = 1 << 10;
/// What is larger would keep a thread that serves everybody busy for too long.
const LARGEST: u64 = 8 << 20;

/// Answers worth it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Worth;

impl Predicate for Worth {
    fn should_compress<B: HttpBody>(&self, response: &Response<B>) -> bool {
        // Events have no length that is known before, and must not wait for one another.
        let length = response.body().size_hint().exact();
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_text = kind.starts_with("application/json")
            || kind.starts_with("application/openmetrics-text")
            || (kind.starts_with("text/") && !kind.starts_with("text/event-stream"));
        is_text && length.is_some_and(|length| (SMALLEST..=LARGEST).contains(&length))
    }
}

pub(crate) fn compression() -> CompressionLayer<Worth> {
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(Worth)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn text_of_some_length_is_worth_it() {
        let worth = |kind: &str, length: usize| {
            let response = Response::builder().header(header::CONTENT_TYPE, kind).body(Body::from(vec![0; length]));
            Worth.should_compress(&response.unwrap())
        };
        for kind in ["application/json", "text/html; charset=utf-8", "application/openmetrics-text; version=1.0.0"] {
            assert!(worth(kind, 1 << 10) && !worth(kind, (1 << 10) - 1) && !worth(kind, (8 << 20) + 1), "{kind}");
        }
        for kind in ["text/event-stream", "image/png", "application/octet-stream", ""] {
            assert!(!worth(kind, 1 << 12), "{kind}");
        }
    }
}
