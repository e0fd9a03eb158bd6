//! What somebody has had of what their key grants: requests, and CPU time of the day.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use firebox_job::Rate;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What somebody has had. Whoever looks at it says what time it is.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// When everything that may come at once could come again.
    restored: Mutex<Option<Instant>>,
    spent: Mutex<Spent>,
}

/// CPU time, and the day on which it was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spent {
    /// Days since the beginning of 1970, by UTC.
    pub(crate) day: u64,
    pub(crate) cpu: Duration,
}

impl Account {
    /// Takes up what was spent before.
    pub(crate) fn recall(&self, spent: Spent) {
        *lock(&self.spent) = spent;
    }

    /// Takes one of what a rate grants, or says how long it takes until there is one.
    ///
    /// Each takes an interval to be restored, and as many intervals may be owed as may come at once.
    pub(crate) fn ask(&self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let interval = rate.interval();
        let mut restored = lock(&self.restored);
        let then = restored.map_or(now, |restored| restored.max(now)) + interval;
        let owed = then.saturating_duration_since(now);
        let may_owe = interval.saturating_mul(rate.burst.get());
        match owed.checked_sub(may_owe) {
            None | Some(Duration::ZERO) => {
                *restored = Some(then);
                Ok(())
            }
            Some(too_much) => Err(too_much),
        }
    }

    /// Whether some CPU time of the day is left, and if not, how long it takes until the next day.
    pub(crate) fn has_cpu(&self, per_day: Duration, now: SystemTime) -> Result<(), Duration> {
        let (day, into_day) = day_of(now);
        let spent = *lock(&self.spent);
        match spent.day == day && per_day <= spent.cpu {
            true => Err(DAY.saturating_sub(into_day)),
            false => Ok(()),
        }
    }

    /// CPU time that a job has taken.
    pub(crate) fn spend(&self, cpu: Duration, now: SystemTime) {
        let (day, _) = day_of(now);
        let mut spent = lock(&self.spent);
        let before = if spent.day == day { spent.cpu } else { Duration::ZERO };
        *spent = Spent { day, cpu: before.saturating_add(cpu) };
    }

    pub(crate) fn spent(&self) -> Spent {
        *lock(&self.spent)
    }
}

/// Which day it is, and how much of it has passed. A clock that stands before 1970 has not been set yet.
pub(crate) fn day_of(now: SystemTime) -> (u64, Duration) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let day = since.as_secs() / DAY.as_secs();
    (day, since.saturating_sub(DAY.saturating_mul(day as u32)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn rate(per_second: f64, burst: u32) -> Rate {
        Rate { per_second, burst: NonZeroU32::new(burst).unwrap() }
    }

    #[test]
    fn a_burst_is_granted_and_then_no_more_than_the_rate() {
        let (account, rate, start) = (Account::default(), rate(10.0, 3), Instant::now());
        let asked = |ms: u64| account.ask(rate, start + Duration::from_millis(ms));
        assert_eq!([asked(0), asked(0), asked(0)], [Ok(()); 3]);
        assert_eq!(asked(0), Err(Duration::from_millis(100)));
        assert_eq!(asked(40), Err(Duration::from_millis(60)));
        assert_eq!(asked(100), Ok(()));
        assert!(asked(100).is_err());
        // Being refused costs nothing.
        assert_eq!(asked(200), Ok(()));
        // After a pause it is the burst again, and not more.
        assert_eq!([asked(9000), asked(9000), asked(9000)], [Ok(()); 3]);
        assert!(asked(9000).is_err());
    }

    #[test]
    fn in_the_long_run_it_is_the_rate() {
        for per_second in [0.5, 3.0, 700.0] {
            let (account, rate, start) = (Account::default(), rate(per_second, 1), Instant::now());
            let granted =
                (0..100_000).filter(|ms| account.ask(rate, start + Duration::from_millis(*ms)).is_ok()).count();
            let expected = per_second * 100.0;
            assert!((granted as f64 - expected).abs() <= expected * 0.3 + 1.0, "{per_second}: {granted}");
        }
    }

    #[test]
    fn a_day_begins_with_nothing_spent() {
        let account = Account::default();
        let at = |day: u64, seconds: u64| UNIX_EPOCH + DAY * day as u32 + Duration::from_secs(seconds);
        let most = Duration::from_secs(10);
        account.spend(Duration::from_secs(6), at(20000, 50));
        assert_eq!(account.has_cpu(most, at(20000, 51)), Ok(()));
        account.spend(Duration::from_secs(6), at(20000, 60));
        assert_eq!(account.has_cpu(most, at(20000, 86_399)), Err(Duration::from_secs(1)));
        assert_eq!(account.has_cpu(most, at(20001, 0)), Ok(()));
        account.spend(Duration::from_secs(1), at(20001, 0));
        assert_eq!(account.spent(), Spent { day: 20001, cpu: Duration::from_secs(1) });
        let again = Account::default();
        again.recall(Spent { day: 20001, cpu: most });
        assert!(again.has_cpu(most, at(20001, 1)).is_err());
    }
}
