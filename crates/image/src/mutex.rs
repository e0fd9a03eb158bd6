//! Locks whose holders do not panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// If one did panic, what it guards is still what it was.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
