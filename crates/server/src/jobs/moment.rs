//! Moments: counted in the database, written for clients.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use firebox_api::utc_ms;

/// Microseconds since 1970.
pub(super) fn now_us() -> i64 {
    since_1970().as_micros() as i64
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    since_1970().as_millis() as i64
}

fn since_1970() -> Duration {
    // A clock before 1970 is none.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// As clients have it.
pub(super) fn written(ms: i64) -> String {
    // None of ours is before 1970.
    utc_ms(u64::try_from(ms).unwrap_or(0))
}
