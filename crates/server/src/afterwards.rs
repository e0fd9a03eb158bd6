//! What nobody waits for: done when the answer is on its way, and done in any case.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep};
use tracing::Span;

/// Something that is done when this is dropped, wherever that is.
struct Work<F: FnOnce()>(Option<F>);

/// Does it, in the span where one is now, as soon as the thread that works on a request has nothing else to do. A runtime that ends before that drops it,
/// and it is done then.
pub(crate) fn afterwards(what: impl FnOnce() + Send + 'static) {
    let span = Span::current();
    let work = Work(Some(move || span.in_scope(what)));
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move { drop(work) });
    }
}

/// For how long something is put off when nobody waits for it. Who sends one job after the other sends the next within that time.
const MOMENT: Duration = Duration::from_millis(1);

/// Something to be done.
type Errand = Box<dyn FnOnce() + Send>;

/// What is put off until a connection has sent what there was to send, on the thread that has done so: another one that woke up for it
/// would take the CPU on which the client is about to hear of its answer. So would this one. Hence it is done when the next job
/// of this connection has begun, or when none has come; but at once where somebody may wait for what it sets free.
#[derive(Clone, Default)]
pub(crate) struct PutOff(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    work: Vec<Work<Errand>>,
    /// When none of it is to be put off any more.
    until: Option<Instant>,
}

/// How long something may be put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    /// Until the answer is on its way.
    Soon,
    /// Until the next job has begun, or a moment has passed.
    Whenever,
}

impl PutOff {
    /// Puts something off, in the span where one is now. When the last owner of this goes, it is done at the latest.
    pub(crate) fn put(&self, haste: Haste, what: impl FnOnce() + Send + 'static) {
        let (span, now) = (Span::current(), Instant::now());
        let until = match haste {
            Haste::Soon => now,
            Haste::Whenever => now + MOMENT,
        };
        let mut waiting = self.waiting();
        waiting.work.push(Work(Some(Box::new(move || span.in_scope(what)))));
        waiting.until = Some(waiting.until.map_or(until, |earlier| earlier.min(until)));
    }

    /// Does what was put off, in order.
    pub(crate) fn catch_up(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        drop(waiting);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PutOff").field(&self.waiting().work.len()).finish()
    }
}

/// Sees to it that what was put off is done in time.
pub(crate) struct Reminder {
    put_off: PutOff,
    alarm: Pin<Box<Sleep>>,
}

impl Reminder {
    pub(crate) fn of(put_off: PutOff) -> Reminder {
        Reminder { put_off, alarm: Box::pin(sleep(MOMENT)) }
    }

    /// Does what is to be done by now. Whoever asks is woken when there is more.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) {
        let Some(until) = self.put_off.waiting().until else { return };
        if self.alarm.deadline().into_std() != until {
            self.alarm.as_mut().reset(until.into());
        }
        if until <= Instant::now() || self.alarm.as_mut().poll(context).is_ready() {
            self.put_off.catch_up();
        }
    }
}

impl<F: FnOnce()> Drop for Work<F> {
    fn drop(&mut self) {
        if let Some(what) = self.0.take() {
            what();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Poll, Waker};

    use tokio::runtime::Builder;
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn it_is_done_once_whether_or_not_there_is_still_somebody_to_do_it() {
        let done = Arc::new(AtomicUsize::new(0));
        let count = || {
            let done = Arc::clone(&done);
            move || {
                done.fetch_add(1, Ordering::Relaxed);
            }
        };
        afterwards(count());
        assert_eq!(done.load(Ordering::Relaxed), 1);

        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            afterwards(count());
            assert_eq!(done.load(Ordering::Relaxed), 1);
            tokio::task::yield_now().await;
            assert_eq!(done.load(Ordering::Relaxed), 2);
            afterwards(count());
        });
        drop(runtime);
        assert_eq!(done.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn what_is_put_off_is_done_once_in_order_and_at_the_end_at_the_latest() {
        let done = Arc::new(Mutex::new(Vec::<u32>::new()));
        let note = |number| {
            let done = Arc::clone(&done);
            move || done.lock().unwrap().push(number)
        };
        let put_off = PutOff::default();
        put_off.put(Haste::Whenever, note(1));
        put_off.clone().put(Haste::Soon, note(2));
        assert!(done.lock().unwrap().is_empty());
        put_off.catch_up();
        put_off.catch_up();
        assert_eq!(*done.lock().unwrap(), [1, 2]);
        put_off.put(Haste::Whenever, note(3));
        drop(put_off);
        assert_eq!(*done.lock().unwrap(), [1, 2, 3]);
    }
    #[tokio::test]
    async fn what_is_put_off_is_done_as_soon_as_somebody_may_wait_for_it_and_otherwise_a_moment_later() {
        let done = Arc::new(AtomicUsize::new(0));
        let count = || {
            let done = Arc::clone(&done);
            move || {
                done.fetch_add(1, Ordering::Relaxed);
            }
        };
        let put_off = PutOff::default();
        let mut reminder = Reminder::of(put_off.clone());
        put_off.put(Haste::Whenever, count());
        put_off.put(Haste::Soon, count());
        reminder.poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(done.load(Ordering::Relaxed), 2);
        for hope in [3, 4] {
            let put = Instant::now();
            put_off.put(Haste::Whenever, count());
            let is_done = poll_fn(|context| {
                reminder.poll(context);
                if done.load(Ordering::Relaxed) < hope { Poll::Pending } else { Poll::Ready(()) }
            });
            timeout(Duration::from_secs(20), is_done).await.unwrap();
            assert!(MOMENT <= put.elapsed());
        }
    }
}
