//! Durations of one thing measured many times, and two things measured in turns.

use std::time::Duration;

use anyhow::Result;

/// Turns that are thrown away: they warm the page cache and whatever else has a first time.
const WARM_UP: usize = 2;

/// In the order they were measured; [`side_by_side`] leaves none empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Samples(pub(super) Vec<Duration>);

/// The same work, ours and theirs, measured in turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) ours: Samples,
    pub(super) bare: Samples,
}

impl Samples {
    pub(super) fn all(&self) -> &[Duration] {
        &self.0
    }

    pub(super) fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let middle = sorted.len() / 2;
        if sorted.len().is_multiple_of(2) { (sorted[middle - 1] + sorted[middle]) / 2 } else { sorted[middle] }
    }

    pub(super) fn min(&self) -> Duration {
        self.0.iter().copied().min().unwrap_or_default()
    }

    pub(super) fn max(&self) -> Duration {
        self.0.iter().copied().max().unwrap_or_default()
    }
}

impl Pair {
    /// Ours by theirs, as medians.
    pub(super) fn ratio(&self) -> f64 {
        self.ours.median().as_secs_f64() / self.bare.median().as_secs_f64()
    }
}

/// Measures both `runs` times in turns; who goes first changes every turn, so that what one leaves to be cleaned up
/// by the kernel slows the other as often as itself.
pub(super) fn side_by_side(
    runs: usize,
    mut ours: impl FnMut() -> Result<Duration>,
    mut bare: impl FnMut() -> Result<Duration>,
) -> Result<Pair> {
    let (mut our_samples, mut bare_samples) = (Vec::with_capacity(runs), Vec::with_capacity(runs));
    for turn in 0..runs.max(1) + WARM_UP {
        let (our_time, bare_time) = if turn.is_multiple_of(2) {
            let bare_time = bare()?;
            (ours()?, bare_time)
        } else {
            (ours()?, bare()?)
        };
        if WARM_UP <= turn {
            our_samples.push(our_time);
            bare_samples.push(bare_time);
        }
    }
    Ok(Pair { ours: Samples(our_samples), bare: Samples(bare_samples) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn samples(millis: &[u64]) -> Samples {
        Samples(millis.iter().copied().map(Duration::from_millis).collect())
    }

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_middles() {
        for (millis, expected) in [(&[7][..], 7_000), (&[9, 1, 5], 5_000), (&[4, 1, 100, 3], 3_500)] {
            assert_eq!(samples(millis).median(), Duration::from_micros(expected), "{millis:?}");
        }
    }

    #[test]
    fn the_ends_and_the_ratio_come_from_all_samples() {
        let pair = Pair { ours: samples(&[1, 2, 30]), bare: samples(&[8, 7, 9]) };
        assert_eq!((pair.ours.min(), pair.ours.max()), (Duration::from_millis(1), Duration::from_millis(30)));
        assert!((pair.ratio() - 0.25).abs() < 1e-9, "{}", pair.ratio());
    }

    #[test]
    fn both_take_turns_in_going_first_and_the_warm_up_does_not_count() {
        let order = RefCell::new(String::new());
        let measure = |who: char| {
            order.borrow_mut().push(who);
            Ok(Duration::from_millis(order.borrow().len() as u64))
        };
        let pair = side_by_side(2, || measure('o'), || measure('b')).unwrap();
        assert_eq!(*order.borrow(), "boobboob");
        assert_eq!(pair, Pair { ours: samples(&[6, 7]), bare: samples(&[5, 8]) });
    }
}
