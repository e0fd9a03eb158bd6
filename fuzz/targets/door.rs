//! Who is let in where there are no keys. What gets past the door must be a loopback address by a second, plainer look.
//!
//! The input is `Host`, `Origin` and the authority of the URI, a line each; an empty line is none.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderValue, Uri, header};
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let [host, origin, authority] = [(); 3].map(|()| lines.next().unwrap_or_default());
    let mut headers = HeaderMap::new();
    for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
        if value.is_empty() {
            continue;
        }
        let Ok(value) = HeaderValue::from_bytes(value) else { return Corpus::Reject };
        headers.insert(name, value);
    }
    let uri = match authority {
        [] => Uri::from_static("/v1/execute"),
        authority => match Uri::builder().scheme("http").authority(authority).path_and_query("/").build() {
            Ok(uri) => uri,
            Err(_) => return Corpus::Reject,
        },
    };
    if firebox_server::fuzzing::is_let_in(&uri, &headers) {
        for name in [host, authority].into_iter().filter(|name| !name.is_empty()) {
            assert!(is_here(name), "{:?} got in", String::from_utf8_lossy(name));
        }
        assert!(!host.is_empty() || !authority.is_empty(), "nothing was called by a name");
        if !origin.is_empty() {
            let place = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
            assert!(place.is_some_and(is_here), "{:?} got in", String::from_utf8_lossy(origin));
        }
    }
    Corpus::Keep
});

/// `localhost` or a loopback address, then nothing, or a colon and digits.
fn is_here(name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let (host, port) = match name.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) => (host, port),
            None => return false,
        },
        None => name.find(':').map_or((name, ""), |colon| name.split_at(colon)),
    };
    let has_port = port.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let is_loopback = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.octets()[0] == 127,
        Ok(IpAddr::V6(ip)) => {
            ip == Ipv6Addr::LOCALHOST || ip.to_ipv4_mapped().is_some_and(|ip: Ipv4Addr| ip.octets()[0] == 127)
        }
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    };
    (port.is_empty() || has_port) && is_loopback
}
