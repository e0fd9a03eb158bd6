//! Who is trusted to say who somebody is.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::tls::{TlsError, read_certificates};

/// Whose certificates those must have, directly or through others, who are sent webhooks.
#[derive(Debug, Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Of those whom browsers trust.
    pub fn of_browsers() -> Trust {
        Trust::of(browsers())
    }

    /// Of those, and of those whose certificates are in this file.
    pub fn with(path: &Path) -> Result<Trust, TlsError> {
        let mut roots = browsers();
        let certificates = read_certificates(path)?;
        if certificates.is_empty() {
            return Err(TlsError::NoRoot { path: path.to_owned() });
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|source| TlsError::Root { path: path.to_owned(), source })?;
        }
        Ok(Trust::of(roots))
    }

    fn of(roots: RootCertStore) -> Trust {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            // The provider has both versions, which is all that can be missing.
            .unwrap_or_else(|error| unreachable!("{error}"));
        Trust(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
    }

    pub(super) fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.0))
    }
}

fn browsers() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}
