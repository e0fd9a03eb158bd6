//! Jobs that outlive a connection: accepted when they are on disk, run in turn, and kept for whoever asks later.
//!
//! ```text
//! POST   accept --> store (a commit) --> 202
//!          `--> runner: a line for each caller, in turn with those who wait (admission) --> claim --> run --> finish
//! GET    look, follow <-- watchers <-- whatever changed
//! DELETE look --> store, or stop --> run
//! retention: what has ended is forgotten in time
//! ```
//!
//! What waits is on disk and nowhere else: of a thousand jobs in the queue, memory has none. What is told of a job is read
//! back from there too, so it is the same before and after a start; decision 17 has the promises.

mod accept;
mod bounded;
mod cursor;
pub(crate) mod deliveries;
mod follow;
mod idempotency;
mod look;
mod moment;
pub(crate) mod operations;
mod query;
mod retention;
mod run;
mod runner;
mod settings;
mod stop;
mod store;
mod watchers;
mod whole;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use firebox_api::{JobStatus, Refusal, RefusalCode};
use tokio::sync::{Notify, Semaphore, watch};
use tracing::info;

use crate::answer::Refusing;
use crate::service::Service;
use crate::state::{Database, StateError};
use crate::webhook;

pub(crate) use accept::{conflict, submit, submit_batch};
pub(crate) use follow::follow;
pub(crate) use look::{cancel, list, look, unavailable};
pub(crate) use moment::now_ms;
pub use settings::JobSettings;
pub(crate) use store::{Total, interrupted};

use runner::Lines;
use stop::Stops;
use watchers::Watchers;

/// All of them, and who waits for what.
#[derive(Debug)]
pub(crate) struct Jobs {
    database: Arc<Database>,
    settings: JobSettings,
    watchers: Arc<Watchers>,
    lines: Mutex<Lines>,
    stops: Stops,
    /// How many may be between their turn and their end on disk.
    hands: Arc<Semaphore>,
    closing: watch::Sender<bool>,
    /// Told when a job with a webhook may have ended.
    due: Notify,
}

impl Jobs {
    pub(crate) fn new(database: Arc<Database>, settings: JobSettings, places: usize) -> Jobs {
        Jobs {
            database,
            settings,
            watchers: Arc::default(),
            lines: Mutex::new(HashMap::new()),
            stops: Stops::default(),
            // More than run at once: one that has ended has still to be written down.
            hands: Arc::new(Semaphore::new(2 * places + 2)),
            closing: watch::Sender::new(false),
            due: Notify::new(),
        }
    }

    /// What they are kept in.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// How many there are of each status.
    pub(crate) async fn totals(&self) -> Result<Vec<Total>, StateError> {
        let look = |connection: &rusqlite::Connection| {
            JobStatus::ALL.iter().map(|status| store::total(connection, status.word())).collect()
        };
        self.database.read(look).await
    }

    /// Says to all who wait for something that they should not.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Returns when none runs.
    pub(crate) async fn idle(&self) {
        self.stops.none().await;
    }

    /// Stops all that run, and returns when they wait again on disk.
    pub(crate) async fn cut(&self) {
        self.stops.all();
        self.idle().await;
    }
}

/// Takes up what a former process has left: what ran when it died, and what waits.
pub(crate) async fn resume(service: &Arc<Service>) -> Result<(), StateError> {
    let Some(jobs) = &service.jobs else { return Ok(()) };
    let (again, failed) = jobs.database.write(store::recover).await?;
    if again + failed > 0 {
        info!(again, failed, "jobs that ran when the service died");
    }
    for name in jobs.database.read(store::callers).await? {
        runner::call(service, &service.caller_named(&name));
    }
    tokio::spawn(webhook::deliver_all(Arc::clone(service)));
    tokio::spawn(retention::keep_bounded(Arc::clone(service)));
    Ok(())
}

/// What has no answer because the database has none.
fn refusing(error: &StateError) -> Refusing {
    match error {
        StateError::DiskFull => Refusing::from(
            Refusal::new(RefusalCode::Full, "the service's disk is full, and nothing was changed")
                .with_hint("try again later"),
        ),
        StateError::Closed => crate::service::no_place(crate::admission::NoPlace::Closed),
        // The log has it, and clients do not fill it.
        StateError::Failed(_) if error.may_pass() => Refusing::from(crate::answer::a_fault()),
        StateError::Failed(_) => Refusing::fault("the database has failed", error),
    }
}

/// What we serialise has no map with keys that are no texts, which is all that could go wrong.
fn as_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// What fuzz targets reach of it.
#[cfg(fuzzing)]
pub(crate) mod fuzzing {
    pub(crate) use super::accept::idempotency_key;
    pub(crate) use super::follow::last_event;
    pub(crate) use super::query::wait;

    pub(crate) fn page(uri: &axum::http::Uri) -> Result<usize, firebox_api::Refusal> {
        super::query::wanted(uri).map(|wanted| wanted.limit)
    }
}
