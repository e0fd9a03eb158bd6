//! What speaks as Google Cloud Storage does: a doorman who knows one token, before a real server of S3.
//!
//! Google's XML API is that of S3 in paths, lists, pieces and words of error. What it has of its own is who may come in: a
//! token instead of a signature. So that is all that is made up here.

use std::path::{Path, PathBuf};

use super::doorman::{Answer, Doorman, Head};
use super::s3::RealS3;

/// Listens until the test's process ends.
pub(crate) struct LikeGoogle {
    /// `HOST:PORT`.
    pub(crate) host: String,
    s3: RealS3,
}

impl LikeGoogle {
    pub(crate) const TOKEN: &str = "ya29.a-token-that-nobody-is-told";

    /// None where there is no server of S3.
    pub(crate) fn start(directory: &Path) -> Option<LikeGoogle> {
        let s3 = RealS3::start_for_all(directory)?;
        let host = Doorman::start(&s3.host, let_in).host;
        Some(LikeGoogle { host, s3 })
    }

    pub(crate) fn make_bucket(&self, name: &str) -> PathBuf {
        self.s3.make_bucket(name)
    }

    /// What the environment says to whoever uses it.
    pub(crate) fn variables(at: &str) -> Vec<(String, String)> {
        let variables =
            [("GOOGLE_BASE_URL", format!("http://{at}")), ("GOOGLE_BEARER_TOKEN", LikeGoogle::TOKEN.to_owned())];
        variables.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

/// Who knows the token. The server behind takes it for a signature, so it does not pass.
fn let_in(head: &mut Head) -> Option<Answer> {
    let is_known = head.take("authorization") == Some(format!("Bearer {}", LikeGoogle::TOKEN));
    let text = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>AuthenticationRequired</Code>\
        <Message>Authentication required.</Message></Error>";
    (!is_known).then(|| (401, text.to_owned()))
}
