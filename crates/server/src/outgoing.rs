//! A request of ours to somebody else, on a connection of its own, and the head of the answer.

use std::pin::pin;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// What the head of an answer may hold; its body is not read.
const HEAD_BYTES: usize = 16 << 10;

/// Sends a request and returns the status of the answer. The connection goes with it.
pub(crate) async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Body>,
) -> hyper::Result<StatusCode> {
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD_BYTES).handshake(TokioIo::new(stream)).await?;
    let mut answer = pin!(sender.send_request(request));
    let answer = tokio::select! {
        answer = &mut answer => answer,
        // The answer may have come with the end of the connection.
        _ = connection => answer.await,
    };
    answer.map(|answer| answer.status())
}
