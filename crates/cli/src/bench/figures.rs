//! What is said of many measurements: medians, quartiles, and how far to trust them.

use std::time::Duration;

use serde::Serialize;

/// Both sides measured one right after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) ours: Vec<Duration>,
    pub(super) bare: Vec<Duration>,
}

/// In milliseconds, to the microsecond: finer digits are noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    lower_quartile: f64,
    upper_quartile: f64,
}

/// What came of all turns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Figures {
    pub(super) job_ms: Spread,
    pub(super) bare_ms: Spread,
    /// Ours by theirs, as medians.
    pub(super) ratio: f64,
    /// By which part the ratio of the first half of the turns differs from that of the second.
    pub(super) noise: f64,
    /// How often each side was measured.
    pub(super) runs: usize,
}

impl Figures {
    /// None without a measurement of each side in each half.
    pub(super) fn of(turns: &[Turn]) -> Option<Figures> {
        let (first, second) = turns.split_at(turns.len() / 2);
        let ratio = ratio(turns)?;
        Some(Figures {
            job_ms: spread(&all(turns, |turn| &turn.ours))?,
            bare_ms: spread(&all(turns, |turn| &turn.bare))?,
            ratio: thousandths(ratio),
            noise: thousandths((self::ratio(first)? - self::ratio(second)?).abs() / ratio),
            runs: all(turns, |turn| &turn.ours).len(),
        })
    }
}

fn ratio(turns: &[Turn]) -> Option<f64> {
    Some(quantile(&all(turns, |turn| &turn.ours), 0.5)? / quantile(&all(turns, |turn| &turn.bare), 0.5)?)
}

/// In milliseconds, sorted.
fn all(turns: &[Turn], side: impl Fn(&Turn) -> &Vec<Duration>) -> Vec<f64> {
    let mut all: Vec<f64> = turns.iter().flat_map(side).map(|time| time.as_secs_f64() * 1000.0).collect();
    all.sort_by(f64::total_cmp);
    all
}

fn spread(sorted: &[f64]) -> Option<Spread> {
    let at = |part| quantile(sorted, part).map(thousandths);
    Some(Spread { median: at(0.5)?, lower_quartile: at(0.25)?, upper_quartile: at(0.75)? })
}

fn thousandths(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// Between two of them, the line that joins them.
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let at = part * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(below + (above - below) * at.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(ours: &[u64], bare: &[u64]) -> Turn {
        let times = |millis: &[u64]| millis.iter().copied().map(Duration::from_millis).collect();
        Turn { ours: times(ours), bare: times(bare) }
    }

    #[test]
    fn medians_and_quartiles_are_those_of_all_turns() {
        let figures = Figures::of(&[turn(&[1, 5], &[10, 10]), turn(&[2, 4, 3], &[10])]).unwrap();
        let Spread { median, lower_quartile, upper_quartile } = figures.job_ms;
        assert_eq!((lower_quartile, median, upper_quartile), (2.0, 3.0, 4.0));
        assert!((figures.ratio - 0.3).abs() < 1e-9, "{figures:?}");
        assert_eq!((figures.runs, figures.noise), (5, 0.0));
    }

    #[test]
    fn halves_that_disagree_are_noise() {
        let figures = Figures::of(&[turn(&[10], &[10]), turn(&[30], &[10])]).unwrap();
        assert!((figures.ratio - 2.0).abs() < 1e-9 && (figures.noise - 1.0).abs() < 1e-9, "{figures:?}");
    }

    #[test]
    fn one_turn_says_nothing() {
        assert_eq!(Figures::of(&[turn(&[1], &[1])]), None);
        assert_eq!(Figures::of(&[]), None);
    }
}
