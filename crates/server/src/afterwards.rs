//! What nobody waits for: done when the answer is on its way, and done in any case.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
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

/// Something to be done.
type Errand = Box<dyn FnOnce() + Send>;

/// What is put off until a connection has sent what there was to send, on the thread that has done so: another one that woke up for it
/// would take the CPU on which the client is about to hear of its answer.
#[derive(Clone, Default)]
pub(crate) struct PutOff(Arc<Mutex<Vec<Work<Errand>>>>);

impl PutOff {
    /// Puts something off, in the span where one is now. When the last owner of this goes, it is done at the latest.
    pub(crate) fn put(&self, what: impl FnOnce() + Send + 'static) {
        let span = Span::current();
        self.work().push(Work(Some(Box::new(move || span.in_scope(what)))));
    }

    /// Does what was put off, in order.
    pub(crate) fn catch_up(&self) {
        let work = std::mem::take(&mut *self.work());
        drop(work);
    }

    fn work(&self) -> MutexGuard<'_, Vec<Work<Errand>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PutOff").field(&self.work().len()).finish()
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::runtime::Builder;

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
        put_off.put(note(1));
        put_off.clone().put(note(2));
        assert!(done.lock().unwrap().is_empty());
        put_off.catch_up();
        put_off.catch_up();
        assert_eq!(*done.lock().unwrap(), [1, 2]);
        put_off.put(note(3));
        drop(put_off);
        assert_eq!(*done.lock().unwrap(), [1, 2, 3]);
    }
}
