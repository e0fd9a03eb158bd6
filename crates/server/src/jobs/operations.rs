//! What is said of the addresses of jobs.

use axum::http::StatusCode;
use firebox_api::{
    BatchRequest, BatchView, JobRequest, JobStatus, JobView, JobsPage, RefusalCode, Schemas, StatusEvent,
};
use serde_json::{Value, json};

use super::as_json;
use super::query::TIME;
use crate::answer::Form;
use crate::execute::{REFUSALS, kinds_of_events};
use crate::openapi::outcome::{hello, outcome};
use crate::openapi::{Answer, Content, Operation};

const ID: &str = "0123456789abcdef0123456789abcdef";
/// What can be wrong with looking at a job.
const OF_ONE: [RefusalCode; 5] = [
    RefusalCode::Malformed,
    RefusalCode::NotFound,
    RefusalCode::JobsUnavailable,
    RefusalCode::ShuttingDown,
    RefusalCode::Fault,
];
/// What can be wrong with a list of them.
const OF_ALL: [RefusalCode; 4] =
    [RefusalCode::Malformed, RefusalCode::JobsUnavailable, RefusalCode::ShuttingDown, RefusalCode::Fault];

pub(crate) fn submit() -> Operation {
    let about = "Answers as soon as the job is on disk, and runs it in turn. A job that the service dies of is begun again, \
        three times at most. With a `webhook`, its end is told elsewhere, signed.";
    let accepted = Answer::new(StatusCode::ACCEPTED, "It is on disk, and will come to one end.")
        .with(Content::answered::<JobView>().example("queued", "It waits", view(JobStatus::Queued)))
        .header("Location", "Where the job is.")
        .sometimes("Idempotency-Replayed", "`true` where the key came before: this is what was answered then.")
        .link("look", "look_at_job", "id", "$response.body#/id")
        .link("follow", "follow_job", "id", "$response.body#/id")
        .link("cancel", "cancel_job", "id", "$response.body#/id");
    once(Operation::new("submit_job", "Have a job run without waiting for it", about))
        .takes(Content::sent::<JobRequest>().example("hello", "A program in one file", hello()))
        .answers(accepted)
        .refuses(&REFUSALS)
        .refuses(&[RefusalCode::IdempotencyConflict, RefusalCode::JobsUnavailable])
}

pub(crate) fn submit_batch() -> Operation {
    let about = "Up to 1,000 jobs, of which all are accepted or none. Where some are refused, `refused` says why, by \
        their place.";
    let accepted = Answer::new(StatusCode::ACCEPTED, "All of them are on disk.")
        .with(Content::answered::<BatchView>().example(
            "one",
            "One that waits",
            json!({"jobs": [view(JobStatus::Queued)]}),
        ))
        .sometimes("Idempotency-Replayed", "`true` where the key came before: this is what was answered then.");
    once(Operation::new("submit_jobs", "Have many jobs run", about))
        .takes(Content::sent::<BatchRequest>().example("one", "A batch of one", json!({"jobs": [hello()]})))
        .answers(accepted)
        .refuses(&REFUSALS)
        .refuses(&[RefusalCode::IdempotencyConflict, RefusalCode::JobsUnavailable])
}

pub(crate) fn look() -> Operation {
    let wait = "How long to wait for the job's end, at most 60 s. When it is over the job is told as it is.";
    let job = Content::answered::<JobView>().example("done", "It has its outcome", view(JobStatus::Done));
    of_one(Operation::new(
        "look_at_job",
        "Look at a job",
        "What became of a job; with `wait`, as soon as it has ended.",
    ))
    .given("query", "wait", wait, json!({"type": "string", "pattern": TIME, "examples": ["30s"]}))
    .answers(Answer::new(StatusCode::OK, "The job.").with(job))
    .refuses(&OF_ONE)
}

pub(crate) fn cancel() -> Operation {
    let about = "A job that waits will not run, one that runs is stopped, and its cell is gone before this answers. One that has \
        ended stays as it is, and is told.";
    let job = Content::answered::<JobView>().example("cancelled", "It never ran", view(JobStatus::Cancelled));
    of_one(Operation::new("cancel_job", "Cancel a job", about))
        .answers(Answer::new(StatusCode::OK, "The job as it is now.").with(job))
        .refuses(&OF_ONE)
}

pub(crate) fn follow() -> Operation {
    let about = "What happens to a job, from its beginning: `status`, `output` as it is written, and at last the `outcome` or an \
        `error`. Each has an `id`; a client that comes back says the last one it heard. What was told stays the same, \
        also when the job has ended or the service was started anew, but for the output of a job that is begun again.";
    of_one(Operation::new("follow_job", "Follow a job", about))
        .given(
            "header",
            "Last-Event-ID",
            "The `id` of the last event that was heard.",
            json!({"type": "integer", "minimum": 0, "maximum": super::follow::MOST_EVENTS}),
        )
        .answers(
            Answer::new(StatusCode::OK, "What happens, until the job has ended.").with(Content::events(kinds).example(
                "events",
                "A short life",
                events().into(),
            )),
        )
        .answers(Answer::new(StatusCode::NO_CONTENT, "The job has ended, and all of it was heard."))
        .refuses(&OF_ONE)
}

pub(crate) fn list() -> Operation {
    let statuses = JobStatus::ALL.map(JobStatus::word);
    let page = json!({"jobs": [view(JobStatus::Queued)], "next": null});
    Operation::new("list_jobs", "List your jobs", "Newest first, in pages, without their outcomes.")
        .given("query", "status", "Only those of this status.", json!({"type": "string", "enum": statuses}))
        .given("query", "limit", "How many.", json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}))
        .given(
            "query",
            "after",
            "What the page before has as `next`.",
            json!({"type": "string", "pattern": "^AQ[A-Za-z0-9_-]{10}$"}),
        )
        .answers(
            Answer::new(StatusCode::OK, "A page.")
                .with(Content::answered::<JobsPage>().example("one", "One job", page)),
        )
        .refuses(&OF_ALL)
}

fn once(operation: Operation) -> Operation {
    let about =
        "Makes sending again safe: for 24 hours, the same key with the same body is answered as it was the first time.";
    let key = json!({"type": "string", "pattern": "^[!-~]{1,255}$"});
    operation.given("header", "Idempotency-Key", about, key)
}

fn of_one(operation: Operation) -> Operation {
    let id = json!({"type": "string", "pattern": "^[0-9a-f]{32}$", "examples": [ID]});
    operation.given("path", "id", "What the job was given as `id`.", id)
}

/// What is heard of a job's life, besides what anybody hears who waits for one.
fn kinds(schemas: &mut Schemas, form: Form) -> Value {
    let mut kinds = kinds_of_events(schemas, form);
    kinds["x-events"]["status"] = schemas.answered::<StatusEvent>();
    kinds
}

fn view(status: JobStatus) -> Value {
    let mut view = json!({
        "id": ID,
        "trace_id": "rust-hello-001",
        "lang": "rust",
        "status": status,
        "attempts": u8::from(status == JobStatus::Done),
        "created_at": "2026-01-31T12:00:00.000Z",
        "started_at": null,
        "ended_at": null,
    });
    if status == JobStatus::Done {
        view["outcome"] = outcome();
        view["started_at"] = "2026-01-31T12:00:00.002Z".into();
    }
    if status.is_end() {
        view["ended_at"] = "2026-01-31T12:00:00.130Z".into();
    }
    view
}

fn events() -> String {
    let status = |number: u32, status, attempt| {
        format!("id: {number}\nevent: status\ndata: {}\n\n", as_json(&StatusEvent { status, attempt }))
    };
    let (queued, running) = (status(1, JobStatus::Queued, 0), status(2, JobStatus::Running, 1));
    format!("{queued}{running}{}id: 4\nevent: outcome\ndata: {}\n\n", status(3, JobStatus::Done, 1), outcome())
}
