//! What the jobs of keys have taken of the day, written down so that a restart does not give it back.
//!
//! Away from any job's path, and all that has changed in one commit: what a service that is killed has not written yet is what
//! was taken in the last second.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use tokio::runtime::Builder;
use tokio::time::sleep;
use tracing::error;

use super::account::{Spent, day_of};
use super::key::KeyId;
use super::ring::Ring;
use crate::answer::in_one_line;
use crate::jobs::Jobs;
use crate::service::Service;
use crate::state::{Database, StateError};

const EVERY: Duration = Duration::from_secs(1);

/// What is in the database.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    written: HashMap<KeyId, Spent>,
}

impl Ledger {
    /// Tells the keys what their jobs had taken when the service ended.
    pub(crate) async fn recall(ring: &Ring, database: &Database) -> Result<Ledger, StateError> {
        let (today, _) = day_of(SystemTime::now());
        let rows = database.write(move |connection| {
            // Of other days nobody asks any more. A clock that went back has days before it.
            connection.execute("DELETE FROM key_usage WHERE day < ?1", [today as i64 - 1])?;
            all(connection)
        });
        // What is no id is a row that we did not write.
        let written: HashMap<KeyId, Spent> =
            rows.await?.into_iter().filter_map(|(key, spent)| Some((key.parse().ok()?, spent))).collect();
        ring.recall(&written);
        Ok(Ledger { written })
    }

    /// Writes down what has changed.
    pub(crate) async fn keep(&mut self, ring: &Ring, database: &Database) -> Result<(), StateError> {
        let mut changed = ring.spent();
        changed.retain(|(key, spent)| self.written.get(key) != Some(spent));
        if changed.is_empty() {
            return Ok(());
        }
        let rows = changed.clone();
        database
            .write(move |connection| rows.iter().try_for_each(|(key, spent)| put(connection, *key, *spent)))
            .await?;
        self.written.extend(changed);
        Ok(())
    }

    /// Keeps it, as long as it is let.
    pub(crate) async fn watch(mut self, service: Arc<Service>) {
        let Some(database) = service.jobs.as_ref().map(Jobs::database) else { return };
        let mut has_failed = false;
        loop {
            sleep(EVERY).await;
            let kept = self.keep(&service.keys, database).await;
            if let Err(problem) = &kept
                && !has_failed
            {
                error!(cause = in_one_line(problem), "what jobs have taken of the day is not written down");
            }
            has_failed = kept.is_err();
        }
    }

    /// Writes down all of it in the end, when no job runs any more.
    pub(crate) fn settle(service: &Service) {
        let Some(database) = service.jobs.as_ref().map(Jobs::database) else { return };
        // The runtime of the service has ended by now; what is left to do is to wait for the thread that writes.
        let Ok(runtime) = Builder::new_current_thread().build() else { return };
        if let Err(problem) = runtime.block_on(Ledger::default().keep(&service.keys, database)) {
            error!(cause = in_one_line(&problem), "what the last jobs have taken of the day is not written down");
        }
    }
}

fn all(connection: &Connection) -> rusqlite::Result<Vec<(String, Spent)>> {
    let mut rows = connection.prepare("SELECT key, day, cpu_us FROM key_usage")?;
    let rows = rows.query_map([], |row| {
        let (day, cpu) = (row.get::<_, i64>(1)?, row.get::<_, i64>(2)?);
        Ok((row.get(0)?, Spent { day: day.max(0) as u64, cpu: Duration::from_micros(cpu.max(0) as u64) }))
    })?;
    rows.collect()
}

fn put(connection: &Connection, key: KeyId, spent: Spent) -> rusqlite::Result<()> {
    let sql = "INSERT INTO key_usage (key, day, cpu_us) VALUES (?1, ?2, ?3)
               ON CONFLICT (key) DO UPDATE SET day = excluded.day, cpu_us = excluded.cpu_us";
    let cpu = i64::try_from(spent.cpu.as_micros()).unwrap_or(i64::MAX);
    connection.prepare_cached(sql)?.execute((key.to_string(), spent.day as i64, cpu)).map(drop)
}

#[cfg(test)]
mod tests {
    use firebox_job::Grant;

    use super::*;
    use crate::state::StateDirectory;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn what_was_taken_today_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let open = || StateDirectory::open(&folder.path().join("state")).unwrap();
        let limited = Grant { cpu_per_day: Some(Duration::from_secs(1)), ..Grant::default() };
        let (key, _) = open().keys_to_change().unwrap().create("one", &limited).unwrap();
        for restart in 0..3 {
            let ring = Ring::of(open().keys().unwrap()).unwrap();
            let database = Database::open(open()).unwrap();
            block_on(async {
                let mut ledger = Ledger::recall(&ring, &database).await.unwrap();
                let holder = ring.check(&key).unwrap();
                assert_eq!(holder.has_cpu().is_ok(), restart < 2, "restart {restart}");
                holder.spend(Duration::from_millis(600));
                ledger.keep(&ring, &database).await.unwrap();
                ledger.keep(&ring, &database).await.unwrap();
            });
        }
    }

    #[test]
    fn yesterday_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(StateDirectory::open(&folder.path().join("state")).unwrap()).unwrap();
        let (today, _) = day_of(SystemTime::now());
        let key: KeyId = "fbx_000000000001".parse().unwrap();
        block_on(async {
            let old = Spent { day: today - 2, cpu: Duration::from_secs(1) };
            database.write(move |connection| put(connection, key, old)).await.unwrap();
            let ledger = Ledger::recall(&Ring::without().unwrap(), &database).await.unwrap();
            assert!(ledger.written.is_empty());
        });
    }
}
