//! Whose job runs next: each caller with jobs on disk stands in the same line as those who wait for theirs.
//!
//! A caller has one task here while any of its jobs wait, and that task one ticket at a time. When the ticket is called up,
//! the caller's oldest job is taken from the disk: no job is in memory before its turn.
//!
//! A caller who has had their CPU time of the day stands in no line until there is more: their jobs wait where they are.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;
use tracing::error;

use super::stop::Busy;
use super::{Jobs, run, store};
use crate::admission::Place;
use crate::answer::in_one_line;
use crate::caller::Caller;
use crate::service::Service;

/// Callers who are served, and whether more has come since their task last looked.
pub(super) type Lines = HashMap<Arc<str>, bool>;

/// How long to leave a database alone that fails.
const PAUSE: Duration = Duration::from_secs(1);
/// How soon to look again whether a caller has become one who may run jobs, or one who never may again.
const LOOK: Duration = Duration::from_secs(1);

impl Jobs {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The caller has jobs that wait. To be called when they are on disk.
pub(super) fn call(service: &Arc<Service>, caller: &Caller) {
    let Some(jobs) = &service.jobs else { return };
    let mut lines = jobs.lines();
    if let Some(more) = lines.get_mut(&caller.name) {
        *more = true;
        return;
    }
    lines.insert(Arc::clone(&caller.name), false);
    tokio::spawn(serve(Arc::clone(service), caller.clone()));
}

async fn serve(service: Arc<Service>, caller: Caller) {
    let Some(jobs) = &service.jobs else { return };
    // What is left waits on disk when there will be no turns any more.
    while let Some((hand, busy, place)) = turn(&service, jobs, &caller).await {
        let name = Arc::clone(&caller.name);
        match jobs.database.write(move |connection| store::claim(connection, &name)).await {
            Ok(Some(claimed)) => {
                jobs.watchers.tell(claimed.number);
                let (service, caller) = (Arc::clone(&service), caller.clone());
                tokio::spawn(async move {
                    run::run(&service, &caller, claimed, place).await;
                    drop((hand, busy));
                });
            }
            Ok(None) => {
                drop(place);
                let mut lines = jobs.lines();
                match lines.get_mut(&caller.name) {
                    Some(more) if *more => *more = false,
                    _ => {
                        lines.remove(&caller.name);
                        return;
                    }
                }
            }
            Err(error) => {
                drop(place);
                if !error.may_pass() {
                    error!(cause = in_one_line(&error), "cannot take a job from the queue");
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// Waits until the caller may run a job. None when nobody may any more.
async fn turn(service: &Arc<Service>, jobs: &Jobs, caller: &Caller) -> Option<(OwnedSemaphorePermit, Busy, Place)> {
    loop {
        // Before there is anything in our hands that others could use.
        wait_for_quota(jobs, caller).await?;
        let hand = Arc::clone(&jobs.hands).acquire_owned().await.ok()?;
        let place = service.admission.line_up(caller.owner).ok()?.wait().await.ok()?;
        // It may have been called up and the doors closed in the same moment.
        let busy = jobs.stops.busy();
        if service.admission.is_closed() {
            return None;
        }
        // What ran while we stood in line may have taken the rest of the day.
        if for_quota(caller).is_none() {
            return Some((hand, busy, place));
        }
    }
}

/// Returns when the caller has CPU time, or has no key any more, which their jobs are to be told. None when the service is about
/// to end.
async fn wait_for_quota(jobs: &Jobs, caller: &Caller) -> Option<()> {
    let mut closing = jobs.closing.subscribe();
    while let Some(until) = for_quota(caller) {
        tokio::select! {
            // Not all of it at once: the clock may be set, and the key withdrawn.
            () = sleep(until.min(LOOK)) => {}
            _ = closing.wait_for(|closing| *closing) => return None,
        }
    }
    Some(())
}

/// How long the caller's jobs have to wait for more CPU time, if they have to.
fn for_quota(caller: &Caller) -> Option<Duration> {
    caller.may_begin().err().and_then(|refusing| refusing.until_more())
}
