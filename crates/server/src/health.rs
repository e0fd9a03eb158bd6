//! `GET /health`: whether a job could be run now. Found out by making a cell, as a job's is made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tracing::warn;

use crate::answer::in_one_line;
use crate::openapi::{Answer, Content, Operation};
use crate::routes::House;
use crate::service::Service;

/// How long an answer stays true: whoever asks all the time costs no more than a cell each second.
const STAYS_TRUE: Duration = Duration::from_secs(1);

/// Why no cell can be made is for the operator.
const NO_CELL: &str = "no cell can be made; the log says why";

/// What was found last: when, and why no cell could be made, if none could.
type Found = Option<(Instant, Option<&'static str>)>;

/// What was found last.
#[derive(Debug, Default)]
pub(crate) struct Health {
    found: Arc<Mutex<Found>>,
}

/// How the service is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Health")]
struct Report {
    /// `healthy` or `unhealthy`.
    #[schemars(extend("enum" = ["healthy", "unhealthy"]))]
    status: &'static str,
    /// The version of firebox.
    version: &'static str,
    /// Why a job could not be run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

pub(crate) async fn health(State(house): State<House>) -> Response {
    let service = &house.service;
    let mut reasons = Vec::new();
    if service.admission.is_closed() {
        reasons.push("the service is about to end and takes no more jobs".to_owned());
    } else {
        if service.admission.occupancy().is_full {
            reasons.push("every place is taken, and the queue is full".to_owned());
        }
        reasons.extend(service.lack_of_a_cell().await.map(str::to_owned));
        if let Some(jobs) = &service.jobs
            && let Err(error) = jobs.totals().await
        {
            if !error.may_pass() {
                warn!(cause = in_one_line(&error), "nothing can be kept");
            }
            reasons.push("nothing can be kept; the log says why".to_owned());
        }
    }
    let (code, status) = match reasons.is_empty() {
        true => (StatusCode::OK, "healthy"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
    };
    (code, Json(Report { status, version: env!("CARGO_PKG_VERSION"), reasons })).into_response()
}

pub(crate) fn operation() -> Operation {
    let healthy = Report { status: "healthy", version: env!("CARGO_PKG_VERSION"), reasons: Vec::new() };
    let full = vec!["every place is taken, and the queue is full".to_owned()];
    let unhealthy = Report { status: "unhealthy", version: env!("CARGO_PKG_VERSION"), reasons: full };
    let content = |name, report: Report| Content::answered::<Report>().example(name, "So it may read", json!(report));
    Operation::new("health", "Ask how the service is", "Found out by making a cell, as for a job.")
        .answers(Answer::new(StatusCode::OK, "A job could be run now.").with(content("healthy", healthy)))
        .answers(
            Answer::new(StatusCode::SERVICE_UNAVAILABLE, "A job could not be run now, for these reasons.")
                .with(content("unhealthy", unhealthy)),
        )
}

impl Service {
    /// Why no cell can be made, if none can. Who asks at the same time gets the same answer; who goes away meanwhile does not
    /// have it found out anew.
    async fn lack_of_a_cell(self: &Arc<Service>) -> Option<&'static str> {
        let mut found = Arc::clone(&self.health.found).lock_owned().await;
        if let Some((when, lack)) = *found
            && when.elapsed() < STAYS_TRUE
        {
            return lack;
        }
        let service = Arc::clone(self);
        let looked = spawn_blocking(move || {
            let tried = service.engine.try_cell();
            let lack = tried.err().map(|error| {
                warn!(cause = in_one_line(&error), "no cell can be made");
                NO_CELL
            });
            *found = Some((Instant::now(), lack));
            lack
        });
        looked.await.unwrap_or(Some(NO_CELL))
    }
}
