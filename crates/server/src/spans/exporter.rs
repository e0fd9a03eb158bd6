//! Sends spans to a collector, some at a time, and tries again a few times when it is away.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use prometheus_client::metrics::counter::Counter;
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::warn;

use super::otlp::document;
use super::{JobSpan, SpanEndpoint, Spans};
use crate::answer::in_one_line;
use crate::outgoing::exchange;

/// How many go at once.
const BATCH: usize = 256;
/// How long the first of them waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often one is asked, and how long it is left alone in between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// How long the service waits for it at its end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The task that sends.
#[derive(Debug)]
pub(crate) struct Exporter {
    task: JoinHandle<()>,
    end: oneshot::Sender<()>,
}

/// Why a collector has not taken spans.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("cannot reach it")]
    Connect(#[from] io::Error),
    #[error("cannot talk to it")]
    Http(#[from] hyper::Error),
    #[error("it answers {0}")]
    Refused(StatusCode),
    #[error("it does not answer in time")]
    Slow,
}

impl Exporter {
    /// Starts sending what is handed in there.
    pub(crate) fn start(endpoint: SpanEndpoint, spans: &Spans) -> Option<Exporter> {
        let receiver = spans.take_other_end()?;
        let (end, ended) = oneshot::channel();
        let sending =
            Sending { endpoint, exported: spans.exported.clone(), dropped: spans.dropped.clone(), is_away: false };
        Some(Exporter { task: tokio::spawn(sending.until(ended, receiver)), end })
    }

    /// Sends what is left, if that does not take long.
    pub(crate) async fn finish(self) {
        let Exporter { mut task, end } = self;
        let _ = end.send(());
        if timeout(LAST_WORDS, &mut task).await.is_err() {
            task.abort();
        }
    }
}

struct Sending {
    endpoint: SpanEndpoint,
    exported: Counter,
    dropped: Counter,
    /// Whether it has been said that the collector is away.
    is_away: bool,
}

impl Sending {
    async fn until(mut self, mut ended: oneshot::Receiver<()>, mut queue: Receiver<JobSpan>) {
        loop {
            let first = tokio::select! {
                first = queue.recv() => first,
                _ = &mut ended => break,
            };
            let Some(first) = first else { return };
            let mut batch = vec![first];
            let until = Instant::now() + GATHER;
            while batch.len() < BATCH {
                tokio::select! {
                    next = timeout_at(until, queue.recv()) => match next {
                        Ok(Some(next)) => batch.push(next),
                        Ok(None) | Err(_) => break,
                    },
                    _ = &mut ended => {
                        self.send(&batch).await;
                        return self.send_rest(queue).await;
                    }
                }
            }
            self.send(&batch).await;
        }
        self.send_rest(queue).await;
    }

    async fn send_rest(&mut self, mut queue: Receiver<JobSpan>) {
        queue.close();
        let mut batch = Vec::new();
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            self.send(&batch).await;
            batch.clear();
        }
    }

    async fn send(&mut self, batch: &[JobSpan]) {
        let body = document(batch).to_string();
        for attempt in 1..=TRIES {
            let sent = timeout(PATIENCE, post(&self.endpoint, body.clone())).await;
            match sent.unwrap_or(Err(ExportError::Slow)) {
                Ok(()) => {
                    self.exported.inc_by(batch.len() as u64);
                    self.is_away = false;
                    return;
                }
                Err(_) if attempt < TRIES => sleep(PAUSE * attempt).await,
                Err(error) => {
                    self.dropped.inc_by(batch.len() as u64);
                    // Said once, until it is back: a collector that is away is away for thousands of jobs.
                    if !self.is_away {
                        let endpoint = &self.endpoint;
                        warn!(error = in_one_line(&error), %endpoint, "spans cannot be sent, and are dropped");
                        self.is_away = true;
                    }
                }
            }
        }
    }
}

async fn post(endpoint: &SpanEndpoint, body: String) -> Result<(), ExportError> {
    let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
    let request = Request::post(&endpoint.path)
        .header(header::HOST, format!("{}:{}", endpoint.host, endpoint.port))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let status = exchange(stream, request).await?;
    if status.is_success() { Ok(()) } else { Err(ExportError::Refused(status)) }
}
