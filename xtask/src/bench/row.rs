//! A row of the table: what was asked, what came of it, and how that compares to what was promised.

use std::collections::BTreeMap;

use super::samples::{Pair, Samples};

/// One question and its answer.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// What it is called in the JSON and by `--only`; never changes.
    pub(super) id: String,
    pub(super) what: String,
    pub(super) against: String,
    /// None for a row that is there to be known.
    pub(super) target: Option<Target>,
    pub(super) measured: Measured,
    pub(super) details: Details,
}

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    /// Ours by theirs is at most this.
    Ratio(f64),
    /// Ours gets at least so many times as much done.
    TimesAsMuch(f64),
    /// In milliseconds, the median and what one in a hundred is above.
    Times { median: f64, last_hundredth: f64 },
    /// It differs from 1 by no more than this.
    Within(f64),
}

#[derive(Debug, Clone)]
pub(super) enum Measured {
    /// Both sides.
    Pair(Pair),
    /// Ours alone, in times.
    Times(Samples),
    /// Ours, and theirs where there is such a thing, as a number.
    Number {
        ours: f64,
        bare: Option<f64>,
        unit: &'static str,
    },
    /// The host or this version lacks something: says what.
    Skipped {
        why: String,
    },
    Failed {
        why: String,
    },
}

/// What else became known.
#[derive(Debug, Clone, Default)]
pub(super) struct Details {
    /// Where our time goes: the median of each stage, in microseconds.
    pub(super) stages: Option<BTreeMap<String, f64>>,
    /// CPU time per job.
    pub(super) cpu: Option<CpuTime>,
}

/// CPU time per job of all processes that have to do with it, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct CpuTime {
    pub(super) ours: f64,
    pub(super) bare: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Pass,
    Miss,
    /// There is no target.
    Information,
    Skipped,
    Failed,
}

impl Row {
    pub(super) fn verdict(&self) -> Verdict {
        let Some(target) = self.target else {
            return match self.measured {
                Measured::Skipped { .. } => Verdict::Skipped,
                Measured::Failed { .. } => Verdict::Failed,
                _ => Verdict::Information,
            };
        };
        let is_met = match (&self.measured, target) {
            (Measured::Skipped { .. }, _) => return Verdict::Skipped,
            (Measured::Failed { .. }, _) => return Verdict::Failed,
            (Measured::Pair(pair), Target::Ratio(most)) => pair.ratio() <= most,
            (Measured::Pair(pair), Target::TimesAsMuch(least)) => least <= 1.0 / pair.ratio(),
            (Measured::Times(samples), Target::Times { median, last_hundredth }) => {
                millis(samples, 0.5) <= median && millis(samples, 0.99) <= last_hundredth
            }
            (Measured::Number { ours, .. }, Target::Within(most)) => (ours - 1.0).abs() <= most,
            // A target of another kind than what was measured is met by nothing.
            (Measured::Pair(_) | Measured::Times(_) | Measured::Number { .. }, _) => false,
        };
        if is_met { Verdict::Pass } else { Verdict::Miss }
    }
}

/// In milliseconds.
pub(super) fn millis(samples: &Samples, part: f64) -> f64 {
    samples.quantile(part).as_secs_f64() * 1000.0
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    pub(crate) fn samples(micros: &[u64]) -> Samples {
        Samples(micros.iter().copied().map(Duration::from_micros).collect())
    }

    pub(crate) fn row(target: Option<Target>, measured: Measured) -> Row {
        Row { id: "a".into(), what: "a".into(), against: "b".into(), target, measured, details: Details::default() }
    }

    /// A tenth of theirs.
    pub(crate) fn tenth() -> Measured {
        let (ours, bare) = (samples(&[1_000, 2_000, 9_000]), samples(&[10_000, 20_000, 123_456]));
        Measured::Pair(Pair { ours, bare })
    }

    #[test]
    fn each_kind_of_target_is_met_or_missed() {
        let times = || Measured::Times(samples(&[100, 200, 300]));
        let number = || Measured::Number { ours: 1.08, bare: None, unit: "" };
        for (measured, target, expected) in [
            (tenth(), Some(Target::Ratio(0.10)), Verdict::Pass),
            (tenth(), Some(Target::Ratio(0.09)), Verdict::Miss),
            (tenth(), Some(Target::TimesAsMuch(10.0)), Verdict::Pass),
            (tenth(), Some(Target::TimesAsMuch(11.0)), Verdict::Miss),
            (tenth(), None, Verdict::Information),
            (times(), Some(Target::Times { median: 0.2, last_hundredth: 0.3 }), Verdict::Pass),
            (times(), Some(Target::Times { median: 0.1, last_hundredth: 0.3 }), Verdict::Miss),
            (times(), Some(Target::Times { median: 0.2, last_hundredth: 0.2 }), Verdict::Miss),
            (number(), Some(Target::Within(0.10)), Verdict::Pass),
            (number(), Some(Target::Within(0.05)), Verdict::Miss),
            (number(), Some(Target::Ratio(2.0)), Verdict::Miss),
            (Measured::Skipped { why: String::new() }, Some(Target::Within(0.1)), Verdict::Skipped),
            (Measured::Failed { why: String::new() }, None, Verdict::Failed),
        ] {
            assert_eq!(row(target, measured.clone()).verdict(), expected, "{target:?} {measured:?}");
        }
    }
}
