//! What has ended is forgotten: after its time, or when there is too much of it, the oldest first.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Result, params};
use tokio::time::sleep;
use tracing::warn;

use super::moment::now_ms;
use super::{JobSettings, store};
use crate::answer::in_one_line;
use crate::service::Service;

/// How many `Idempotency-Key`s are remembered; whoever brings more is told to come back.
pub(super) const MOST_KEYS: u64 = 1_000_000;
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
                warn!(cause = in_one_line(&error), "cannot forget jobs that have ended");
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
    let mut held = 0;
    for status in ["done", "failed", "cancelled"] {
        let total = store::total(connection, status)?;
        held += total.bytes + total.count * ROW;
    }
    let mut oldest = connection.prepare_cached(
        "DELETE FROM jobs WHERE number =
         (SELECT number FROM jobs WHERE ended_ms IS NOT NULL ORDER BY ended_ms, number LIMIT 1) RETURNING size",
    )?;
    let mut gone = 0;
    while settings.kept_bytes.as_u64() < held && gone < AT_ONCE {
        let Some(size) = oldest.query_row([], |row| row.get::<_, i64>(0)).optional()? else { break };
        held = held.saturating_sub(size as u64 + ROW);
        gone += 1;
    }
    connection.execute_batch(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let at_once = AT_ONCE as usize;
    Ok(keys == at_once || old == at_once || gone == AT_ONCE)
}
