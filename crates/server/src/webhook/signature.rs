//! What shows a receiver that a request is ours, and when it was made.
//!
//! `Firebox-Signature: t=<seconds since 1970>,v1=<hex>`, where the second is HMAC-SHA256, keyed with the secret, of the first, a
//! dot, and the body. A receiver that refuses old times refuses requests that somebody sends again.

use ring::hmac;

pub(super) const HEADER: &str = "firebox-signature";

pub(super) fn sign(secret: &str, seconds: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
    context.update(format!("{seconds}.").as_bytes());
    context.update(body);
    let tag = context.sign();
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_others_compute() {
        // `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret`
        let signature = sign("secret", 1_700_000_000, br#"{"a":1}"#);
        assert_eq!(signature, "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686");
        assert_ne!(sign("secret", 1_700_000_001, br#"{"a":1}"#), signature);
        assert_ne!(sign("secre", 1_700_000_000, br#"{"a":1}"#), signature);
    }
}
