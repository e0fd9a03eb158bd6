//! TLS: a certificate and its key, read while we may, and read again when the operator says that they are new.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::Error as PemError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// What clients may choose from, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The certificate that clients are shown, and where it came from.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not to be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no PEM.
    #[error("{} has something in it that is no PEM", .path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What.
        source: PemError,
    },
    /// There is no certificate in the file.
    #[error("there is no certificate in {}; it takes the whole chain in PEM, the server's own first", .path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// There is nobody in the file who could be trusted.
    #[error("there is no certificate in {}; it takes those of whom to trust, in PEM", .path.display())]
    NoRoot {
        /// Which file.
        path: PathBuf,
    },
    /// Somebody in the file cannot be trusted.
    #[error("{} has a certificate in it that nobody can be trusted by", .path.display())]
    Root {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// There is no key in the file.
    #[error("there is no private key in {}; it takes one in PEM, without a passphrase", .path.display())]
    NoKey {
        /// Which file.
        path: PathBuf,
    },
    /// They do not belong together.
    #[error("the key in {} is not that of the certificate in {}", .key.display(), .certificate.display())]
    Mismatch {
        /// Where the certificate is.
        certificate: PathBuf,
        /// Where the key is.
        key: PathBuf,
    },
    /// They cannot be used for something else.
    #[error("cannot use the certificate in {} with the key in {}", .certificate.display(), .key.display())]
    Unusable {
        /// Where the certificate is.
        certificate: PathBuf,
        /// Where the key is.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

impl Tls {
    /// Reads both files. To be called while the caller's rights are there: keys are for few to read.
    pub fn read(certificate: &Path, key: &Path) -> Result<Tls, TlsError> {
        let current = RwLock::new(Arc::new(config(certificate, key)?));
        Ok(Tls { certificate: certificate.to_owned(), key: key.to_owned(), current })
    }

    /// Reads both files again. When that fails, what was read before stays.
    pub(crate) fn read_again(&self) -> Result<(), TlsError> {
        let config = Arc::new(config(&self.certificate, &self.key)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn config(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let chain = read_certificates(certificate)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: certificate.to_owned() });
    }
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| match error {
        PemError::NoItemsFound => TlsError::NoKey { path: key.to_owned() },
        source => TlsError::Pem { path: key.to_owned(), source },
    })?;
    let both = || (certificate.to_owned(), key.to_owned());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret));
    let mut config = config.map_err(|error| match (error, both()) {
        (rustls::Error::InconsistentKeys(_), (certificate, key)) => TlsError::Mismatch { certificate, key },
        (source, (certificate, key)) => TlsError::Unusable { certificate, key, source },
    })?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

pub(crate) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    read.map_err(|source| TlsError::Pem { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}
