//! What a client is told about a job that nobody waits for.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{JobStatus, Refusal, Response};

/// A job that nobody waits for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct JobView {
    /// What it is asked for by. Nobody can guess it.
    pub id: String,
    /// The client's name for it.
    pub trace_id: String,
    /// The language's own name.
    pub lang: String,
    /// How it is with it.
    pub status: JobStatus,
    /// How many times it was begun: more than once when the service died meanwhile.
    pub attempts: u32,
    /// When it was accepted.
    pub created_at: String,
    /// When it was begun last; null when it was not.
    pub started_at: Option<String>,
    /// When it came to its end; null when it did not.
    pub ended_at: Option<String>,
    /// What a client that waited would have got; left out in lists, and when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Response>")]
    pub outcome: Option<Box<RawValue>>,
    /// Why there is no outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Refusal>")]
    pub error: Option<Box<RawValue>>,
    /// Whom to tell of its end, and whether that has been done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Delivery>,
}

/// Whom to tell of a job's end, and whether that has been done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Delivery {
    /// Where it is sent.
    pub url: String,
    /// `waiting` for the job's end, `due`, `delivered`, or `failed` for good.
    #[schemars(extend("enum" = ["waiting", "due", "delivered", "failed"]))]
    pub status: String,
    /// How many times it was tried.
    pub attempts: u32,
    /// When it will be tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<String>,
    /// What went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// Jobs that came in one request, in its order.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BatchView {
    /// Each of them.
    pub jobs: Vec<JobView>,
}

/// A caller's jobs, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct JobsPage {
    /// So many as were asked for, without their outcomes.
    pub jobs: Vec<JobView>,
    /// What to say as `after` for those that follow; null when none do.
    pub next: Option<String>,
}

/// A change of a job's status, told as it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StatusEvent {
    /// What it is now.
    pub status: JobStatus,
    /// How many times it was begun.
    pub attempt: u32,
}
