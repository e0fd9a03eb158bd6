//! What a fuzzer is let in by.

use crate::reference::Reference;
use crate::registry::challenge::Challenge;
use crate::registry::client::Token;
use crate::registry::credential_helper::CredentialHelper;
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

/// A file of logins, none of which is ever shown. Which program may know another is read, and none is started.
pub(crate) fn logins(text: &[u8], reference: &Reference) {
    let Some(known) = Credentials::parse(text) else { return };
    let endpoint = Endpoint::of(reference, &Mirrors::default());
    assert!(known.written(&endpoint).is_none_or(|login| format!("{login:?}") == "Login(..)"), "a login is shown");
    if let Some((helper, _)) = known.helper(&endpoint) {
        assert!(
            CredentialHelper::named(helper).is_err() || !helper.contains(['/', '\0']),
            "{helper:?} would be started"
        );
    }
}
