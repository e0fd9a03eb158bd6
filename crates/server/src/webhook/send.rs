//! One try: a connection to an address that was looked at, a request, and the head of the answer.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::WebhookSettings;
use super::address::Address;
use super::resolve::{ResolveError, resolve};
use super::signature;
use crate::outgoing::exchange;

/// How long a try may take, all of it.
const WITHIN: Duration = Duration::from_secs(15);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// What is sent.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) job: String,
    pub(super) attempt: u32,
    pub(super) seconds: i64,
    pub(super) secret: String,
    pub(super) body: String,
}

/// Why a try has failed. Told to the client whose webhook it is, and so says nothing that only we could have found out.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error("no connection could be made")]
    Connect,
    #[error("the connection could not be encrypted: {0}")]
    Encrypt(String),
    #[error("it took longer than {} s", WITHIN.as_secs())]
    Late,
    #[error("the connection broke off before there was an answer")]
    Broken,
    #[error("the answer was {0}, and redirects are not followed")]
    Redirect(u16),
    #[error("the answer was {0}")]
    Answer(u16),
}

pub(super) async fn send(address: &Address, settings: &WebhookSettings, letter: Letter) -> Result<(), SendError> {
    timeout(WITHIN, try_to_send(address, settings, letter)).await.unwrap_or(Err(SendError::Late))
}

async fn try_to_send(address: &Address, settings: &WebhookSettings, letter: Letter) -> Result<(), SendError> {
    let found = resolve(address, settings.allow_private).await?;
    let stream = connect(&found).await.ok_or(SendError::Connect)?;
    let request = request(address, letter).map_err(|_| SendError::Broken)?;
    if !address.is_encrypted {
        return deliver(stream, request).await;
    }
    let name = ServerName::try_from(address.host.clone())
        .map_err(|_| SendError::Encrypt("the host's name cannot stand in a certificate".to_owned()))?;
    let encrypted = settings.trust.connector().connect(name, stream).await;
    deliver(encrypted.map_err(|error| SendError::Encrypt(error.to_string()))?, request).await
}

async fn connect(found: &[SocketAddr]) -> Option<TcpStream> {
    for address in found {
        if let Ok(Ok(stream)) = timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
            return Some(stream);
        }
    }
    None
}

fn request(address: &Address, letter: Letter) -> Result<Request<Body>, axum::http::Error> {
    let Letter { job, attempt, seconds, secret, body } = letter;
    Request::post(address.path.as_str())
        .header(header::HOST, address.authority.as_str())
        .header(header::USER_AGENT, concat!("firebox/", env!("CARGO_PKG_VERSION")))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONNECTION, "close")
        .header("firebox-job", job)
        .header("firebox-attempt", attempt)
        .header(signature::HEADER, signature::sign(&secret, seconds, body.as_bytes()))
        .body(Body::from(body))
}

async fn deliver(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Body>,
) -> Result<(), SendError> {
    match exchange(stream, request).await.map_err(|_| SendError::Broken)?.as_u16() {
        200..=299 => Ok(()),
        code @ 300..=399 => Err(SendError::Redirect(code)),
        code => Err(SendError::Answer(code)),
    }
}
