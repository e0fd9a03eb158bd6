//! What fuzz targets reach of the edge. It is there in their build alone (`fuzz/`).

use axum::http::{HeaderMap, Uri};

use crate::{body, doors, execute, request_id};

/// Whether a request is let in where there are no keys.
pub fn is_let_in(uri: &Uri, headers: &HeaderMap) -> bool {
    doors::look(uri, headers, &[]).is_ok()
}

/// Whether a body is said to be JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    body::is_json(headers)
}

/// Whether the client asks for events.
pub fn wants_events(headers: &HeaderMap) -> bool {
    execute::wants_events(headers)
}

/// What the client calls its request, if that is taken.
pub fn request_id(headers: &HeaderMap) -> Option<std::sync::Arc<str>> {
    request_id::given(headers)
}
