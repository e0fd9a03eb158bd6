//! What nobody waits for: done when the answer is on its way, and done in any case.

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
}
