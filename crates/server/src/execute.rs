//! `POST /v1/execute`: a job in, its outcome out.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use firebox_api::{Parts, Request};

use crate::answer::{Form, Refusing};
use crate::caller::Caller;
use crate::events;
use crate::routes::House;
use crate::service::Admitted;

pub(crate) async fn execute(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let form = Form::of(uri.path());
    let admitted = match admit(&house, &caller, &headers, body).await {
        Ok(admitted) => admitted,
        Err(refusing) => {
            house.service.metrics.refused(refusing.refusal.code);
            return refusing.into_response(form);
        }
    };
    if wants_events(&headers) {
        return events::stream(Arc::clone(&house.service), admitted);
    }
    let detail = admitted.detail;
    match house.service.run(admitted, ()).await {
        Ok(outcome) => Json(firebox_api::Response::new(outcome, detail)).into_response(),
        Err(refusing) => {
            house.service.metrics.refused(refusing.refusal.code);
            refusing.into_response(form)
        }
    }
}

async fn admit(house: &House, caller: &Caller, headers: &HeaderMap, body: Body) -> Result<Admitted, Refusing> {
    let content = house.bodies.read_json(headers, body).await?;
    let parts = Parts::try_from(Request::from_json(&content.bytes)?)?;
    house.service.admit(parts, caller)
}

/// Whether the client asks for events and not for a single answer.
fn wants_events(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepts.flat_map(|value| value.split(','));
    kinds.any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream")))
}
