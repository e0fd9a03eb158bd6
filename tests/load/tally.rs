//! What clients were answered, kind by kind.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kind::Kind;

/// How many wrong answers are told in full.
const SHOWN: usize = 10;
/// And how much of each.
const WORDS: usize = 600;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    kinds: BTreeMap<Kind, Answers>,
    /// The first few.
    pub(crate) wrongs: Vec<String>,
}

#[derive(Debug, Default)]
struct Answers {
    right: Vec<Duration>,
    full: usize,
    wrong: usize,
}

impl Tally {
    pub(crate) fn right(&mut self, kind: Kind, took: Duration) {
        self.kinds.entry(kind).or_default().right.push(took);
    }

    pub(crate) fn told_that_it_is_full(&mut self, kind: Kind) {
        self.kinds.entry(kind).or_default().full += 1;
    }

    pub(crate) fn wrong(&mut self, kind: Kind, mark: &str, what: &str) {
        self.kinds.entry(kind).or_default().wrong += 1;
        if self.wrongs.len() < SHOWN {
            let what: String = what.chars().take(WORDS).collect();
            self.wrongs.push(format!("{} {mark}: {what}", kind.name()));
        }
    }

    pub(crate) fn add(&mut self, other: Tally) {
        for (kind, Answers { right, full, wrong }) in other.kinds {
            let answers = self.kinds.entry(kind).or_default();
            answers.right.extend(right);
            answers.full += full;
            answers.wrong += wrong;
        }
        self.wrongs.extend(other.wrongs);
        self.wrongs.truncate(SHOWN);
    }

    /// Requests that came to an outcome.
    pub(crate) fn outcomes(&self) -> usize {
        let jobs = self.kinds.iter().filter(|(kind, _)| !matches!(kind, Kind::Nonsense | Kind::GoesAway));
        jobs.map(|(_, answers)| answers.right.len()).sum()
    }

    /// How often a client heard that it is full.
    pub(crate) fn full(&self) -> usize {
        self.kinds.values().map(|answers| answers.full).sum()
    }

    pub(crate) fn wrong_answers(&self) -> usize {
        self.kinds.values().map(|answers| answers.wrong).sum()
    }

    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "{:<20} {:>7} {:>7} {:>6} {:>10} {:>10} {:>10}\n",
            "kind", "right", "wrong", "503", "median ms", "99 % ms", "longest"
        );
        for (kind, Answers { right, full, wrong }) in &self.kinds {
            let mut sorted = right.clone();
            sorted.sort_unstable();
            let at = |part: f64| {
                let index = (part * sorted.len().saturating_sub(1) as f64).round() as usize;
                sorted.get(index).map_or("-".to_owned(), |took| format!("{:.1}", took.as_secs_f64() * 1e3))
            };
            text += &format!(
                "{:<20} {:>7} {wrong:>7} {full:>6} {:>10} {:>10} {:>10}\n",
                kind.name(),
                right.len(),
                at(0.5),
                at(0.99),
                at(1.0)
            );
        }
        text
    }
}
