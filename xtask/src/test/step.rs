//! A step of `cargo xtask test`, what it found, and the report over all of them.
//!
//! Runs nothing itself: a step's work is handed to [`Report::run`], which announces and times it.

use std::fmt;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::attack_table::{AttackLine, AttackTable};

pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
}

/// How many tests ended how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

/// Something that was not tested, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) what: String,
    pub(crate) why: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    Passed,
    /// With what to look at or to do.
    Failed(String),
}

/// What a step found out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) ended: Ended,
    pub(crate) tally: Tally,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) attacks: Vec<AttackLine>,
}

impl From<Ended> for Finding {
    fn from(ended: Ended) -> Finding {
        Finding { ended, tally: Tally::default(), skipped: Vec::new(), attacks: Vec::new() }
    }
}

impl Finding {
    /// Two halves of one step; the first failure is the one that is told.
    pub(crate) fn and(mut self, other: Finding) -> Finding {
        let Finding { ended, tally, skipped, attacks } = other;
        if self.ended == Ended::Passed {
            self.ended = ended;
        }
        self.tally += tally;
        self.skipped.extend(skipped);
        self.attacks.extend(attacks);
        self
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        let Tally { passed, failed, skipped } = other;
        self.passed += passed;
        self.failed += failed;
        self.skipped += skipped;
    }
}

struct Done {
    name: &'static str,
    took: Duration,
    finding: Finding,
}

/// Every step so far. Its text ends with the line that CI reads.
#[derive(Default)]
pub(crate) struct Report {
    done: Vec<Done>,
}

impl Report {
    /// A step that could not even be carried out has failed, with the error as what to look at.
    pub(crate) fn run(&mut self, step: Step, work: impl FnOnce() -> Result<Finding>) {
        println!("\n== {}: {}", step.name, step.what);
        let start = Instant::now();
        let finding = work().unwrap_or_else(|error| Finding::from(Ended::Failed(format!("{error:#}"))));
        let took = start.elapsed();
        match &finding.ended {
            Ended::Passed => println!("== {}: passed in {:.1} s", step.name, took.as_secs_f64()),
            Ended::Failed(why) => println!("== {}: FAILED in {:.1} s: {why}", step.name, took.as_secs_f64()),
        }
        self.done.push(Done { name: step.name, took, finding });
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.done.iter().any(|done| done.finding.ended != Ended::Passed)
    }

    /// Prints it, after every attack that a test told of.
    pub(crate) fn show(&self) {
        let attacks = AttackTable::of(self.done.iter().flat_map(|done| &done.finding.attacks));
        if !attacks.is_empty() {
            println!("\n== attacks\n{attacks}");
        }
        println!("\n{self}");
    }

    /// Tests as cargo counted them. A step that failed without a failed test (format, lints, a test program that
    /// crashed or did not compile) counts as one, so that a failure never reads `0 failed`.
    fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for Done { finding, .. } in &self.done {
            sum += finding.tally;
            if finding.ended != Ended::Passed && finding.tally.failed == 0 {
                sum.failed += 1;
            }
        }
        sum
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "== summary")?;
        for Done { name, took, finding } in &self.done {
            let Tally { passed, failed, skipped } = finding.tally;
            write!(f, "  {name:<12} {:>7.1} s  ", took.as_secs_f64())?;
            match &finding.ended {
                Ended::Passed => write!(f, "passed")?,
                Ended::Failed(why) => write!(f, "FAILED: {why}")?,
            }
            if finding.tally != Tally::default() {
                write!(f, " ({passed} passed, {failed} failed, {skipped} skipped)")?;
            }
            writeln!(f)?;
        }
        let skipped: Vec<&Skipped> = self.done.iter().flat_map(|done| &done.finding.skipped).collect();
        if !skipped.is_empty() {
            writeln!(f, "\n  skipped, and why:")?;
        }
        for Skipped { what, why } in skipped {
            writeln!(f, "    {what}: {why}")?;
        }
        let Tally { passed, failed, skipped } = self.tally();
        write!(f, "\n{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &'static str) -> Step {
        Step { name, what: "" }
    }

    fn last_line(report: &Report) -> String {
        report.to_string().lines().next_back().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_last_line_adds_up_every_step() {
        let mut report = Report::default();
        for failed in [0, 2] {
            let ended = if failed == 0 { Ended::Passed } else { Ended::Failed("see above".to_owned()) };
            let tally = Tally { passed: 3, failed, skipped: 1 };
            report.run(step("a"), || Ok(Finding { tally, ..Finding::from(ended) }));
        }
        assert_eq!(last_line(&report), "6 passed, 2 failed, 2 skipped");
        assert!(report.has_failed());
    }

    #[test]
    fn a_step_that_fails_without_a_test_counts_as_one_failure() {
        let mut report = Report::default();
        report.run(step("format"), || Ok(Finding::from(Ended::Failed("run `cargo fmt`".to_owned()))));
        report.run(step("unit"), || anyhow::bail!("no cargo"));
        assert_eq!(last_line(&report), "0 passed, 2 failed, 0 skipped");
        assert!(report.to_string().contains("no cargo"), "{report}");
    }

    #[test]
    fn what_was_skipped_is_listed_with_its_reason() {
        let mut report = Report::default();
        let skipped = vec![Skipped { what: "node".to_owned(), why: "not installed".to_owned() }];
        report.run(step("needs"), || Ok(Finding { skipped, ..Finding::from(Ended::Passed) }));
        assert!(report.to_string().contains("node: not installed"), "{report}");
        assert!(!report.has_failed());
    }
}
