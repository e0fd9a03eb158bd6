//! Several things done at once, by as many threads as are wanted.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::mutex::locked;

/// Does something with each number below `count`, and returns what came of it, in that order. The first that fails stops the others, which are told by a flag, and
/// is what failed.
pub(crate) fn several<T: Send, E: Send>(
    count: usize,
    at_once: usize,
    one: impl Fn(usize, &AtomicBool) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let results: Vec<Mutex<Option<T>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let failure = Mutex::new(None);
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(result) = results.get(number).filter(|_| !stop.load(Ordering::Relaxed)) else { return };
            match one(number, &stop) {
                Ok(done) => *locked(result) = Some(done),
                Err(error) => {
                    // Before the others hear of it: what stops because of another is not the reason.
                    locked(&failure).get_or_insert(error);
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..at_once.clamp(1, count.max(1)) {
            scope.spawn(work);
        }
        work();
    });
    let failure = locked(&failure).take();
    // Where none has failed, all are done.
    failure.map_or_else(|| Ok(results.iter().filter_map(|result| locked(result).take()).collect()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_done_in_their_order_or_the_first_failure_is_told() {
        for at_once in [0, 1, 3, 100] {
            let doubled = several(20, at_once, |number, _| Ok::<_, ()>(2 * number)).unwrap();
            assert_eq!(doubled, (0..20).map(|number| 2 * number).collect::<Vec<_>>());
            assert_eq!(several(0, at_once, |number, _| Err::<(), _>(number)), Ok(Vec::new()));
            // Who waits for the flag to be told hears of it, and is not the reason.
            let failed = several(at_once.max(1), at_once, |number, stop| {
                while number != 0 && !stop.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
                Err::<(), _>(number)
            });
            assert_eq!(failed, Err(0));
        }
    }
}
