//! Who is to be told that a job has ended, in the database.

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::moment::now_ms;
use super::{Jobs, as_json, store};
use crate::state::StateError;

/// How long a try is left alone. If nobody has said by then what became of it, the service has died, and there is another.
const LEASE_MS: i64 = 30_000;

/// A webhook that is to be sent now.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) number: i64,
    pub(crate) id: String,
    pub(crate) caller: String,
    pub(crate) trace_id: String,
    pub(crate) url: String,
    pub(crate) secret: Option<String>,
    /// This one included.
    pub(crate) attempts: u32,
    pub(crate) first_ms: i64,
    /// What is sent.
    pub(crate) body: String,
}

/// What became of a try.
#[derive(Debug)]
pub(crate) enum End {
    Delivered,
    Again { why: String, at_ms: i64 },
    GivenUp { why: String },
}

impl Jobs {
    /// Takes some that are due, of callers who are not busy.
    pub(crate) async fn take_due(&self, busy: Vec<String>, most: usize) -> Result<Vec<Due>, StateError> {
        let busy = as_json(&busy);
        let now = now_ms();
        let look = move |connection: &Connection| {
            let mut due = connection.prepare_cached(
                "SELECT job FROM deliveries JOIN jobs ON jobs.number = job
                 WHERE deliveries.status = 'due' AND next_ms <= ?1 AND caller NOT IN (SELECT value FROM json_each(?2))
                 ORDER BY next_ms LIMIT ?3",
            )?;
            due.query_map(params![now, busy, most as i64], |row| row.get(0))?.collect::<Result<Vec<i64>>>()
        };
        // Mostly there is none, and nothing has to be written to know that.
        let due = self.database.read(look).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let take = move |connection: &Connection| {
            let taken = due.iter().map(|&number| take(connection, number, now));
            taken.filter_map(Result::transpose).collect()
        };
        self.database.write(take).await
    }

    pub(crate) async fn end_delivery(&self, number: i64, end: End) -> Result<(), StateError> {
        self.database.write(move |connection| finish(connection, number, &end)).await
    }

    /// Returns when there may be something to send.
    pub(crate) async fn something_is_due(&self) {
        self.due.notified().await;
    }
}

fn take(connection: &Connection, number: i64, now: i64) -> Result<Option<Due>> {
    let taken = connection
        .prepare_cached(
            "UPDATE deliveries SET attempts = attempts + 1, next_ms = ?2 WHERE job = ?1 AND status = 'due'
             RETURNING url, secret, attempts, first_ms",
        )?
        .query_row(params![number, now + LEASE_MS], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<i64>>(3)?))
        })
        .optional()?;
    let Some((url, secret, attempts, first_ms)) = taken else { return Ok(None) };
    let (id, caller): (String, String) = connection
        .prepare_cached("SELECT id, caller FROM jobs WHERE number = ?1")?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(mut found) = store::look(connection, &caller, &id)? else { return Ok(None) };
    // Where it is sent to, its receiver knows.
    found.view.webhook = None;
    let trace_id = found.view.trace_id.clone();
    let body = as_json(&found.view);
    Ok(Some(Due { number, id, caller, trace_id, url, secret, attempts, first_ms: first_ms.unwrap_or(now), body }))
}

fn finish(connection: &Connection, number: i64, end: &End) -> Result<()> {
    let (status, next, why) = match end {
        End::Delivered => ("delivered", None, None),
        End::Again { why, at_ms } => ("due", Some(*at_ms), Some(why)),
        End::GivenUp { why } => ("failed", None, Some(why)),
    };
    connection
        .prepare_cached(
            "UPDATE deliveries SET status = ?2, next_ms = ?3, last_error = ?4,
             secret = CASE WHEN ?2 = 'due' THEN secret END WHERE job = ?1",
        )?
        .execute(params![number, status, next, why])?;
    Ok(())
}
