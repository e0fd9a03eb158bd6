//! `GET /v1/jobs` and `/v1/jobs/{id}`, `DELETE /v1/jobs/{id}`: what became of jobs, and that one is not wanted any more.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, OriginalUri, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use firebox_api::{JobView, JobsPage, Refusal, RefusalCode};
use tokio::time::{Instant, sleep_until, timeout};

use super::cursor::Cursor;
use super::stop::Why;
use super::store::{Cancelled, Found};
use super::whole::whole;
use super::{Jobs, query, refusing, store};
use crate::answer::{Form, Refusing};
use crate::caller::Caller;
use crate::routes::House;
use crate::segment::Segment;
use crate::service::Service;

/// How long to wait for a job that was cancelled to be gone, before saying how it is all the same.
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// How soon to look again for a job that is just about to begin or to end.
const MOMENT: Duration = Duration::from_millis(20);

pub(crate) async fn look(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    OriginalUri(uri): OriginalUri,
    Segment(id): Segment,
) -> Response {
    let looked = async {
        let wait = query::wait(&uri)?;
        let jobs = house.service.jobs()?;
        let found = jobs.find(&caller, &id).await?;
        match wait {
            Some(wait) if !found.view.status.is_end() => jobs.wait_for_end(&caller, &id, found, wait).await,
            _ => Ok(found.view),
        }
    };
    respond(&house.service, &uri, looked.await)
}

pub(crate) async fn list(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    OriginalUri(uri): OriginalUri,
) -> Response {
    let listed = async {
        let query::Wanted { status, limit, after } = query::wanted(&uri)?;
        let behind = after.map_or(i64::MAX, |Cursor(number)| number);
        let name = Arc::clone(&caller.name);
        // One more than is told says whether there are more.
        let look = move |connection: &rusqlite::Connection| store::list(connection, &name, status, behind, limit + 1);
        let mut found = house.service.jobs()?.database.read(look).await.map_err(|error| refusing(&error))?;
        let next = (limit < found.len()).then(|| {
            found.truncate(limit);
            found.last().map(|last| Cursor(last.number).written())
        });
        let jobs = found.into_iter().map(|found| found.view).collect();
        Ok(JobsPage { jobs, next: next.flatten() })
    };
    respond(&house.service, &uri, listed.await)
}

pub(crate) async fn cancel(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    OriginalUri(uri): OriginalUri,
    Segment(id): Segment,
) -> Response {
    let cancelled = async {
        query::nothing(&uri)?;
        timeout(GONE_WITHIN, cancel_and_wait(&house.service, &caller, &id)).await.unwrap_or_else(|_| {
            Err(Refusing::from(Refusal::new(RefusalCode::Fault, "the job was told to stop, and has not yet")))
        })
    };
    respond(&house.service, &uri, cancelled.await)
}

fn respond<T: serde::Serialize>(service: &Service, uri: &Uri, found: Result<T, Refusing>) -> Response {
    match found {
        Ok(found) => Json(found).into_response(),
        Err(refusing) => {
            service.metrics.refused(refusing.refusal.code);
            refusing.into_response(Form::of(uri.path()))
        }
    }
}

/// Whoever's job it is, if it is not the caller's it is not there.
fn no_such_job() -> Refusing {
    Refusing::from(
        Refusal::new(RefusalCode::NotFound, "you have no job of this id")
            .with_hint("`GET /v1/jobs` lists those you have; what has ended is forgotten in time"),
    )
}

impl Jobs {
    pub(super) async fn find(&self, caller: &Caller, id: &str) -> Result<Found, Refusing> {
        let (name, id) = (Arc::clone(&caller.name), id.to_owned());
        let found = self.database.read(move |connection| store::look(connection, &name, &id)).await;
        found.map_err(|error| refusing(&error))?.ok_or_else(no_such_job)
    }

    /// Returns when the job has ended, when that takes too long, or when the service is about to end.
    async fn wait_for_end(&self, caller: &Caller, id: &str, found: Found, wait: Duration) -> Result<JobView, Refusing> {
        let until = Instant::now() + wait;
        let mut closing = self.closing.subscribe();
        let mut watching = self.watchers.watch(found.number);
        loop {
            let found = self.find(caller, id).await?;
            if found.view.status.is_end() {
                return Ok(found.view);
            }
            tokio::select! {
                () = watching.changed() => {}
                () = sleep_until(until) => return Ok(found.view),
                _ = closing.wait_for(|closing| *closing) => return Ok(found.view),
            }
        }
    }
}

/// Returns when the job will not go on, and nothing of it is left.
async fn cancel_and_wait(service: &Arc<Service>, caller: &Caller, id: &str) -> Result<JobView, Refusing> {
    let jobs = service.jobs()?;
    loop {
        match cancel_or_stop(service, caller, id).await? {
            Cancelled::Ended(found) => return Ok(found.view),
            Cancelled::Runs(found) => {
                let mut watching = jobs.watchers.watch(found.number);
                // Between the disk and the one who runs it, it is for a moment on neither side.
                let is_told = jobs.stops.one(found.number, Why::Client);
                let pause = if is_told { MOMENT * 10 } else { MOMENT };
                let _ = timeout(pause, watching.changed()).await;
            }
        }
    }
}

/// Ends it where it waits. Who looks on hears of that also when the one who asked for it has left.
async fn cancel_or_stop(service: &Arc<Service>, caller: &Caller, id: &str) -> Result<Cancelled, Refusing> {
    let (service, name, id) = (Arc::clone(service), Arc::clone(&caller.name), id.to_owned());
    whole(async move {
        let jobs = service.jobs()?;
        let cancelled = jobs.database.write(move |connection| store::cancel(connection, &name, &id)).await;
        let cancelled = cancelled.map_err(|error| refusing(&error))?.ok_or_else(no_such_job)?;
        if let Cancelled::Ended(found) = &cancelled {
            jobs.watchers.tell(found.number);
            jobs.due.notify_one();
        }
        Ok(cancelled)
    })
    .await
}

impl Service {
    /// Jobs that outlive a connection, if there are any here.
    pub(crate) fn jobs(&self) -> Result<&Jobs, Refusing> {
        self.jobs.as_ref().ok_or_else(|| unavailable().into())
    }
}

pub(crate) fn unavailable() -> Refusal {
    Refusal::new(RefusalCode::JobsUnavailable, "this service keeps nothing, so no job outlives its connection")
        .with_hint("`POST /v1/execute` waits for the outcome; the operator can name a directory with `--state`")
}
