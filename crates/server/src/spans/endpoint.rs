//! Where a collector listens.

use std::fmt;
use std::str::FromStr;

use axum::http::Uri;

/// OTLP's own, where none is said.
const PORT: u16 = 4318;
const PATH: &str = "/v1/traces";

/// `http://127.0.0.1:4318`, or the same with a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanEndpoint {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: String,
}

/// A text that names no collector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` names no collector; write `http://HOST:PORT`, without TLS, as to one on this host")]
pub struct NoEndpoint {
    given: String,
}

impl FromStr for SpanEndpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<SpanEndpoint, NoEndpoint> {
        let wrong = || NoEndpoint { given: text.to_owned() };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(wrong)?;
        if uri.scheme_str() != Some("http") || uri.query().is_some() {
            return Err(wrong());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let path = if uri.path() == "/" { PATH } else { uri.path() };
        Ok(SpanEndpoint { host: host.to_owned(), port: authority.port_u16().unwrap_or(PORT), path: path.to_owned() })
    }
}

impl fmt::Display for SpanEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SpanEndpoint { host, port, path } = self;
        match host.contains(':') {
            true => write!(f, "http://[{host}]:{port}{path}"),
            false => write!(f, "http://{host}:{port}{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_what_collectors_have() {
        for (text, whole) in [
            ("http://127.0.0.1", "http://127.0.0.1:4318/v1/traces"),
            ("http://otel:9999/", "http://otel:9999/v1/traces"),
            ("http://[::1]:1/spans", "http://[::1]:1/spans"),
        ] {
            assert_eq!(text.parse::<SpanEndpoint>().unwrap().to_string(), whole);
        }
        for text in ["", "otel:4318", "https://otel", "http://", "http://a@b", "http://a/?b", "/v1/traces"] {
            let error = text.parse::<SpanEndpoint>().unwrap_err().to_string();
            assert!(error.contains("http://HOST:PORT"), "{error}");
        }
    }
}
