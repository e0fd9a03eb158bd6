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

use crate::answer::in_one_line;
use crate::openapi::{Answer, Content, Operation};
use crate::routes::House;
use crate::service::Service;

/// How long an answer stays true: whoever asks all the time costs no more than a cell each second.
const STAYS_TRUE: Duration = Duration::from_secs(1);

/// What was found last.
#[derive(Debug, Default)]
pub(crate) struct Health {
    found: Mutex<Option<(Instant, Option<String>)>>,
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
        reasons.extend(service.lack_of_a_cell().await);
        if let Some(jobs) = &service.jobs
            && let Err(error) = jobs.totals().await
        {
            reasons.push(format!("nothing can be kept: {}", in_one_line(&error)));
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
    /// Why no cell can be made, if none can. Who asks at the same time gets the same answer.
    async fn lack_of_a_cell(self: &Arc<Service>) -> Option<String> {
        let mut found = self.health.found.lock().await;
        if let Some((when, lack)) = &*found
            && when.elapsed() < STAYS_TRUE
        {
            return lack.clone();
        }
        let service = Arc::clone(self);
        let lack = spawn_blocking(move || service.engine.try_cell().err().map(|error| in_one_line(&error)));
        let lack = lack.await.unwrap_or_else(|error| Some(in_one_line(&error)));
        let lack = lack.map(|lack| format!("no cell can be made: {lack}"));
        *found = Some((Instant::now(), lack.clone()));
        lack
    }
}
