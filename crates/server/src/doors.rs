//! Who may come in where there are no keys: programs on this host, and no web page.
//!
//! Any page in a browser on this host can send requests to its loopback address. It cannot help saying where it came from
//! (`Origin`), and one that has its own name point here (DNS rebinding) cannot help saying that name (`Host`).

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri, header};

use crate::PageOrigin;

/// What a request says of where it comes from, and is not let in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// The name by which it calls this host.
    Host,
    /// The page that sent it.
    Origin,
}

/// Looks at a request that came in by a loopback address.
pub(crate) fn look(uri: &Uri, headers: &HeaderMap, named: &[PageOrigin]) -> Result<(), Foreign> {
    // HTTP/2 has the name in its pseudo-header, which is part of the URI then. One of both must be there, and none foreign.
    let hosts = headers.get_all(header::HOST).iter().map(|host| host.to_str().ok());
    let mut names = hosts.chain(uri.authority().map(|authority| Some(authority.as_str()))).peekable();
    if names.peek().is_none() || !names.all(|name| name.is_some_and(is_loopback)) {
        return Err(Foreign::Host);
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let is_known = |origin: &HeaderValue| named.iter().any(|page| page.is(origin));
    if !origins.all(|origin| is_known(origin) || origin.to_str().is_ok_and(is_own_origin)) {
        return Err(Foreign::Origin);
    }
    Ok(())
}

/// `http://localhost:3000` and the like; never `null`, which is what sandboxed pages say.
fn is_own_origin(origin: &str) -> bool {
    let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    host.is_some_and(is_loopback)
}

fn is_loopback(name: &str) -> bool {
    let Ok(authority) = name.parse::<Authority>() else { return false };
    // A user's name in front of it is nothing that an honest client sends.
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host();
    // What follows is left to us: the parser takes anything for a port.
    let port = authority.as_str().strip_prefix(host).unwrap_or(name);
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return false;
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// A number, or nothing, which is the usual one.
fn is_port(text: &str) -> bool {
    text.is_empty() || (text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(host: &[&str], origin: Option<&str>) -> Result<(), Foreign> {
        let mut headers = HeaderMap::new();
        for host in host {
            headers.append(header::HOST, host.parse().unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        look(&Uri::from_static("/v1/execute"), &headers, &["https://app.example".parse().unwrap()])
    }

    #[test]
    fn programs_on_this_host_come_in() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "127.8.9.1",
            "[::1]:80",
            "[::ffff:127.0.0.1]",
            "localhost:",
        ] {
            assert_eq!(looked(&[host], None), Ok(()), "{host}");
        }
        assert_eq!(looked(&["localhost:1"], Some("http://localhost:3000")), Ok(()));
        assert_eq!(looked(&["localhost:1"], Some("https://127.0.0.1")), Ok(()));
        // A page that the operator named, and by no other name of ours.
        assert_eq!(looked(&["localhost:1"], Some("https://app.example")), Ok(()));
        assert_eq!(looked(&["evil.example"], Some("https://app.example")), Err(Foreign::Host));
    }

    #[test]
    fn a_name_that_was_bent_to_point_here_does_not() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "10.0.0.1",
            "",
            "a@localhost",
            "2130706433",
            "localhost:12.0",
            "localhost:+80",
            "localhost:65536",
            "[::1]:x",
        ] {
            assert_eq!(looked(&[host], None), Err(Foreign::Host), "{host}");
        }
        assert_eq!(looked(&[], None), Err(Foreign::Host));
        assert_eq!(looked(&["localhost", "evil.example"], None), Err(Foreign::Host));
        let both = Uri::from_static("http://evil.example/v1/execute");
        let headers = HeaderMap::from_iter([(header::HOST, "localhost".parse().unwrap())]);
        assert_eq!(look(&both, &headers, &[]), Err(Foreign::Host));
    }

    #[test]
    fn a_page_from_elsewhere_does_not() {
        for origin in [
            "https://evil.example",
            "http://app.example",
            "https://app.example:8443",
            "https://app.example.evil.example",
            "null",
            "http://localhost.evil.example",
            "file://",
            "http://a@localhost",
            "localhost",
        ] {
            assert_eq!(looked(&["localhost"], Some(origin)), Err(Foreign::Origin), "{origin}");
        }
    }
}
