//! Where a webhook goes, as a client wrote it.

use std::net::IpAddr;

use axum::http::Uri;

use super::public::is_public;

const LONGEST: usize = 2048;

/// An address that may be tried. Where its name leads is found out then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_encrypted: bool,
    /// As the head of a request has it.
    pub(super) authority: String,
    pub(super) path: String,
}

/// Why there is no sending to an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("the URL has more than {LONGEST} bytes")]
    TooLong,
    #[error("this is no URL of the form `https://host/path`")]
    Malformed,
    #[error("the URL has a user's name in it; a secret belongs into `webhook.secret`")]
    User,
    #[error("the URL begins with `http:`, and what jobs print is not sent unencrypted")]
    Unencrypted,
    #[error("the URL leads to an address that is not public")]
    Private,
}

impl Address {
    /// Host, port and path.
    #[cfg(fuzzing)]
    pub(crate) fn into_parts(self) -> (String, u16, String) {
        (self.host, self.port, self.path)
    }

    pub(crate) fn read(url: &str, allow_private: bool) -> Result<Address, AddressError> {
        if url.len() > LONGEST {
            return Err(AddressError::TooLong);
        }
        let uri: Uri = url.parse().map_err(|_| AddressError::Malformed)?;
        let authority = uri.authority().ok_or(AddressError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(AddressError::User);
        }
        let is_encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if allow_private => false,
            Some("http") => return Err(AddressError::Unencrypted),
            _ => return Err(AddressError::Malformed),
        };
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = match authority.port() {
            Some(port) => Some(port.as_u16()).filter(|port| *port != 0).ok_or(AddressError::Malformed)?,
            // A colon with nothing or too much behind it.
            None if authority.as_str() != host => return Err(AddressError::Malformed),
            None if is_encrypted => 443,
            None => 80,
        };
        if bare.is_empty() {
            return Err(AddressError::Malformed);
        }
        if !allow_private && bare.parse::<IpAddr>().is_ok_and(|ip| !is_public(ip)) {
            return Err(AddressError::Private);
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let authority = authority.as_str().to_owned();
        Ok(Address { host: bare.to_owned(), port, is_encrypted, authority, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_once() {
        let address = Address::read("https://a.example/b?c=d", false).unwrap();
        assert_eq!((address.host.as_str(), address.port, address.path.as_str()), ("a.example", 443, "/b?c=d"));
        assert_eq!(Address::read("https://a.example", false).unwrap().path, "/");
        let address = Address::read("http://[::1]:8080/", true).unwrap();
        assert_eq!((address.host.as_str(), address.port, address.authority.as_str()), ("::1", 8080, "[::1]:8080"));
    }

    #[test]
    fn what_may_not_be_is_told() {
        use AddressError::{Malformed, Private, TooLong, Unencrypted, User};
        for (url, error) in [
            ("", Malformed),
            ("/relative", Malformed),
            ("a.example", Malformed),
            ("file:///etc/passwd", Malformed),
            ("gopher://a.example/", Malformed),
            ("https://", Malformed),
            ("https://a.example:0/", Malformed),
            ("https://a.example:99999/", Malformed),
            ("https://a.example:/", Malformed),
            ("https://a\nb/", Malformed),
            ("https://a b/", Malformed),
            ("http://a.example/", Unencrypted),
            ("https://me:secret@a.example/", User),
            ("https://127.0.0.1/", Private),
            ("https://127.0.0.1:8080/", Private),
            ("https://169.254.169.254/latest/meta-data/", Private),
            ("https://[::1]/", Private),
            ("https://[::ffff:10.0.0.1]/", Private),
            ("https://[fe80::1]:443/", Private),
            ("https://0.0.0.0/", Private),
        ] {
            assert_eq!(Address::read(url, false).unwrap_err(), error, "{url:?}");
        }
        assert_eq!(Address::read(&format!("https://a.example/{}", "x".repeat(LONGEST)), false), Err(TooLong));
        assert!(Address::read("http://127.0.0.1/", true).is_ok());
    }
}
