//! Looking for keys that are created or revoked while the service runs, away from any request's path.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tracing::{error, info};

use super::ring::Ring;
use crate::answer::in_one_line;

/// How often to look. What it costs is one system call.
const EVERY: Duration = Duration::from_millis(250);
/// How often to repeat what somebody has to do something about.
const REPEAT: Duration = Duration::from_secs(60);

/// Looks, as long as it is let.
pub(crate) async fn watch(ring: Arc<Ring>) {
    let mut told: Option<(Instant, String)> = None;
    loop {
        sleep(EVERY).await;
        match ring.refresh() {
            Ok(has_changed) => {
                if has_changed {
                    info!(keys = ring.count(), "the keys have changed");
                }
                told = None;
            }
            Err(problem) => {
                let cause = in_one_line(&problem);
                let is_known = told.as_ref().is_some_and(|(when, what)| *what == cause && when.elapsed() < REPEAT);
                if !is_known {
                    error!(cause, "the keys cannot be read: those that were good stay so, and no other becomes it");
                    told = Some((Instant::now(), cause));
                }
            }
        }
    }
}
