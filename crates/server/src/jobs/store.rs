//! Jobs in the database: what every change of one is in SQL. Each function is one change or one look, whole by itself.
//!
//! ```text
//! accept --> queued --claim--> running --finish--> done, failed, cancelled --> forgotten (see `retention`)
//!              ^ |                |
//!              | `--cancel--------+---------------> cancelled
//!              `-----put_back, recover (a stop, a crash)
//! ```

use firebox_api::{Delivery, JobStatus, JobView, Refusal, RefusalCode, StatusEvent};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use serde_json::value::RawValue;

use super::idempotency::{Once, answered, remember, remembers_more};
use super::moment::{now_ms, now_us, written};
use crate::admission::Bounds;
use crate::spans::TraceContext;

/// How many times a job is begun at most, when each time we die meanwhile.
pub(super) const MOST_ATTEMPTS: u32 = 3;
/// How many events are read at once: in memory for each client that looks on.
const EVENTS_AT_ONCE: usize = 8;

/// A job that is to be accepted.
#[derive(Debug)]
pub(super) struct NewJob {
    pub(super) id: String,
    pub(super) trace_id: String,
    pub(super) language: String,
    pub(super) body: Vec<u8>,
    pub(super) webhook: Option<(String, Option<String>)>,
    pub(super) context: Option<TraceContext>,
}

/// What may be queued.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) jobs: u64,
    pub(super) bytes: u64,
    /// How many `Idempotency-Key`s are remembered, and what their answers hold.
    pub(super) keys: u64,
    pub(super) keys_bytes: u64,
    /// What the caller may have of it.
    pub(super) bounds: Bounds,
}

/// What became of jobs that were to be accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// They are on disk.
    Now(String),
    /// They were accepted before, and this was the answer.
    Before(String),
    /// The key came before, with something else.
    Conflict,
    /// There is no room for them.
    Full,
    /// Others still find room: the caller has as much of it as is left.
    Shared,
    /// The caller may have no more jobs wait.
    Bound,
    /// No more `Idempotency-Key`s of this caller are remembered.
    Keys,
}

/// A job whose turn it is.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) number: i64,
    pub(super) id: String,
    pub(super) trace_id: String,
    pub(super) language: String,
    pub(super) body: Vec<u8>,
    pub(super) context: Option<TraceContext>,
}

/// What came of a job.
#[derive(Debug)]
pub(super) enum End {
    Done {
        outcome: String,
    },
    Failed {
        error: String,
    },
    /// With what it had written, if it ran.
    Cancelled {
        outcome: Option<String>,
    },
}

impl End {
    fn status(&self) -> JobStatus {
        match self {
            End::Done { .. } => JobStatus::Done,
            End::Failed { .. } => JobStatus::Failed,
            End::Cancelled { .. } => JobStatus::Cancelled,
        }
    }

    fn answer(&self) -> Option<(&'static str, &str)> {
        match self {
            End::Done { outcome } | End::Cancelled { outcome: Some(outcome) } => Some(("outcome", outcome)),
            End::Failed { error } => Some(("error", error)),
            End::Cancelled { outcome: None } => None,
        }
    }
}

/// Something that a client that looks on is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) number: i64,
    pub(super) kind: String,
    pub(super) data: String,
}

/// A job as it is found by its id.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) number: i64,
    pub(super) view: JobView,
}

/// What came of wanting to cancel a job.
#[derive(Debug)]
pub(super) enum Cancelled {
    /// It had not begun, and never will; or it had ended before.
    Ended(Found),
    /// It runs: whoever runs it has to be told.
    Runs(Found),
}

/// How many jobs there are of a status, and what they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) kind: String,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// Takes jobs in, all or none. `answer` says them to the client.
pub(super) fn accept(
    connection: &Connection,
    caller: &str,
    jobs: Vec<NewJob>,
    once: Option<Once>,
    room: Room,
    answer: impl FnOnce(Vec<JobView>) -> String,
) -> Result<Accepted> {
    // It may have come twice at the same time.
    if let Some(before) = once.as_ref().map(|once| answered(connection, caller, once)).transpose()?.flatten() {
        return Ok(before);
    }
    let queued = total(connection, JobStatus::Queued.word())?;
    let own = of_caller(connection, caller, JobStatus::Queued.word())?;
    let count = jobs.len() as u64;
    let bytes: u64 = jobs.iter().map(|job| job.body.len() as u64).sum();
    if room.jobs < queued.count + count || room.bytes < queued.bytes + bytes {
        return Ok(Accepted::Full);
    }
    if room.bounds.waiting.is_some_and(|most| (most as u64) < own.count + count) {
        return Ok(Accepted::Bound);
    }
    // Nobody takes more of the queue than is left to others.
    if room.bounds.shares
        && (room.jobs - queued.count < own.count + count || room.bytes - queued.bytes < own.bytes + bytes)
    {
        return Ok(Accepted::Shared);
    }
    if once.is_some() && !remembers_more(connection, caller, room)? {
        return Ok(Accepted::Keys);
    }
    let views = jobs.into_iter().map(|job| insert(connection, caller, job)).collect::<Result<_>>()?;
    let answer = answer(views);
    if let Some(once) = once {
        remember(connection, caller, once, &answer)?;
    }
    Ok(Accepted::Now(answer))
}

fn insert(connection: &Connection, caller: &str, job: NewJob) -> Result<JobView> {
    let NewJob { id, trace_id, language, body, webhook, context } = job;
    let last: Option<i64> =
        connection.prepare_cached("SELECT max(number) FROM jobs")?.query_row([], |row| row.get(0))?;
    let number = now_us().max(last.map_or(0, |last| last + 1));
    connection
        .prepare_cached(
            "INSERT INTO jobs (number, id, caller, trace_id, language, status, size) VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6)",
        )?
        .execute(params![number, id, caller, trace_id, language, body.len() as i64])?;
    connection.prepare_cached("INSERT INTO requests VALUES (?1, ?2, ?3)")?.execute(params![
        number,
        body,
        context.map(|context| context.to_string())
    ])?;
    tell_status(connection, number, JobStatus::Queued, 0)?;
    if let Some((url, secret)) = &webhook {
        connection
            .prepare_cached(
                "INSERT INTO deliveries (job, caller, url, secret, status) VALUES (?1, ?2, ?3, ?4, 'waiting')",
            )?
            .execute(params![number, caller, url, secret])?;
    }
    Ok(JobView {
        id,
        trace_id,
        lang: language,
        status: JobStatus::Queued,
        attempts: 0,
        created_at: written(number / 1000),
        started_at: None,
        ended_at: None,
        outcome: None,
        error: None,
        webhook: webhook.map(|(url, _)| Delivery {
            url,
            status: "waiting".to_owned(),
            attempts: 0,
            next_at: None,
            last_error: None,
        }),
    })
}

/// The caller's oldest job that waits, which runs from here on.
pub(super) fn claim(connection: &Connection, caller: &str) -> Result<Option<Claimed>> {
    let next: Option<i64> = connection
        .prepare_cached("SELECT number FROM jobs WHERE status = 'queued' AND caller = ?1 ORDER BY number LIMIT 1")?
        .query_row([caller], |row| row.get(0))
        .optional()?;
    let Some(number) = next else { return Ok(None) };
    let (id, trace_id, language, attempts) = connection
        .prepare_cached(
            "UPDATE jobs SET status = 'running', attempts = attempts + 1, started_ms = ?2 WHERE number = ?1
             RETURNING id, trace_id, language, attempts",
        )?
        .query_row(params![number, now_ms()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    // What it wrote when it was begun before, it writes again.
    connection.prepare_cached("DELETE FROM events WHERE job = ?1 AND kind = 'output'")?.execute([number])?;
    tell_status(connection, number, JobStatus::Running, attempts)?;
    let (body, trace): (_, Option<String>) = connection
        .prepare_cached("SELECT body, trace FROM requests WHERE job = ?1")?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let context = trace.as_deref().and_then(TraceContext::read);
    Ok(Some(Claimed { number, id, trace_id, language, body, context }))
}

/// Adds what a job that runs has written.
pub(super) fn record(connection: &Connection, number: i64, output: &[String]) -> Result<()> {
    output.iter().try_for_each(|data| tell(connection, number, "output", Some(data)))
}

/// Ends a job that runs.
pub(super) fn finish(connection: &Connection, number: i64, end: &End) -> Result<()> {
    settle(connection, number, end, "running")
}

/// Has a job that runs wait again. That it was begun does not count: it was we who stopped it, on purpose.
pub(super) fn put_back(connection: &Connection, number: i64) -> Result<()> {
    wait_again(connection, number, 1)
}

fn wait_again(connection: &Connection, number: i64, uncounted: u32) -> Result<()> {
    let attempts: Option<u32> = connection
        .prepare_cached(
            "UPDATE jobs SET status = 'queued', attempts = attempts - ?2, started_ms = NULL
             WHERE number = ?1 AND status = 'running' RETURNING attempts",
        )?
        .query_row(params![number, uncounted], |row| row.get(0))
        .optional()?;
    attempts.map_or(Ok(()), |attempts| tell_status(connection, number, JobStatus::Queued, attempts))
}

/// Ends or queues again what ran when the service died. Tells how many of each.
pub(super) fn recover(connection: &Connection) -> Result<(usize, usize)> {
    let mut cut = connection.prepare("SELECT number, attempts FROM jobs WHERE status = 'running'")?;
    let cut: Vec<(i64, u32)> = cut.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_>>()?;
    let (mut again, mut failed) = (0, 0);
    for (number, attempts) in cut {
        if attempts < MOST_ATTEMPTS {
            wait_again(connection, number, 0)?;
            again += 1;
        } else {
            finish(connection, number, &End::Failed { error: super::as_json(&interrupted(attempts)) })?;
            failed += 1;
        }
    }
    Ok((again, failed))
}

/// What is said of a job that the service died of.
pub(crate) fn interrupted(attempts: u32) -> Refusal {
    Refusal::new(RefusalCode::Interrupted, format!("the service died while the job ran, {attempts} times"))
        .with_hint("the service's log knows more; send the job again if it is not what the service died of")
}

/// Cancels a caller's job, as far as that is done here. None if there is none of this id.
pub(super) fn cancel(connection: &Connection, caller: &str, id: &str) -> Result<Option<Cancelled>> {
    let Some(found) = look(connection, caller, id)? else { return Ok(None) };
    match found.view.status {
        JobStatus::Running => Ok(Some(Cancelled::Runs(found))),
        JobStatus::Queued => {
            settle(connection, found.number, &End::Cancelled { outcome: None }, "queued")?;
            Ok(look(connection, caller, id)?.map(Cancelled::Ended))
        }
        _ => Ok(Some(Cancelled::Ended(found))),
    }
}

fn settle(connection: &Connection, number: i64, end: &End, from: &str) -> Result<()> {
    let status = end.status();
    let attempts: Option<u32> = connection
        .prepare_cached(
            "UPDATE jobs SET status = ?2, ended_ms = ?3 WHERE number = ?1 AND status = ?4 RETURNING attempts",
        )?
        .query_row(params![number, status.word(), now_ms(), from], |row| row.get(0))
        .optional()?;
    let Some(attempts) = attempts else { return Ok(()) };
    connection.prepare_cached("DELETE FROM requests WHERE job = ?1")?.execute([number])?;
    tell_status(connection, number, status, attempts)?;
    if let Some((kind, body)) = end.answer() {
        connection.prepare_cached("INSERT INTO answers VALUES (?1, ?2, ?3)")?.execute(params![number, kind, body])?;
        tell(connection, number, kind, None)?;
    }
    connection
        .prepare_cached(
            "UPDATE jobs SET size = coalesce((SELECT octet_length(body) FROM answers WHERE job = ?1), 0)
                + coalesce((SELECT sum(octet_length(data)) FROM events WHERE job = ?1), 0) WHERE number = ?1",
        )?
        .execute([number])?;
    connection
        .prepare_cached("UPDATE deliveries SET status = 'due', first_ms = ?2, next_ms = ?2 WHERE job = ?1")?
        .execute(params![number, now_ms()])?;
    Ok(())
}

fn tell_status(connection: &Connection, number: i64, status: JobStatus, attempt: u32) -> Result<()> {
    tell(connection, number, "status", Some(&super::as_json(&StatusEvent { status, attempt })))
}

fn tell(connection: &Connection, number: i64, kind: &str, data: Option<&str>) -> Result<()> {
    let event: i64 = connection
        .prepare_cached("UPDATE jobs SET last_event = last_event + 1 WHERE number = ?1 RETURNING last_event")?
        .query_row([number], |row| row.get(0))?;
    connection
        .prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![number, event, kind, data])?;
    Ok(())
}

/// A caller's job, with all that is known of it.
pub(super) fn look(connection: &Connection, caller: &str, id: &str) -> Result<Option<Found>> {
    look_within(connection, caller, id, u64::MAX)
}

/// The same without what came of it, where that has more bytes.
pub(super) fn look_within(connection: &Connection, caller: &str, id: &str, most: u64) -> Result<Option<Found>> {
    let sql = format!(
        "SELECT {COLUMNS}, answers.kind, answers.body {TABLES}
         LEFT JOIN answers ON answers.job = jobs.number AND octet_length(answers.body) <= ?3
         WHERE id = ?1 AND jobs.caller = ?2"
    );
    connection
        .prepare_cached(&sql)?
        .query_row(params![id, caller, i64::try_from(most).unwrap_or(i64::MAX)], |row| {
            let mut found = found(row)?;
            let kind: Option<String> = row.get(13)?;
            if let Some(kind) = kind {
                let body = RawValue::from_string(row.get(14)?).ok();
                match kind.as_str() {
                    "outcome" => found.view.outcome = body,
                    _ => found.view.error = body,
                }
            }
            Ok(found)
        })
        .optional()
}

/// A caller's jobs behind this one, newest first, without what came of them.
pub(super) fn list(
    connection: &Connection,
    caller: &str,
    status: Option<JobStatus>,
    behind: i64,
    most: usize,
) -> Result<Vec<Found>> {
    // The one without a status goes through all of the caller's jobs in their order, and no further than it has to.
    let which = if status.is_some() { "AND jobs.status = ?4" } else { "AND ?4 IS NULL" };
    let sql = format!(
        "SELECT {COLUMNS} {TABLES} WHERE jobs.caller = ?1 AND number < ?2 {which} ORDER BY number DESC LIMIT ?3"
    );
    let mut jobs = connection.prepare_cached(&sql)?;
    jobs.query_map(params![caller, behind, most as i64, status.map(JobStatus::word)], found)?.collect()
}

const COLUMNS: &str = "number, id, trace_id, language, jobs.status, jobs.attempts, started_ms, ended_ms, \
                       url, deliveries.status, deliveries.attempts, next_ms, last_error";
const TABLES: &str = "FROM jobs LEFT JOIN deliveries ON deliveries.job = jobs.number";

fn found(row: &Row<'_>) -> Result<Found> {
    let status: String = row.get(4)?;
    let at = |column: usize| row.get::<_, Option<i64>>(column).map(|ms| ms.map(written));
    let url: Option<String> = row.get(8)?;
    let number = row.get(0)?;
    let webhook = match url {
        None => None,
        Some(url) => Some(Delivery {
            url,
            status: row.get(9)?,
            attempts: row.get(10)?,
            next_at: at(11)?,
            last_error: row.get(12)?,
        }),
    };
    let view = JobView {
        id: row.get(1)?,
        trace_id: row.get(2)?,
        lang: row.get(3)?,
        // The table has no others.
        status: JobStatus::of(&status).unwrap_or(JobStatus::Failed),
        attempts: row.get(5)?,
        created_at: written(number / 1000),
        started_at: at(6)?,
        ended_at: at(7)?,
        outcome: None,
        error: None,
        webhook,
    };
    Ok(Found { number, view })
}

/// What is told of a job behind this event, some of it; and whether that was all there will ever be.
pub(super) fn events(connection: &Connection, number: i64, behind: i64) -> Result<(Vec<Event>, bool)> {
    let state: Option<(String, i64)> = connection
        .prepare_cached("SELECT status, last_event FROM jobs WHERE number = ?1")?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    // It may have been forgotten meanwhile.
    let Some((status, last)) = state else { return Ok((Vec::new(), true)) };
    let mut events = connection.prepare_cached(
        "SELECT number, events.kind, coalesce(data, answers.body, '') FROM events
         LEFT JOIN answers ON answers.job = events.job AND data IS NULL
         WHERE events.job = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
    )?;
    let event = |row: &Row<'_>| Ok(Event { number: row.get(0)?, kind: row.get(1)?, data: row.get(2)? });
    let events: Vec<Event> =
        events.query_map(params![number, behind, EVENTS_AT_ONCE as i64], event)?.collect::<Result<_>>()?;
    let told = events.last().map_or(behind, |event| event.number);
    let is_all = JobStatus::of(&status).is_none_or(JobStatus::is_end) && last <= told;
    Ok((events, is_all))
}

/// Those who have jobs waiting.
pub(super) fn callers(connection: &Connection) -> Result<Vec<String>> {
    let mut callers = connection.prepare_cached("SELECT caller FROM totals WHERE kind = 'queued' AND count > 0")?;
    callers.query_map([], |row| row.get(0))?.collect()
}

/// How many of one kind a caller has.
pub(super) fn of_caller(connection: &Connection, caller: &str, kind: &str) -> Result<Total> {
    let mut own = connection.prepare_cached("SELECT count, bytes FROM totals WHERE caller = ?1 AND kind = ?2")?;
    let own: Option<(i64, i64)> = own.query_row([caller, kind], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (count, bytes) = own.unwrap_or_default();
    Ok(Total { kind: kind.to_owned(), count: count.max(0) as u64, bytes: bytes.max(0) as u64 })
}

/// How many of one kind there are.
pub(super) fn total(connection: &Connection, kind: &str) -> Result<Total> {
    let mut total = connection
        .prepare_cached("SELECT coalesce(sum(count), 0), coalesce(sum(bytes), 0) FROM totals WHERE kind = ?1")?;
    total.query_row([kind], |row| {
        Ok(Total { kind: kind.to_owned(), count: row.get::<_, i64>(0)? as u64, bytes: row.get::<_, i64>(1)? as u64 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::in_memory;

    const BOUNDS: Bounds = Bounds { running: None, waiting: None, shares: false };
    const ROOM: Room = Room { jobs: 10, bytes: 1000, keys: 10, keys_bytes: 1000, bounds: BOUNDS };

    fn new(id: &str) -> NewJob {
        let (id, trace_id, language) = (id.to_owned(), "t".to_owned(), "bash".to_owned());
        NewJob { id, trace_id, language, body: vec![b'x'; 10], webhook: None, context: None }
    }

    fn accept_some(connection: &Connection, caller: &str, ids: &[&str]) -> Accepted {
        let jobs = ids.iter().map(|id| new(id)).collect();
        accept(connection, caller, jobs, None, ROOM, |views| views.len().to_string()).unwrap()
    }

    fn claimed(connection: &Connection, caller: &str) -> Option<String> {
        claim(connection, caller).unwrap().map(|claimed| claimed.id)
    }

    fn count(connection: &Connection, kind: &str) -> (u64, u64) {
        let Total { count, bytes, .. } = total(connection, kind).unwrap();
        (count, bytes)
    }

    #[test]
    fn what_is_anothers_is_not_there() {
        let connection = in_memory();
        accept_some(&connection, "a", &["1"]);
        assert!(look(&connection, "a", "1").unwrap().is_some());
        assert!(look(&connection, "b", "1").unwrap().is_none());
        assert!(cancel(&connection, "b", "1").unwrap().is_none());
        assert!(list(&connection, "b", None, i64::MAX, 9).unwrap().is_empty());
        assert_eq!(claimed(&connection, "b"), None);
        assert_eq!(look(&connection, "a", "1").unwrap().unwrap().view.status, JobStatus::Queued);
    }

    #[test]
    fn the_oldest_runs_first_and_what_was_put_back_keeps_its_place() {
        let connection = in_memory();
        accept_some(&connection, "a", &["1", "2", "3"]);
        let first = claim(&connection, "a").unwrap().unwrap();
        assert_eq!(first.id, "1");
        put_back(&connection, first.number).unwrap();
        assert_eq!(look(&connection, "a", "1").unwrap().unwrap().view.attempts, 0);
        for id in ["1", "2", "3"] {
            assert_eq!(claimed(&connection, "a").as_deref(), Some(id));
        }
        assert_eq!(claimed(&connection, "a"), None);
    }

    #[test]
    fn a_job_that_is_cut_short_three_times_has_failed() {
        let connection = in_memory();
        accept_some(&connection, "a", &["1"]);
        for attempt in 1..=MOST_ATTEMPTS {
            assert_eq!(claimed(&connection, "a").as_deref(), Some("1"));
            let (again, failed) = recover(&connection).unwrap();
            assert_eq!((again, failed), if attempt < MOST_ATTEMPTS { (1, 0) } else { (0, 1) });
        }
        assert_eq!(claimed(&connection, "a"), None);
        let view = look(&connection, "a", "1").unwrap().unwrap().view;
        assert!(view.error.unwrap().get().contains("interrupted"));
        assert_eq!(recover(&connection).unwrap(), (0, 0));
    }

    #[test]
    fn an_end_is_written_once() {
        let connection = in_memory();
        accept_some(&connection, "a", &["1"]);
        let number = claim(&connection, "a").unwrap().unwrap().number;
        finish(&connection, number, &End::Done { outcome: "1".to_owned() }).unwrap();
        finish(&connection, number, &End::Failed { error: "2".to_owned() }).unwrap();
        put_back(&connection, number).unwrap();
        let view = look(&connection, "a", "1").unwrap().unwrap().view;
        assert_eq!((view.status, view.outcome.unwrap().get(), view.error.is_none()), (JobStatus::Done, "1", true));
    }

    #[test]
    fn there_is_room_for_so_many_and_what_is_counted_is_there() {
        let connection = in_memory();
        let ids: Vec<String> = (0..11).map(|number| number.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        assert_eq!(accept_some(&connection, "a", &ids), Accepted::Full);
        assert_eq!(count(&connection, "queued"), (0, 0));
        assert_eq!(accept_some(&connection, "a", &ids[..6]), Accepted::Now("6".to_owned()));
        assert_eq!(accept_some(&connection, "b", &ids[6..]), Accepted::Full);
        assert_eq!(accept_some(&connection, "b", &ids[6..10]), Accepted::Now("4".to_owned()));
        assert_eq!(count(&connection, "queued"), (10, 100));
        let number = claim(&connection, "a").unwrap().unwrap().number;
        assert_eq!((count(&connection, "queued"), count(&connection, "running")), ((9, 90), (1, 10)));
        finish(&connection, number, &End::Done { outcome: "12345".to_owned() }).unwrap();
        let (done, bytes) = count(&connection, "done");
        assert!(done == 1 && bytes > 5, "{bytes}");
        connection.execute("DELETE FROM jobs", []).unwrap();
        for table in ["totals", "events", "requests", "answers"] {
            let left: i64 =
                connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
            assert_eq!(left, 0, "{table}");
        }
        assert_eq!(callers(&connection).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_caller_that_may_have_so_many_waiting_leaves_room_to_others() {
        let connection = in_memory();
        let bounded = |caller, id, waiting| {
            let room = Room { bounds: Bounds { waiting: Some(waiting), ..BOUNDS }, ..ROOM };
            accept(&connection, caller, vec![new(id)], None, room, |_| String::new()).unwrap()
        };
        assert_eq!(bounded("a", "1", 1), Accepted::Now(String::new()));
        assert_eq!(bounded("a", "2", 1), Accepted::Bound);
        assert_eq!(bounded("b", "3", 1), Accepted::Now(String::new()));
        assert!(claim(&connection, "a").unwrap().is_some());
        assert_eq!(bounded("a", "4", 1), Accepted::Now(String::new()));
    }

    #[test]
    fn nobody_takes_more_bytes_of_the_queue_than_are_left_to_others() {
        let connection = in_memory();
        let room = Room { bytes: 100, bounds: Bounds { shares: true, ..BOUNDS }, ..ROOM };
        let accept = |caller, id, size| {
            let job = NewJob { body: vec![b'x'; size], ..new(id) };
            accept(&connection, caller, vec![job], None, room, |_| String::new()).unwrap()
        };
        let now = || Accepted::Now(String::new());
        assert_eq!(accept("a", "1", 101), Accepted::Full);
        assert_eq!(accept("a", "2", 50), now());
        assert_eq!(accept("a", "3", 1), Accepted::Shared);
        assert_eq!(accept("b", "4", 50), now());
        assert_eq!(accept("c", "5", 1), Accepted::Full);
    }

    #[test]
    fn keys_are_remembered_for_everybody() {
        let connection = in_memory();
        let accept = |caller: &str, key: &str, room| {
            let once = Once { key: key.to_owned(), fingerprint: [0; 32] };
            let job = new(&format!("{caller}{key}"));
            accept(&connection, caller, vec![job], Some(once), room, |_| "12345".to_owned()).unwrap()
        };
        let now = || Accepted::Now("12345".to_owned());
        let bounds = Bounds { shares: true, ..BOUNDS };
        let by_count = Room { keys: 2, bounds, ..ROOM };
        assert_eq!(accept("a", "1", by_count), now());
        assert_eq!(accept("a", "2", by_count), Accepted::Keys);
        assert_eq!(accept("b", "1", by_count), now());
        assert_eq!(accept("c", "1", Room { keys: 2, ..ROOM }), Accepted::Keys);
        let by_bytes = Room { keys_bytes: 15, bounds, ..ROOM };
        assert_eq!(accept("a", "3", by_bytes), Accepted::Keys);
        assert_eq!(accept("c", "1", by_bytes), now());
        assert_eq!(accept("c", "2", Room { keys_bytes: 15, ..ROOM }), Accepted::Keys);
        assert_eq!(
            answered(&connection, "a", &Once { key: "1".to_owned(), fingerprint: [0; 32] }).unwrap().unwrap(),
            Accepted::Before("12345".to_owned())
        );
    }

    #[test]
    fn what_was_accepted_once_is_answered_before_anything_else_is_looked_at() {
        let connection = in_memory();
        let once = |byte| Once { key: "k".to_owned(), fingerprint: [byte; 32] };
        let none = Room { jobs: 0, ..ROOM };
        let accept = |byte, room| {
            accept(&connection, "a", vec![new("1")], Some(once(byte)), room, |_| "said".to_owned()).unwrap()
        };
        assert_eq!(answered(&connection, "a", &once(1)).unwrap(), None);
        assert_eq!(accept(1, ROOM), Accepted::Now("said".to_owned()));
        for before in [answered(&connection, "a", &once(1)).unwrap(), Some(accept(1, none))] {
            assert_eq!(before, Some(Accepted::Before("said".to_owned())));
        }
        for other in [answered(&connection, "a", &once(2)).unwrap(), Some(accept(2, none))] {
            assert_eq!(other, Some(Accepted::Conflict));
        }
        assert_eq!(answered(&connection, "b", &once(1)).unwrap(), None);
    }

    #[test]
    fn numbers_go_up_whatever_the_clock_does() {
        let connection = in_memory();
        accept_some(&connection, "a", &["1"]);
        connection.execute_batch("PRAGMA foreign_keys = OFF; UPDATE jobs SET number = 9000000000000000").unwrap();
        accept_some(&connection, "a", &["2", "3"]);
        let listed = list(&connection, "a", None, i64::MAX, 9).unwrap();
        assert_eq!(listed.iter().map(|found| found.view.id.as_str()).collect::<Vec<_>>(), ["3", "2", "1"]);
    }
}
