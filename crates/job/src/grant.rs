//! What an operator grants somebody who comes with a key: how often, how much at once, and what.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::{Ask, CellKind, Limits};

/// What an operator grants somebody who comes with a key. What is left out has no bound but those that hold for everybody.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Grant {
    /// How often they may ask; beyond it a request is refused.
    pub rate: Option<Rate>,
    /// How many of their jobs may run at once; beyond it a job waits.
    pub running: Option<NonZeroU32>,
    /// How many of their jobs may wait; beyond it a job is refused.
    pub waiting: Option<u32>,
    /// CPU time that their jobs may take from one midnight (UTC) to the next, building included; when it is used up, no job
    /// of theirs begins.
    pub cpu_per_day: Option<Duration>,
    /// The most that one job may ask for, where that is less than what the operator grants everybody.
    pub most: Ask,
    /// The languages that their jobs may be in, by their own names.
    pub languages: Option<Vec<String>>,
    /// The kinds of cell that their jobs may run in.
    pub isolation: Option<Vec<CellKind>>,
}

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// So many times a second, in the long run.
    pub per_second: f64,
    /// So many times at once, after a pause.
    pub burst: NonZeroU32,
}

/// Why a [`Grant`] would let nobody do anything, or cannot be held.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GrantError {
    /// No such rate can be counted.
    #[error("{per_second} requests per second cannot be counted; give a number from {} to {}", Rate::LEAST, Rate::MOST)]
    Rate {
        /// What was given.
        per_second: f64,
    },
    /// Zero would mean "nothing" to one reader and "no limit" to another.
    #[error("`{name}` is zero; give it a value, or leave it out for no limit")]
    Zero {
        /// The limit's name.
        name: &'static str,
    },
    /// Every job would be refused.
    #[error("`{name}` is below {least}, the least that a job can be given; give more")]
    TooLittle {
        /// The limit's name.
        name: &'static str,
        /// The least there is.
        least: String,
    },
    /// Every job would be refused.
    #[error("`{name}` is an empty list, which would refuse every job; name one, or leave it out for all")]
    Nothing {
        /// What is empty.
        name: &'static str,
    },
}

impl Rate {
    /// Once in a quarter of an hour.
    pub const LEAST: f64 = 0.001;
    /// More than any service answers.
    pub const MOST: f64 = 1_000_000.0;

    /// How long it takes until it may happen once more.
    pub fn interval(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second.clamp(Rate::LEAST, Rate::MOST))
    }
}

impl Grant {
    /// Says what is wrong with it before anybody relies on it.
    pub fn check(&self) -> Result<(), GrantError> {
        // Exhaustive: a new bound must be decided here. Nobody may wait: that has a sense of its own.
        let Grant { rate, running: _, waiting: _, cpu_per_day, most, languages, isolation } = self;
        let Ask { timeout, compile, run, cpu, memory, tasks, disk, output, vcpus, input } = *most;
        if let Some(Rate { per_second, .. }) = rate
            && !(Rate::LEAST..=Rate::MOST).contains(per_second)
        {
            return Err(GrantError::Rate { per_second: *per_second });
        }
        for (name, zero) in [
            ("cpu_per_day", cpu_per_day.is_some_and(|time| time.is_zero())),
            ("timeout", timeout.is_some_and(|time| time.is_zero())),
            ("compile_seconds", compile.is_some_and(|time| time.is_zero())),
            ("run_seconds", run.is_some_and(|time| time.is_zero())),
            ("cpu_seconds", cpu.is_some_and(|time| time.is_zero())),
            ("tasks", tasks == Some(0)),
            ("vcpus", vcpus == Some(0)),
            ("input", input.is_some_and(|size| size.as_u64() == 0)),
        ] {
            if zero {
                return Err(GrantError::Zero { name });
            }
        }
        for (name, size, least) in [
            ("memory_mb", memory, Limits::LEAST_MEMORY),
            ("disk_mb", disk, Limits::LEAST_DISK),
            ("output_kb", output, Limits::LEAST_OUTPUT),
        ] {
            if size.is_some_and(|size| size < least) {
                return Err(GrantError::TooLittle { name, least: least.to_string() });
            }
        }
        for (name, is_empty) in [
            ("languages", languages.as_ref().is_some_and(Vec::is_empty)),
            ("isolation", isolation.as_ref().is_some_and(Vec::is_empty)),
        ] {
            if is_empty {
                return Err(GrantError::Nothing { name });
            }
        }
        Ok(())
    }

    /// Whether a job may be in this language.
    pub fn allows_language(&self, name: &str) -> bool {
        self.languages.as_ref().is_none_or(|languages| languages.iter().any(|language| language == name))
    }

    /// Whether a job may run in such a cell.
    pub fn allows_cell(&self, kind: CellKind) -> bool {
        self.isolation.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ByteSize;

    #[test]
    fn what_would_refuse_every_job_is_refused_itself() {
        let rate = |per_second| Some(Rate { per_second, burst: NonZeroU32::MIN });
        for (grant, word) in [
            (Grant { rate: rate(0.0), ..Grant::default() }, "0 requests per second"),
            (Grant { rate: rate(f64::NAN), ..Grant::default() }, "requests per second"),
            (Grant { rate: rate(1e9), ..Grant::default() }, "to 1000000"),
            (Grant { cpu_per_day: Some(Duration::ZERO), ..Grant::default() }, "`cpu_per_day` is zero"),
            (Grant { most: Ask { tasks: Some(0), ..Ask::default() }, ..Grant::default() }, "`tasks` is zero"),
            (
                Grant { most: Ask { memory: Some(ByteSize::kib(1)), ..Ask::default() }, ..Grant::default() },
                "`memory_mb` is below 4 MiB",
            ),
            (Grant { languages: Some(Vec::new()), ..Grant::default() }, "`languages`"),
            (Grant { isolation: Some(Vec::new()), ..Grant::default() }, "`isolation`"),
        ] {
            let error = grant.check().unwrap_err().to_string();
            assert!(error.contains(word), "{error} does not say {word}");
        }
        assert_eq!(Grant::default().check(), Ok(()));
        assert_eq!(Grant { waiting: Some(0), rate: rate(0.5), ..Grant::default() }.check(), Ok(()));
    }

    #[test]
    fn what_is_not_named_is_not_bounded_and_what_is_named_is() {
        let grant = Grant { languages: Some(vec!["c".to_owned()]), ..Grant::default() };
        assert!(grant.allows_language("c") && !grant.allows_language("rust") && grant.allows_cell(CellKind::Fence));
        let grant = Grant { isolation: Some(vec![CellKind::MicroVm]), ..Grant::default() };
        assert!(grant.allows_language("c") && !grant.allows_cell(CellKind::Jail));
    }
}
