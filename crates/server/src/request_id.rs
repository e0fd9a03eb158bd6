//! A name for each request: the client's where it has a sane one, else ours. It is in the answer, and on every line that the log
//! has of the request.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use firebox_engine::fresh_trace_id;
use tracing::{Instrument, error_span};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// As long as anybody's are.
const LONGEST: usize = 128;

/// Names a request, and whatever the log has of it.
pub(crate) async fn name(request: Request<Body>, next: Next) -> Response {
    let id = given(request.headers()).or_else(made_up);
    let Some(id) = id else { return next.run(request).await };
    // Of that level, so that it is there whatever is logged.
    let span = error_span!("request", request_id = &*id);
    let mut response = next.run(request).instrument(span).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// What the client calls it, if that fits on a line and in a header: a name of ours is better than half of theirs.
pub(crate) fn given(headers: &HeaderMap) -> Option<Arc<str>> {
    let mut given = headers.get_all(REQUEST_ID).iter();
    let (Some(id), None) = (given.next(), given.next()) else { return None };
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+/=".contains(&byte);
    let id = id.to_str().ok()?;
    (!id.is_empty() && id.len() <= LONGEST && id.bytes().all(sane)).then(|| id.into())
}

fn made_up() -> Option<Arc<str>> {
    fresh_trace_id().ok().map(|id| id.as_str().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_name_is_taken_and_another_is_not() {
        let of = |ids: &[&str]| {
            let ids = ids.iter().map(|id| (REQUEST_ID, HeaderValue::from_bytes(id.as_bytes()).unwrap()));
            given(&ids.fold(HeaderMap::new(), |mut headers, (name, id)| {
                headers.append(name, id);
                headers
            }))
        };
        for id in ["a", "9f3c-11:22.33_x", "aGVsbG8+/w==", &"x".repeat(LONGEST)] {
            assert_eq!(of(&[id]).as_deref(), Some(id));
        }
        for id in ["", "a b", "a\tb", "a\"b", "é", "<a>", &"x".repeat(LONGEST + 1)] {
            assert_eq!(of(&[id]), None, "{id}");
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["a", "b"]), None);
        assert_ne!(made_up(), made_up());
    }
}
