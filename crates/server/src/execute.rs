//! `POST /v1/execute`: a job in, its outcome out.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use firebox_api::{OutputEvent, Parts, RefusalCode, Request, Schemas};
use serde_json::{Value, json};

use crate::answer::{Form, Refusing};
use crate::caller::Caller;
use crate::connection::Alone;
use crate::events;
use crate::openapi::outcome::{files, hello, outcome};
use crate::openapi::{Answer, Content, Operation};
use crate::routes::House;
use crate::running::Thread;
use crate::service::Admitted;
use crate::spans::TraceContext;

pub(crate) async fn execute(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    alone: Option<Extension<Alone>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let form = Form::of(uri.path());
    if let Some(Extension(alone)) = &alone
        && !house.service.admission.has_room_for(caller.owner)
    {
        // The place that it lacks may be the one of the job before.
        alone.put_off.catch_up();
    }
    let admitted = match admit(&house, &caller, &headers, body).await {
        Ok(admitted) => admitted,
        Err(refusing) => {
            house.service.metrics.refused(refusing.refusal.code);
            return refusing.into_response(form);
        }
    };
    if wants_events(&headers) {
        return events::stream(Arc::clone(&house.service), admitted, form);
    }
    let detail = admitted.detail;
    let thread = alone.map_or(Thread::Another, |Extension(alone)| Thread::This(alone));
    match house.service.run(admitted, (), thread).await {
        Ok(outcome) => Json(firebox_api::Response::new(outcome, detail)).into_response(),
        Err(refusing) => {
            house.service.metrics.refused(refusing.refusal.code);
            refusing.into_response(form)
        }
    }
}

async fn admit(house: &House, caller: &Caller, headers: &HeaderMap, body: Body) -> Result<Admitted, Refusing> {
    let content = house.bodies.read_json(headers, body, caller.owner).await?;
    let parts = Parts::try_from(Request::from_json(&content.bytes)?)?;
    let admitted = house.service.admit(parts, caller)?;
    Ok(Admitted { share: Some(content.share), context: TraceContext::of(headers), ..admitted })
}

/// Whether this is a request for a job's outcome, for which its connection waits.
pub(crate) fn waits_for_its_outcome(request: &axum::http::Request<Body>) -> bool {
    request.method() == Method::POST && request.uri().path().ends_with("/execute") && !wants_events(request.headers())
}

/// Whether the client asks for events and not for a single answer.
pub(crate) fn wants_events(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepts.flat_map(|value| value.split(',')).any(|kind| {
        let mut parts = kind.split(';').map(str::trim);
        let is_events = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/event-stream"));
        // With this weight, what is named is what is not wanted.
        let is_zero = |weight: &str| weight.trim().parse().is_ok_and(|weight: f64| weight == 0.0);
        let mut weights = parts.filter_map(|part| part.split_once('=')).filter(|(name, _)| name.trim() == "q");
        is_events && !weights.any(|(_, weight)| is_zero(weight))
    })
}

/// Every reason for which a request becomes no job.
pub(crate) const REFUSALS: [RefusalCode; 10] = [
    RefusalCode::Malformed,
    RefusalCode::UnsupportedMediaType,
    RefusalCode::RequestTimeout,
    RefusalCode::UnknownLanguage,
    RefusalCode::LanguageUnavailable,
    RefusalCode::TooLarge,
    RefusalCode::LimitAboveCeiling,
    RefusalCode::IsolationUnavailable,
    RefusalCode::ShuttingDown,
    RefusalCode::Fault,
];

pub(crate) fn operation() -> Operation {
    let about = "Compiles and runs a program in a cell of its own, and answers when it has ended. A client that goes away cancels \
        its job. With `Accept: text/event-stream`, what the program writes comes as it is written, as events called `output`; \
        the last event is the `outcome`, or an `error` where there is none.";
    let request = Content::sent::<Request>().example("hello", "A program in one file", hello()).example(
        "files",
        "Several files, input, arguments and limits",
        files(),
    );
    let events =
        Content::events(kinds_of_events).example("events", "A line of output, and the outcome", events().into());
    let ran = Answer::new(StatusCode::OK, "The job ran; `status` says what its program did.")
        .with(Content::answered::<firebox_api::Response>().example("hello", "It went well", outcome()))
        .with(events);
    Operation::new("execute", "Run a job, and wait for its outcome", about)
        .takes(request)
        .answers(ran)
        .refuses(&REFUSALS)
}

/// What an address that answers with a job's events answers with.
pub(crate) fn kinds_of_events(schemas: &mut Schemas, form: Form) -> Value {
    // Whoever reads events has each of them as an object, and whoever does not has a text: no type is true of both.
    json!({
        "description": "Server-sent events; the data of each is JSON.",
        "x-events": {
            "output": schemas.answered::<OutputEvent>(),
            "outcome": schemas.answered::<firebox_api::Response>(),
            "error": form.schema(schemas),
        },
    })
}

fn events() -> String {
    let output = json!(OutputEvent::new(firebox_job::StepKind::Run, "stdout", b"Hello from Rust!\n".to_vec()));
    format!("event: output\ndata: {output}\n\nevent: outcome\ndata: {}\n\n", outcome())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_for_those_who_name_them_and_do_not_say_that_they_want_none() {
        let wanted = |accept: &str| wants_events(&HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]));
        for accept in ["text/event-stream", "text/html, Text/Event-Stream;q=0.5", "text/event-stream; charset=utf-8"] {
            assert!(wanted(accept), "{accept}");
        }
        for accept in ["", "*/*", "application/json", "text/event-stream;q=0", "text/event-stream; q=0.000, */*"] {
            assert!(!wanted(accept), "{accept}");
        }
    }
}
