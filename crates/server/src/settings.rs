//! What an operator decides about the service.

use std::net::SocketAddr;
use std::time::Duration;

use firebox_job::ByteSize;

use crate::jobs::JobSettings;
use crate::webhook::WebhookSettings;
use crate::{PageOrigin, SpanEndpoint};

/// What an operator decides about the service. What it does not say is in the engine's policy.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether anybody may have jobs run from elsewhere than this host, as long as there are no keys.
    pub allow_anonymous: bool,
    /// How many jobs run at once.
    pub running: usize,
    /// How many more may wait.
    pub waiting: usize,
    /// How long a job may wait for a place before its client is told that there is none.
    pub patience: Duration,
    /// How long jobs may go on when the service is to end.
    pub grace: Duration,
    /// How many connections may be open at once.
    pub connections: usize,
    /// How long a client may take for the head of a request, and as long for its body; how long a connection may stay unused.
    pub request_within: Duration,
    /// How large the body of a request may be.
    pub body: ByteSize,
    /// Where spans of jobs are sent, if anywhere.
    pub otlp_endpoint: Option<SpanEndpoint>,
    /// Whose web pages may have jobs run.
    pub cors_origins: Vec<PageOrigin>,
    /// How much all bodies that are on their way may hold together.
    pub bodies: ByteSize,
    /// Jobs that outlive a connection.
    pub jobs: JobSettings,
    /// Telling others of their end.
    pub webhooks: WebhookSettings,
}

impl Settings {
    /// Whether this address can be reached from this host alone.
    pub fn is_private(address: SocketAddr) -> bool {
        address.ip().to_canonical().is_loopback()
    }
}
