//! Durations of one thing measured many times, and two things measured in turns.

use std::time::Duration;

use anyhow::Result;

/// Turns that are thrown away: they warm the page cache and whatever else has a first time.
const WARM_UP: usize = 2;

/// In the order they were measured; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Samples(pub(super) Vec<Duration>);

/// The same work, ours and theirs, measured in turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) ours: Samples,
    pub(super) bare: Samples,
}

impl Samples {
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn median(&self) -> Duration {
        self.quantile(0.5)
    }

    /// The value that this part of all are not above; between two, on the line that joins them.
    pub(super) fn quantile(&self, part: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = part * sorted.len().saturating_sub(1) as f64;
        let of = |index: f64| sorted.get(index as usize).copied().unwrap_or_default();
        let (below, above) = (of(at.floor()), of(at.ceil()));
        below + (above - below).mul_f64(at.fract())
    }

    fn half(&self, which: usize) -> Samples {
        let (first, second) = self.0.split_at(self.0.len() / 2);
        Samples([first, second][which].to_vec())
    }
}

impl Pair {
    /// Ours by theirs, as medians.
    pub(super) fn ratio(&self) -> f64 {
        self.ours.median().as_secs_f64() / self.bare.median().as_secs_f64()
    }

    /// By which part the ratios of the two halves differ: what a second run would differ by, as far as one can tell from
    /// one. None when there are no halves.
    pub(super) fn noise(&self) -> Option<f64> {
        let half = |which| Pair { ours: self.ours.half(which), bare: self.bare.half(which) };
        let noise = (half(0).ratio() - half(1).ratio()).abs() / self.ratio();
        noise.is_finite().then_some(noise)
    }
}

/// Measures both `runs` times in turns; who goes first changes every turn, so that what one leaves to be cleaned up
/// by the kernel slows the other as often as itself.
pub(super) fn side_by_side(
    runs: usize,
    mut ours: impl FnMut() -> Result<Duration>,
    mut bare: impl FnMut() -> Result<Duration>,
) -> Result<Pair> {
    let one = |time: Result<Duration>| time.map(|time| vec![time]);
    rows_side_by_side(runs, WARM_UP, || one(ours()), || one(bare()))
}

/// The same with several measurements of each in a turn. So many turns come before those that count.
pub(super) fn rows_side_by_side(
    turns: usize,
    warm_up: usize,
    mut ours: impl FnMut() -> Result<Vec<Duration>>,
    mut bare: impl FnMut() -> Result<Vec<Duration>>,
) -> Result<Pair> {
    let (mut our_samples, mut bare_samples) = (Vec::new(), Vec::new());
    for turn in 0..turns.max(1) + warm_up {
        let (our_times, bare_times) = if turn.is_multiple_of(2) {
            let bare_times = bare()?;
            (ours()?, bare_times)
        } else {
            (ours()?, bare()?)
        };
        if warm_up <= turn {
            our_samples.extend(our_times);
            bare_samples.extend(bare_times);
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
    fn a_quantile_lies_between_the_two_that_are_nearest() {
        let samples = samples(&[50, 10, 30, 20, 40]);
        for (part, expected) in [(0.0, 10_000), (0.25, 20_000), (0.99, 49_600), (1.0, 50_000)] {
            assert_eq!(samples.quantile(part).as_micros(), expected, "{part}");
        }
    }

    #[test]
    fn the_ratio_comes_from_all_and_the_noise_from_the_halves() {
        let pair = Pair { ours: samples(&[1, 2, 4, 4]), bare: samples(&[10, 10, 10, 10]) };
        assert!((pair.ratio() - 0.3).abs() < 1e-9, "{}", pair.ratio());
        assert!(pair.noise().is_some_and(|noise| (noise - 0.25 / 0.3).abs() < 1e-9), "{:?}", pair.noise());
        let single = Pair { ours: samples(&[1]), bare: samples(&[1]) };
        assert_eq!(single.noise(), None, "one measurement has no halves");
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
