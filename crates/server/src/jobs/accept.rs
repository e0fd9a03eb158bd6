//! `POST /v1/jobs` and `/v1/jobs/batch`: jobs in, their ids out, when they are on disk.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, OriginalUri, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use firebox_api::{
    AskedWebhook, BatchRequest, BatchView, JobRequest, JobView, Parts, Refusal, RefusalCode, RefusedItem,
};
use firebox_engine::random_bytes;
use serde_json::{Value, json};

use super::idempotency::Once;
use super::store::{Accepted, NewJob, Room};
use super::whole::whole;
use super::{Jobs, as_json, idempotency, query, refusing, retention, runner, store};
use crate::answer::{Form, Refusing, status};
use crate::body::Content;
use crate::caller::Caller;
use crate::routes::House;
use crate::service::Service;
use crate::spans::TraceContext;
use crate::webhook::Address;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Says that an answer was given before.
const REPLAYED: &str = "idempotency-replayed";
const LONGEST_KEY: usize = 255;
const LONGEST_SECRET: usize = 256;

/// What a client sends: one job, or a list.
#[derive(Debug, Clone, Copy)]
enum Sent {
    One,
    Batch,
}

/// What is said of jobs that are on disk.
struct OnDisk {
    answer: String,
    /// They were accepted before, and this was the answer.
    is_replayed: bool,
}

/// Why nothing was accepted.
enum No {
    Refused(Refusing),
    /// Of a batch: what is wrong with each that something is wrong with, of so many.
    Items(Vec<RefusedItem>, usize),
}

impl<T: Into<Refusing>> From<T> for No {
    fn from(refused: T) -> No {
        No::Refused(refused.into())
    }
}

pub(crate) async fn submit(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let accepted = take(&house, &caller, &uri, &headers, body, Sent::One).await;
    answer(&house.service, &uri, accepted, Sent::One)
}

pub(crate) async fn submit_batch(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let accepted = take(&house, &caller, &uri, &headers, body, Sent::Batch).await;
    answer(&house.service, &uri, accepted, Sent::Batch)
}

/// Returns when what was sent is on disk.
async fn take(
    house: &House,
    caller: &Caller,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
    sent: Sent,
) -> Result<OnDisk, No> {
    let service = &house.service;
    let jobs = service.jobs()?;
    query::nothing(uri)?;
    let key = idempotency_key(headers)?;
    let content = house.bodies.read_json(headers, body, caller.owner).await?;
    let once = key.map(|key| Once { key, fingerprint: fingerprint(sent, &content.bytes) });
    // What was accepted once is so still, whatever would be said of it now.
    if let Some(once) = &once
        && let Some(before) = jobs.answered(caller, once).await?
    {
        let on_disk = on_disk(before)?;
        runner::call(service, caller);
        return Ok(on_disk);
    }
    let new = match sent {
        Sent::One => vec![read(service, caller, &content.bytes)?],
        Sent::Batch => read_batch(service, caller, &content.bytes)?,
    };
    let context = TraceContext::of(headers);
    let new = new.into_iter().map(|job| NewJob { context, ..job }).collect();
    let (service, caller) = (Arc::clone(service), caller.clone());
    // Once it is on disk somebody has to run it, also when the client has gone.
    let accepted = whole(async move {
        let accepted = service.jobs()?.accept(&caller, new, once, sent, content).await?;
        runner::call(&service, &caller);
        Ok(accepted)
    });
    Ok(accepted.await?)
}

impl Jobs {
    /// What was answered before, to the same or with the same key.
    async fn answered(&self, caller: &Caller, once: &Once) -> Result<Option<Accepted>, Refusing> {
        let (name, once) = (Arc::clone(&caller.name), once.clone());
        let looked = self.database.read(move |connection| idempotency::answered(connection, &name, &once)).await;
        looked.map_err(|error| refusing(&error))
    }

    /// What was read is counted until it is on disk.
    async fn accept(
        &self,
        caller: &Caller,
        new: Vec<NewJob>,
        once: Option<Once>,
        sent: Sent,
        content: Content,
    ) -> Result<OnDisk, Refusing> {
        let name = Arc::clone(&caller.name);
        let room = Room {
            jobs: self.settings.waiting as u64,
            bytes: self.settings.waiting_bytes.as_u64(),
            keys: retention::MOST_KEYS,
            keys_bytes: retention::MOST_BYTES_OF_KEYS,
            bounds: caller.owner.bounds,
        };
        if *self.closing.borrow() {
            return Err(crate::service::no_place(crate::admission::NoPlace::Closed));
        }
        let accepted = self.database.write(move |connection| {
            let accepted = store::accept(connection, &name, new, once, room, |views| say(views, sent));
            drop(content);
            accepted
        });
        on_disk(accepted.await.map_err(|error| refusing(&error))?)
    }
}

fn on_disk(accepted: Accepted) -> Result<OnDisk, Refusing> {
    match accepted {
        Accepted::Full => Err(Refusal::new(RefusalCode::Full, "too many jobs wait already, or hold too much")
            .with_hint("try again when some have run")
            .into()),
        Accepted::Shared => Err(Refusal::new(
            RefusalCode::Full,
            "the jobs of this key that wait have taken as much of the queue as is left to others",
        )
        .with_hint("try again when some have run")
        .into()),
        Accepted::Keys => Err(Refusal::new(RefusalCode::Full, "as many `Idempotency-Key`s are remembered as may be")
            .at("Idempotency-Key")
            .with_hint("each is forgotten after 24 h; until then send jobs without, or many as one batch")
            .into()),
        Accepted::Bound => Err(crate::service::no_place(crate::admission::NoPlace::Bound)),
        Accepted::Conflict => Err(conflict().into()),
        Accepted::Now(answer) => Ok(OnDisk { answer, is_replayed: false }),
        Accepted::Before(answer) => Ok(OnDisk { answer, is_replayed: true }),
    }
}

pub(crate) fn conflict() -> Refusal {
    Refusal::new(RefusalCode::IdempotencyConflict, "this `Idempotency-Key` came before, with another request")
        .at("Idempotency-Key")
        .with_hint("give each request a key of its own, and the same only to the same request")
}

fn say(mut views: Vec<JobView>, sent: Sent) -> String {
    match sent {
        Sent::One => views.pop().map(|view| as_json(&view)).unwrap_or_default(),
        Sent::Batch => as_json(&BatchView { jobs: views }),
    }
}

/// One job, if it can be run here.
fn read(service: &Service, caller: &Caller, json: &[u8]) -> Result<NewJob, Refusing> {
    let JobRequest { request, webhook } = JobRequest::from_json(json)?;
    let webhook = webhook.map(|webhook| check_webhook(service, webhook)).transpose()?;
    let prepared = service.prepare(Parts::try_from(request)?, caller)?;
    let id = random_bytes().map_err(|error| Refusing::fault("cannot make up an id", &error))?;
    Ok(NewJob {
        id: format!("{:032x}", u128::from_be_bytes(id)),
        trace_id: prepared.job.trace_id.as_str().to_owned(),
        language: prepared.language,
        body: json.to_vec(),
        webhook,
        context: None,
    })
}

/// Whom to tell, if that may be.
fn check_webhook(service: &Service, asked: AskedWebhook) -> Result<(String, Option<String>), Refusal> {
    let AskedWebhook { url, secret } = asked;
    let settings = &service.settings.webhooks;
    let refuse = |message: String, field| Refusal::new(RefusalCode::Malformed, message).at(field);
    if let Err(error) = Address::read(&url, settings.allow_private) {
        return Err(refuse(format!("the webhook is refused: {error}"), "webhook.url").with_hint(
            "give it a public `https:` address; the operator can allow others with `--webhook-allow-private`",
        ));
    }
    match &secret {
        None if settings.secret.is_none() => {
            Err(refuse("there is nothing to sign the webhook with".to_owned(), "webhook.secret")
                .with_hint("give it a `secret`, with which its receiver can tell that it is from here"))
        }
        Some(secret) if !(1..=LONGEST_SECRET).contains(&secret.len()) => {
            let expected = Some(format!("1 to {LONGEST_SECRET} bytes"));
            Err(Refusal { expected, ..refuse("the secret is empty or too long".to_owned(), "webhook.secret") })
        }
        _ => Ok((url, secret)),
    }
}

/// All jobs of a batch, or what is wrong with those that something is wrong with.
fn read_batch(service: &Service, caller: &Caller, json: &[u8]) -> Result<Vec<NewJob>, No> {
    let BatchRequest { jobs } = BatchRequest::from_json(json).map_err(Refusing::from)?;
    let (mut new, mut refused) = (Vec::with_capacity(jobs.len()), Vec::new());
    for (index, job) in jobs.iter().enumerate() {
        match read(service, caller, job.get().as_bytes()) {
            Ok(job) => new.push(job),
            Err(refusing) => refused.push(RefusedItem { index, error: *refusing.refusal }),
        }
    }
    if refused.is_empty() { Ok(new) } else { Err(No::Items(refused, jobs.len())) }
}

pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let is_visible = |text: &&str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let text = key.to_str().ok().filter(|text| (1..=LONGEST_KEY).contains(&text.len())).filter(is_visible);
    match (text, keys.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        _ => Err(Refusal {
            expected: Some("one, of 1 to 255 visible characters".to_owned()),
            ..Refusal::new(RefusalCode::Malformed, "the `Idempotency-Key` is malformed").at("Idempotency-Key")
        }),
    }
}

/// What makes two requests the same.
fn fingerprint(sent: Sent, body: &[u8]) -> [u8; 32] {
    let kind: &[u8] = match sent {
        Sent::One => b"job\0",
        Sent::Batch => b"batch\0",
    };
    *blake3::Hasher::new().update(kind).update(body).finalize().as_bytes()
}

fn answer(service: &Service, uri: &Uri, accepted: Result<OnDisk, No>, sent: Sent) -> Response {
    let form = Form::of(uri.path());
    let OnDisk { answer: body, is_replayed } = match accepted {
        Ok(on_disk) => on_disk,
        Err(no) => return no.into_response(service, form),
    };
    let location = match sent {
        Sent::One => location(uri, &body),
        Sent::Batch => None,
    };
    let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut response = (StatusCode::ACCEPTED, [json], body).into_response();
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if is_replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// Where a job is found, under the address that it was sent to.
fn location(uri: &Uri, body: &str) -> Option<HeaderValue> {
    let id = serde_json::from_str::<Value>(body).ok()?.get("id")?.as_str()?.to_owned();
    HeaderValue::try_from(format!("{}/{id}", uri.path().trim_end_matches('/'))).ok()
}

impl No {
    fn into_response(self, service: &Service, form: Form) -> Response {
        match self {
            No::Refused(refusing) => {
                service.metrics.refused(refusing.refusal.code);
                refusing.into_response(form)
            }
            No::Items(refused, of) => {
                let Some(first) = refused.first() else { return Refusing::not_found().into_response(form) };
                service.metrics.refused(first.error.code);
                let message = format!(
                    "{} of {of} jobs are refused, so none was accepted; the first is number {}: {}",
                    refused.len(),
                    first.index,
                    first.error.message
                );
                let field = first.error.field.as_ref().map_or(String::new(), |field| format!(".{field}"));
                let whole = Refusal { message, ..first.error.clone() }.at(format!("jobs[{}]{field}", first.index));
                let mut body = form.refused(json!(whole), None);
                body["refused"] = json!(refused);
                (status(first.error.code), Json(body)).into_response()
            }
        }
    }
}
