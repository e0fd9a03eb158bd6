//! Who may come in, and as whom.
//!
//! Where there are keys, whoever asks for anything must show one: but for whether the service is well, which load balancers
//! ask, and for what the API is, which is the same everywhere and which browsers cannot show a key for. Where there are none,
//! programs on this host come in, and no web page (`doors`). A key is nothing that a browser sends along by itself, so
//! where one is shown it does not matter which page it came from.

use std::time::Duration;

use axum::http::{HeaderMap, Uri};

use crate::answer::Refusing;
use crate::caller::Caller;
use crate::doors;
use crate::service::Service;
use crate::{keys, routes};

/// What is told to everybody.
const OPEN: [&str; 4] = ["/health", "/openapi.json", "/docs", "/docs/page.css"];

/// Whether what is at this address is told to everybody, whether or not there are keys.
pub(crate) fn is_open(path: &str) -> bool {
    OPEN.contains(&path)
}

impl Service {
    /// Who sends a request with this head, if they may.
    pub(crate) fn let_in(&self, uri: &Uri, headers: &HeaderMap) -> Result<Caller, Refusing> {
        if self.keys.is_demanded() {
            if is_open(uri.path()) {
                return Ok(self.everybody.clone());
            }
            return self.by_key(headers);
        }
        if !self.settings.allow_anonymous {
            doors::look(uri, headers, &self.settings.cors_origins).map_err(routes::foreign)?;
        }
        Ok(self.everybody.clone())
    }

    fn by_key(&self, headers: &HeaderMap) -> Result<Caller, Refusing> {
        let shown = keys::shown(headers).map_err(|unusable| Refusing::unauthorized(unusable.to_string()))?;
        let key = shown.ok_or_else(no_key)?;
        // Whether there never was such a key, its secret is wrong, or it was revoked: that is nobody's business.
        let holder = self.keys.check(&key).ok_or_else(|| Refusing::unauthorized("the key is not good here"))?;
        holder.ask().map_err(too_often)?;
        Ok(Caller::holding(holder))
    }
}

/// What is told to whoever shows no key at all.
pub(crate) fn no_key() -> Refusing {
    Refusing::unauthorized("this service is for those who have a key, and the request shows none")
}

/// What is told to whoever asks too often.
pub(crate) fn too_often(until: Duration) -> Refusing {
    Refusing::quota("this key has asked more often than it may", until)
}
