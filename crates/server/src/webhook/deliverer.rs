//! When a webhook is sent, and again: all of it in the database, so that a start of the service goes on where the last one was.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{Instrument, error_span, info, warn};

use super::address::Address;
use super::send::{Letter, send};
use crate::answer::in_one_line;
use crate::jobs::deliveries::{self, Due};
use crate::jobs::{Jobs, now_ms};
use crate::service::Service;

/// How many may be on their way at once, and of one caller's.
const AT_ONCE: usize = 16;
const OF_ONE_CALLER: usize = 4;
/// How soon to look again for what is due by now.
const PAUSE: Duration = Duration::from_millis(500);
/// How many tries there are, and how old the last of them may be.
const MOST_TRIES: u32 = 16;
const OLDEST: Duration = Duration::from_secs(24 * 3600);
/// How long to wait after the first try; twice as long after each, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Delivers until the service ends.
pub(crate) async fn deliver_all(service: Arc<Service>) {
    let Some(jobs) = &service.jobs else { return };
    let mut on_their_way = JoinSet::new();
    let mut of_callers: HashMap<String, usize> = HashMap::new();
    loop {
        let room = AT_ONCE - on_their_way.len();
        let due = match jobs.take_due(of_callers.clone(), room, OF_ONE_CALLER).await {
            Ok(due) => due,
            Err(error) => {
                if !error.may_pass() {
                    warn!(cause = in_one_line(&error), "cannot find out which webhooks are due");
                }
                Vec::new()
            }
        };
        let is_idle = due.is_empty();
        for due in due {
            *of_callers.entry(due.caller.clone()).or_default() += 1;
            let service = Arc::clone(&service);
            let span = error_span!("job", trace_id = due.trace_id, id = due.id);
            let work = async move {
                let caller = due.caller.clone();
                deliver(&service, due).await;
                caller
            };
            on_their_way.spawn(work.instrument(span));
        }
        tokio::select! {
            () = sleep(PAUSE), if is_idle || on_their_way.len() == AT_ONCE => {}
            () = jobs.something_is_due(), if is_idle => {}
            Some(Ok(caller)) = on_their_way.join_next() => {
                if let Some(count) = of_callers.get_mut(&caller) {
                    *count -= 1;
                }
                of_callers.retain(|_, count| *count > 0);
            }
            () = std::future::ready(()), if !is_idle && on_their_way.len() < AT_ONCE => {}
        }
    }
}

async fn deliver(service: &Service, due: Due) {
    let Some(jobs) = &service.jobs else { return };
    let Due { number, id, caller, trace_id, url, secret, attempts, first_ms } = due;
    let body = match jobs.letter(&caller, &id).await {
        Ok(Some(body)) => body,
        Ok(None) => return,
        Err(error) => {
            // The lease of this try runs out, and there is another.
            if !error.may_pass() {
                warn!(cause = in_one_line(&error), "cannot read what a webhook is to say");
            }
            return;
        }
    };
    let settings = &service.settings.webhooks;
    let secret = secret.or_else(|| settings.secret.clone()).unwrap_or_default();
    let letter = Letter { job: id.clone(), attempt: attempts, seconds: now_ms() / 1000, secret, body };
    let sent = match Address::read(&url, settings.allow_private) {
        // The operator may have changed their mind since.
        Err(error) => Err(error.to_string()),
        Ok(address) => send(&address, settings, letter).await.map_err(|error| error.to_string()),
    };
    let end = match sent {
        Ok(()) => deliveries::End::Delivered,
        Err(why) => {
            let age = Duration::from_millis(u64::try_from(now_ms() - first_ms).unwrap_or(0));
            match again_after(attempts, age) {
                Some(wait) => deliveries::End::Again { why, at_ms: now_ms() + wait.as_millis() as i64 },
                None => deliveries::End::GivenUp { why },
            }
        }
    };
    let result = match &end {
        deliveries::End::Delivered => "delivered",
        deliveries::End::Again { .. } => "failed",
        deliveries::End::GivenUp { .. } => "given_up",
    };
    service.metrics.webhook(result);
    info!(id, trace_id, attempt = attempts, result, "webhook");
    jobs.write_delivery(number, end).await;
}

/// How long to wait before the next try, if there is to be one.
fn again_after(attempts: u32, age: Duration) -> Option<Duration> {
    let wait = LONGEST_WAIT.min(FIRST_WAIT * 2_u32.saturating_pow(attempts.saturating_sub(1)));
    (attempts < MOST_TRIES && age + wait < OLDEST).then_some(wait)
}

impl Jobs {
    /// Writes down what became of a try. If that cannot be done, the lease of the try runs out and there is another.
    async fn write_delivery(&self, number: i64, end: deliveries::End) {
        if let Err(error) = self.end_delivery(number, end).await
            && !error.may_pass()
        {
            warn!(cause = in_one_line(&error), "cannot write down what became of a webhook");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_less_and_less_and_not_for_ever() {
        let waits: Vec<u64> =
            (1..=20).map_while(|attempts| again_after(attempts, Duration::ZERO)).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits[..4], [1, 2, 4, 8]);
        assert_eq!((waits.len(), waits[14]), (15, 3600));
        assert_eq!(again_after(2, OLDEST), None);
        assert!(again_after(u32::MAX, Duration::ZERO).is_none());
    }
}
