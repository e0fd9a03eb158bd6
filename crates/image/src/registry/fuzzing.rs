//! What a fuzzer is let in by.

use crate::reference::Reference;
use crate::registry::challenge::Challenge;
use crate::registry::client::Token;
use crate::registry::{Credentials, Endpoint, Mirrors};

/// What a registry answers to whom it does not know: a header, and what is behind the place that this names.
pub(crate) fn hear(text: &[u8]) {
    if let Ok(header) = std::str::from_utf8(text)
        && let Some(Challenge::Bearer { realm, service }) = Challenge::parse(header)
    {
        assert!(realm.len() + service.map_or(0, |service| service.len()) <= header.len(), "more than was said");
    }
    if let Some(token) = Token::read(text) {
        assert!(token.bytes().all(|byte| byte.is_ascii_graphic()), "a header of ours would be {token:?}");
    }
}

/// A file of logins, none of which is ever shown.
pub(crate) fn logins(text: &[u8], reference: &Reference) {
    let Some(known) = Credentials::parse(text) else { return };
    let login = known.login(&Endpoint::of(reference, &Mirrors::default()));
    assert!(login.is_none_or(|login| format!("{login:?}") == "Login(..)"), "a login is shown");
}
