//! What fuzz targets reach of the edge. It is there in their build alone (`fuzz/`).

use std::time::Duration;

use axum::http::{HeaderMap, Uri};
use firebox_api::Refusal;

use crate::spans::TraceContext;
use crate::webhook::Address;
use crate::{body, doors, execute, jobs, request_id};

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

/// Where a webhook goes that may be sent: host, port and path.
pub fn webhook(url: &str) -> Option<(String, u16, String)> {
    Address::read(url, false).ok().map(Address::into_parts)
}

/// How long a client waits for a job's end.
pub fn wait(uri: &Uri) -> Result<Option<Duration>, Refusal> {
    jobs::fuzzing::wait(uri)
}

/// How many jobs a page has.
pub fn page(uri: &Uri) -> Result<usize, Refusal> {
    jobs::fuzzing::page(uri)
}

/// Behind which event a stream goes on.
pub fn last_event(headers: &HeaderMap) -> Result<i64, Refusal> {
    jobs::fuzzing::last_event(headers)
}

/// What makes sending a request again safe.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    jobs::fuzzing::idempotency_key(headers)
}

/// The trace that the client has it in, as we write it down.
pub fn trace(headers: &HeaderMap) -> Option<String> {
    TraceContext::of(headers).map(|context| context.to_string())
}
