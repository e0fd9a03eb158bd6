//! Who is to be told that a job has ended, in the database.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Result, params};
use serde::Serialize;

use super::moment::now_ms;
use super::{Jobs, as_json, store};
use crate::state::StateError;

/// How long a try is left alone. If nobody has said by then what became of it, the service has died, and there is another.
const LEASE_MS: i64 = 30_000;
/// How large an outcome may be to be sent along: so much is in memory for each that is on its way.
const MOST: u64 = 8 << 20;

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
}

/// What became of a try.
#[derive(Debug)]
pub(crate) enum End {
    Delivered,
    Again { why: String, at_ms: i64 },
    GivenUp { why: String },
}

/// What is sent: the job, and before that whose it is, so that nobody has another's taken for their own.
#[derive(Debug, Serialize)]
struct Told<'a> {
    caller: &'a str,
    #[serde(flatten)]
    job: firebox_api::JobView,
}

impl Jobs {
    /// Takes some that are due: so many, and with those that are on their way so many of one caller at most.
    pub(crate) async fn take_due(
        &self,
        on_their_way: HashMap<String, usize>,
        most: usize,
        of_one: usize,
    ) -> Result<Vec<Due>, StateError> {
        let now = now_ms();
        // Mostly there is none, and nothing has to be written to know that.
        let due = self.database.read(move |connection| due(connection, now, &on_their_way, most, of_one)).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let take = move |connection: &Connection| {
            let taken = due.iter().map(|&number| take(connection, number, now));
            taken.filter_map(Result::transpose).collect()
        };
        self.database.write(take).await
    }

    /// What is to be sent; none if the job has been forgotten meanwhile.
    pub(crate) async fn letter(&self, caller: &str, id: &str) -> Result<Option<String>, StateError> {
        let (caller, id) = (caller.to_owned(), id.to_owned());
        self.database.read(move |connection| letter(connection, &caller, &id, MOST)).await
    }

    pub(crate) async fn end_delivery(&self, number: i64, end: End) -> Result<(), StateError> {
        self.database.write(move |connection| finish(connection, number, &end)).await
    }

    /// Returns when there may be something to send.
    pub(crate) async fn something_is_due(&self) {
        self.due.notified().await;
    }
}

/// Those that are due, of the callers first who have least on their way.
fn due(
    connection: &Connection,
    now: i64,
    on_their_way: &HashMap<String, usize>,
    most: usize,
    of_one: usize,
) -> Result<Vec<i64>> {
    let mut of_caller = connection.prepare_cached(
        "SELECT next_ms, job FROM deliveries WHERE status = 'due' AND caller = ?1 AND next_ms <= ?2
         ORDER BY next_ms LIMIT ?3",
    )?;
    let mut due = Vec::new();
    for caller in callers(connection)? {
        let has = on_their_way.get(&caller).copied().unwrap_or(0);
        let room = of_one.saturating_sub(has).min(most);
        let rows = of_caller.query_map(params![caller, now, room as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for (before, row) in rows.enumerate() {
            let (next_ms, number): (i64, i64) = row?;
            due.push((has + before, next_ms, number));
        }
    }
    due.sort_unstable();
    Ok(due.into_iter().map(|(_, _, number)| number).take(most).collect())
}

/// Those who have something due, now or later: from one to the next, past however much each has.
fn callers(connection: &Connection) -> Result<Vec<String>> {
    let mut next =
        connection.prepare_cached("SELECT min(caller) FROM deliveries WHERE status = 'due' AND caller > ?1")?;
    let mut callers: Vec<String> = Vec::new();
    loop {
        let behind = callers.last().map_or("", String::as_str);
        let Some(caller) = next.query_row([behind], |row| row.get(0))? else { return Ok(callers) };
        callers.push(caller);
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
    let (id, caller, trace_id) = connection
        .prepare_cached("SELECT id, caller, trace_id FROM jobs WHERE number = ?1")?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(Some(Due { number, id, caller, trace_id, url, secret, attempts, first_ms: first_ms.unwrap_or(now) }))
}

fn letter(connection: &Connection, caller: &str, id: &str, most: u64) -> Result<Option<String>> {
    let Some(found) = store::look_within(connection, caller, id, most)? else { return Ok(None) };
    // Where it is sent to, its receiver knows.
    let job = firebox_api::JobView { webhook: None, ..found.view };
    Ok(Some(as_json(&Told { caller, job })))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Bounds;
    use crate::state::in_memory;

    /// Has a caller's job end with this, and its webhook be due then. Tells its number.
    fn end(connection: &Connection, caller: &str, id: &str, outcome: &str) -> i64 {
        let (id, trace_id, language) = (id.to_owned(), "t".to_owned(), "bash".to_owned());
        let webhook = Some(("https://a.example/".to_owned(), None));
        let job = store::NewJob { id, trace_id, language, body: Vec::new(), webhook, context: None };
        let bounds = Bounds { running: None, waiting: None, shares: false };
        let room = store::Room { jobs: 100, bytes: 100, keys: 0, keys_bytes: 0, bounds };
        store::accept(connection, caller, vec![job], None, room, |_| String::new()).unwrap();
        let number = store::claim(connection, caller).unwrap().unwrap().number;
        store::finish(connection, number, &store::End::Done { outcome: outcome.to_owned() }).unwrap();
        number
    }

    #[test]
    fn of_one_caller_so_many_are_on_their_way_and_others_come_first() {
        let connection = in_memory();
        let of_a: Vec<i64> = (0..9).map(|number| end(&connection, "a", &format!("a{number}"), "1")).collect();
        let of_b: Vec<i64> = (0..2).map(|number| end(&connection, "b", &format!("b{number}"), "1")).collect();
        let due = |on_their_way: &[(&str, usize)], most| {
            let on_their_way = on_their_way.iter().map(|(caller, count)| (caller.to_string(), *count)).collect();
            super::due(&connection, now_ms(), &on_their_way, most, 4).unwrap()
        };
        assert_eq!(due(&[], 3), [of_a[0], of_b[0], of_a[1]]);
        assert_eq!(due(&[("a", 3)], 16), [of_b[0], of_b[1], of_a[0]]);
        assert_eq!(due(&[("a", 4), ("b", 9)], 16), [0_i64; 0]);
        assert_eq!(due(&[], 0), [0_i64; 0]);
        let taken = take(&connection, of_b[0], now_ms()).unwrap().unwrap();
        assert_eq!((taken.caller.as_str(), taken.id.as_str(), taken.attempts), ("b", "b0", 1));
        assert_eq!(due(&[("a", 4)], 16), [of_b[1]]);
    }

    #[test]
    fn a_letter_says_whose_job_it_is_and_leaves_out_what_is_too_large() {
        let connection = in_memory();
        end(&connection, "a", "1", r#"{"stdout":"12"}"#);
        let letter = |most| {
            let text = letter(&connection, "a", "1", most).unwrap().unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        };
        let whole = letter(15);
        assert_eq!(
            (&whole["caller"], &whole["id"], &whole["outcome"]["stdout"]),
            (&"a".into(), &"1".into(), &"12".into())
        );
        assert!(whole.get("webhook").is_none(), "{whole}");
        let short = letter(14);
        assert_eq!((&short["status"], short.get("outcome")), (&"done".into(), None));
        assert!(super::letter(&connection, "b", "1", MOST).unwrap().is_none());
    }
}
