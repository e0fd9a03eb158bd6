//! A web page's origin that the operator named: its pages may have jobs run.

use std::fmt;
use std::str::FromStr;

use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::CorsLayer;

use crate::request_id::REQUEST_ID;

/// For how long a browser need not ask again.
const ASK_AGAIN: std::time::Duration = std::time::Duration::from_secs(600);

/// `https://app.example` or `http://localhost:3000`: as browsers write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageOrigin(HeaderValue);

/// A text that is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin is a scheme and a host, as in `https://app.example`, in small letters and without a path; each is named"
)]
pub struct NoOrigin;

impl PageOrigin {
    /// Whether a request that says it comes from there means this one.
    pub(crate) fn is(&self, origin: &HeaderValue) -> bool {
        self.0 == origin
    }
}

impl FromStr for PageOrigin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<PageOrigin, NoOrigin> {
        let uri: Uri = text.parse().map_err(|_| NoOrigin)?;
        let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(NoOrigin);
        };
        // What a browser would write for it, letter by letter: it is compared with that.
        let usual = match (scheme, authority.port_u16()) {
            ("http", Some(80)) | ("https", Some(443)) => return Err(NoOrigin),
            (_, Some(port)) => format!("{scheme}://{}:{port}", authority.host().to_ascii_lowercase()),
            (_, None) => format!("{scheme}://{}", authority.host().to_ascii_lowercase()),
        };
        // A star is a character like others to whoever reads addresses.
        if usual != text || text.contains('*') {
            return Err(NoOrigin);
        }
        HeaderValue::from_str(text).map(PageOrigin).map_err(|_| NoOrigin)
    }
}

impl fmt::Display for PageOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// Tells browsers that pages from there may read our answers. No cookies and no passwords of a browser's are ever of use here.
pub(crate) fn sharing(origins: &[PageOrigin]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins.iter().map(|origin| origin.0.clone()).collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            HeaderName::from_static("x-api-key"),
            REQUEST_ID,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("traceparent"),
        ])
        .expose_headers([
            REQUEST_ID,
            header::RETRY_AFTER,
            header::LOCATION,
            HeaderName::from_static("idempotency-replayed"),
        ])
        .max_age(ASK_AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_writes() {
        for text in ["https://app.example", "http://localhost:3000", "https://[::1]:8443", "http://a.b:8080"] {
            assert_eq!(text.parse::<PageOrigin>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "*",
            "null",
            "app.example",
            "https://app.example/",
            "https://app.example/path",
            "https://App.example",
            "https://app.example:443",
            "https://a@app.example",
            "https://*.example",
            "ftp://app.example",
            "file://",
        ] {
            assert_eq!(text.parse::<PageOrigin>(), Err(NoOrigin), "{text}");
        }
    }
}
