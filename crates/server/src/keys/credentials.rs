//! The key that a request shows: `Authorization: Bearer …`, or `X-API-Key: …`, and nowhere else. An address ends up in logs
//! and in the memory of browsers, so a key in one is not taken.

use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::http::{HeaderMap, HeaderValue};

use super::key::{Key, NoKey};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const SCHEME: &[u8] = b"bearer";

/// Why what a request shows is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Which of them would count is a matter of taste, and two programs between us may differ about it.
    #[error("the request shows more than one key")]
    Several,
    /// Another way of saying who one is.
    #[error("`Authorization` is not of the scheme `Bearer`")]
    Scheme,
    /// What stands there is no key of anybody's.
    #[error("what stands in the place of a key is none: {0}")]
    NoKey(#[from] NoKey),
}

/// The key that these headers show, if they show one.
pub(crate) fn shown(headers: &HeaderMap) -> Result<Option<Key>, Unusable> {
    let bearers = headers.get_all(AUTHORIZATION).iter().map(|value| credential(value.as_bytes()));
    let bare = headers.get_all(API_KEY).iter().map(HeaderValue::as_bytes).map(|value| Ok(Key::read(value)?));
    let mut all = bearers.chain(bare);
    match (all.next(), all.next()) {
        (_, Some(_)) => Err(Unusable::Several),
        (Some(key), None) => key.map(Some),
        (None, None) => Ok(None),
    }
}

/// Reads the value of `Authorization`.
pub fn credential(value: &[u8]) -> Result<Key, Unusable> {
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(Unusable::Scheme);
    }
    Ok(Key::read(rest.trim_ascii())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_key_is_read_from_either_header() {
        let key = Key::fresh().unwrap();
        for (name, value) in [
            ("authorization", format!("Bearer {}", key.reveal())),
            ("authorization", format!("BEARER   {}", key.reveal())),
            ("x-api-key", key.reveal().to_owned()),
        ] {
            assert_eq!(shown(&headers(&[(name, &value)])), Ok(Some(key.clone())), "{name}");
        }
        assert_eq!(shown(&headers(&[("cookie", key.reveal())])), Ok(None));
    }

    #[test]
    fn what_is_no_key_or_more_than_one_is_refused() {
        let key = Key::fresh().unwrap();
        let bearer = format!("Bearer {}", key.reveal());
        let basic = format!("Basic {}", key.reveal());
        let long = "x".repeat(60_000);
        for (lines, why) in [
            (vec![("authorization", bearer.as_str()), ("authorization", &bearer)], Unusable::Several),
            (vec![("authorization", bearer.as_str()), ("x-api-key", key.reveal())], Unusable::Several),
            (vec![("authorization", basic.as_str())], Unusable::Scheme),
            (vec![("authorization", key.reveal())], Unusable::Scheme),
            (vec![("authorization", "")], Unusable::Scheme),
            (vec![("authorization", &long)], Unusable::Scheme),
            (vec![("authorization", "Bearer")], Unusable::NoKey(NoKey)),
            (vec![("authorization", "Bearer  ")], Unusable::NoKey(NoKey)),
            (vec![("x-api-key", bearer.as_str())], Unusable::NoKey(NoKey)),
            (vec![("x-api-key", &long)], Unusable::NoKey(NoKey)),
        ] {
            assert_eq!(shown(&headers(&lines)), Err(why), "{:?}", lines[0].0);
        }
    }

    #[test]
    fn whatever_bytes_come_they_are_read_or_refused() {
        let mut seed = 1_u64;
        for length in 0..300 {
            let mut bytes: Vec<u8> = (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
                    (seed >> 56) as u8
                })
                .collect();
            assert!(credential(&bytes).is_err());
            bytes.splice(0..0, *b"bearer ");
            assert!(credential(&bytes).is_err());
        }
    }
}
