//! What an operator decides about jobs that outlive a connection.

use std::time::Duration;

use firebox_job::ByteSize;

/// What an operator decides about jobs that outlive a connection.
#[derive(Debug, Clone)]
pub struct JobSettings {
    /// How many may wait.
    pub waiting: usize,
    /// How much those that wait may hold together.
    pub waiting_bytes: ByteSize,
    /// How long those that have ended are kept.
    pub kept_for: Duration,
    /// How much those that have ended may hold together; the oldest of whoever holds most go first.
    pub kept_bytes: ByteSize,
}
