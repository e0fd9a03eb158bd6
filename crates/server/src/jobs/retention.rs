//! What has ended is forgotten: after its time, or when there is too much of it, the oldest first of whoever holds most.

use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Result, params};
use tokio::time::sleep;
use tracing::warn;

use super::JobSettings;
use super::moment::now_ms;
use crate::answer::in_one_line;
use crate::service::Service;

/// How many `Idempotency-Key`s are remembered; whoever brings more is told to come back.
pub(super) const MOST_KEYS: u64 = 1_000_000;
/// What the answers to those may hold together.
pub(super) const MOST_BYTES_OF_KEYS: u64 = 1 << 30;
/// How long an `Idempotency-Key` is remembered.
const KEYS_KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// How often to look.
const PAUSE: Duration = Duration::from_secs(5);
/// How many go at once, so that nobody waits long for the writer.
const AT_ONCE: u32 = 100;
/// What a job takes beside what is counted for it.
const ROW: u64 = 512;
/// How many pages are given back to the disk at once.
const PAGES: u32 = 512;

pub(super) async fn keep_bounded(service: Arc<Service>) {
    let Some(jobs) = &service.jobs else { return };
    loop {
        let settings = jobs.settings.clone();
        match jobs.database.write(move |connection| forget(connection, &settings, now_ms())).await {
            Ok(true) => {}
            Ok(false) => sleep(PAUSE).await,
            Err(error) => {
                if !error.may_pass() {
                    warn!(cause = in_one_line(&error), "cannot forget jobs that have ended");
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// Forgets some of what may be. True if there is more.
fn forget(connection: &Connection, settings: &JobSettings, now: i64) -> Result<bool> {
    let since = |time: Duration| now.saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    let keys = connection
        .prepare_cached(
            "DELETE FROM idempotency WHERE (caller, key) IN
             (SELECT caller, key FROM idempotency WHERE answered_ms < ?1 ORDER BY answered_ms LIMIT ?2)",
        )?
        .execute(params![since(KEYS_KEPT_FOR), AT_ONCE])?;
    let old = connection
        .prepare_cached(
            "DELETE FROM jobs WHERE number IN
             (SELECT number FROM jobs WHERE ended_ms < ?1 ORDER BY ended_ms LIMIT ?2)",
        )?
        .execute(params![since(settings.kept_for), AT_ONCE])?;
    let gone = make_room(connection, settings.kept_bytes.as_u64())?;
    connection.execute_batch(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let at_once = AT_ONCE as usize;
    Ok(keys == at_once || old == at_once || gone == AT_ONCE)
}

/// Forgets some of what is beyond this, the oldest of whoever holds most: nobody's outcomes go for what others have. Tells how
/// many.
fn make_room(connection: &Connection, most: u64) -> Result<u32> {
    let mut holding = connection.prepare_cached(
        "SELECT caller, sum(bytes) + sum(count) * ?1 FROM totals WHERE kind IN ('done', 'failed', 'cancelled')
         GROUP BY caller",
    )?;
    let holding = holding.query_map([ROW as i64], |row| Ok((row.get::<_, i64>(1)?.max(0) as u64, row.get(0)?)))?;
    let mut holding: BinaryHeap<(u64, String)> = holding.collect::<Result<_>>()?;
    let mut held: u64 = holding.iter().map(|(held, _)| held).sum();
    let mut oldest = connection.prepare_cached(
        "DELETE FROM jobs WHERE number = (SELECT number FROM jobs WHERE caller = ?1 AND ended_ms IS NOT NULL
         ORDER BY ended_ms, number LIMIT 1) RETURNING size",
    )?;
    let mut gone = 0;
    while most < held && gone < AT_ONCE {
        let Some((own, caller)) = holding.pop() else { break };
        let Some(size) = oldest.query_row([&caller], |row| row.get::<_, i64>(0)).optional()? else { continue };
        let size = size as u64 + ROW;
        held = held.saturating_sub(size);
        holding.push((own.saturating_sub(size), caller));
        gone += 1;
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::in_memory;

    fn ended(connection: &Connection, caller: &str, ended_ms: i64, size: i64) {
        connection
            .execute(
                "INSERT INTO jobs (number, id, caller, trace_id, language, status, size, ended_ms)
                 VALUES (?1, ?1, ?2, 't', 'bash', 'done', ?3, ?1)",
                params![ended_ms, caller, size],
            )
            .unwrap();
    }

    fn kept(connection: &Connection) -> Vec<i64> {
        let mut kept = connection.prepare("SELECT number FROM jobs ORDER BY number").unwrap();
        kept.query_map([], |row| row.get(0)).unwrap().collect::<Result<_>>().unwrap()
    }

    #[test]
    fn whoever_holds_most_makes_room_with_the_oldest_of_their_own() {
        let connection = in_memory();
        ended(&connection, "a", 1, 10_000);
        for number in 2..6 {
            ended(&connection, "b", number, 10_000);
        }
        let four = 4 * (10_000 + ROW);
        assert_eq!(make_room(&connection, four + 10_000 + ROW).unwrap(), 0);
        assert_eq!(make_room(&connection, four).unwrap(), 1);
        assert_eq!(kept(&connection), [1, 3, 4, 5]);
        assert_eq!(make_room(&connection, four / 2).unwrap(), 2);
        assert_eq!(kept(&connection), [1, 5]);
        assert_eq!(make_room(&connection, 0).unwrap(), 2);
        assert_eq!(kept(&connection), [0_i64; 0]);
        assert_eq!(make_room(&connection, 0).unwrap(), 0);
    }
}
