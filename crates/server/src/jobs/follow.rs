//! `GET /v1/jobs/{id}/events`: what happens to a job, from its beginning or from where a client left off.
//!
//! ```text
//! event: status    data: {"status": "running", "attempt": 1}
//! event: output    data: {"step": "run", "stream": "stdout", "text": "…"}
//! event: outcome   data: what a client that waited would have got
//! event: error     data: what a client that waited would have got, when there is no outcome: in the form of the address
//! ```
//!
//! All of it is read from the database, so a slow client takes no memory, and one that comes back after a start of the service
//! hears the rest.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, OriginalUri, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::Event as Sent;
use axum::response::{IntoResponse, Response};
use firebox_api::{Refusal, RefusalCode};
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;
use tracing::warn;

use super::store::{Event, Found};
use super::{query, refusing, store};
use crate::answer::{Form, Refusing, in_one_line};
use crate::caller::Caller;
use crate::events;
use crate::routes::House;
use crate::segment::Segment;
use crate::service::Service;

const LAST_EVENT_ID: &str = "last-event-id";
/// No job has as many.
pub(super) const MOST_EVENTS: i64 = u32::MAX as i64;
/// How soon to look again when nobody has told of a change.
const LOOK: Duration = Duration::from_secs(5);

pub(crate) async fn follow(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    OriginalUri(uri): OriginalUri,
    Segment(id): Segment,
    headers: HeaderMap,
) -> Response {
    let form = Form::of(uri.path());
    let first = async {
        query::nothing(&uri)?;
        let behind = last_event(&headers)?;
        let jobs = house.service.jobs()?;
        let Found { number, view } = jobs.find(&caller, &id).await?;
        let look = move |connection: &rusqlite::Connection| store::events(connection, number, behind);
        let (events, is_all) = jobs.database.read(look).await.map_err(|error| refusing(&error))?;
        Ok::<_, Refusing>((Following { number, behind, trace_id: view.trace_id, form }, events.is_empty() && is_all))
    };
    match first.await {
        // A client that heard it all is told not to come back.
        Ok((_, true)) => StatusCode::NO_CONTENT.into_response(),
        Ok((following, false)) => events::answer(|sender| following.tell(Arc::clone(&house.service), sender)),
        Err(refusing) => {
            house.service.metrics.refused(refusing.refusal.code);
            refusing.into_response(form)
        }
    }
}

pub(crate) fn last_event(headers: &HeaderMap) -> Result<i64, Refusal> {
    let Some(said) = headers.get(LAST_EVENT_ID) else { return Ok(0) };
    let number =
        said.to_str().ok().and_then(|text| text.parse().ok()).filter(|number| (0..=MOST_EVENTS).contains(number));
    number.ok_or_else(|| Refusal {
        expected: Some("the `id` of an event of this job".to_owned()),
        ..Refusal::new(RefusalCode::Malformed, "the `Last-Event-ID` is malformed").at("Last-Event-ID")
    })
}

/// Where a client is in what is told of a job.
struct Following {
    number: i64,
    behind: i64,
    trace_id: String,
    form: Form,
}

impl Following {
    /// Tells until the job has ended, the client has gone, or the service is about to end.
    async fn tell(mut self, service: Arc<Service>, sender: Sender<Sent>) {
        let Some(jobs) = &service.jobs else { return };
        let mut closing = jobs.closing.subscribe();
        let mut watching = jobs.watchers.watch(self.number);
        loop {
            let (number, behind) = (self.number, self.behind);
            let looked = jobs.database.read(move |connection| store::events(connection, number, behind)).await;
            let (events, is_all) = match looked {
                Ok(looked) => looked,
                Err(error) => {
                    // The client comes back and hears the rest.
                    if !error.may_pass() {
                        let cause = in_one_line(&error);
                        warn!(trace_id = self.trace_id, cause, "cannot read what is told of a job");
                    }
                    return;
                }
            };
            let is_up_to_date = events.is_empty();
            for event in events {
                self.behind = event.number;
                if sender.send(self.sent(event)).await.is_err() {
                    return;
                }
            }
            if is_all {
                return;
            }
            if is_up_to_date {
                tokio::select! {
                    () = watching.changed() => {}
                    () = sleep(LOOK) => {}
                    _ = closing.wait_for(|closing| *closing) => return,
                    () = sender.closed() => return,
                }
            }
        }
    }

    fn sent(&self, event: Event) -> Sent {
        let Event { number, kind, data } = event;
        let data = match kind.as_str() {
            // We have written it, and so it can be read.
            "error" => {
                let refusal = serde_json::from_str(&data).unwrap_or_default();
                self.form.refused(refusal, Some(&self.trace_id)).to_string()
            }
            _ => data,
        };
        Sent::default().id(number.to_string()).event(kind).data(data)
    }
}
