//! What the lab found, read from what its `init.sh` says: each test program has to begin and to end well, and all of it to be over.
//!
//! Whatever is missing is a failure, so that no panic, hang or lost line passes for a success. So is a test that was skipped: the lab is where
//! it has all that it needs.

use super::machine::Ending;
use crate::test::{Ended, Skipped};

pub(super) struct Verdict {
    programs: Vec<Program>,
    is_over: bool,
    /// What stood in the way of all tests.
    obstacles: Vec<String>,
}

/// A turn.
struct Program {
    name: String,
    /// How many tests there have to be, where that is known.
    expected: Option<usize>,
    /// How many have passed.
    passed: usize,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Waits,
    Runs,
    /// With this status.
    Ended(String),
}

impl Verdict {
    /// For programs of these names, with so many tests.
    pub(super) fn of<'a>(turns: impl Iterator<Item = (&'a str, Option<usize>)>) -> Verdict {
        let turn =
            |(name, expected): (&str, _)| Program { name: name.to_owned(), expected, passed: 0, state: State::Waits };
        let programs = turns.map(turn).collect();
        Verdict { programs, is_over: false, obstacles: Vec::new() }
    }

    /// Takes in a line; most are none of its business.
    pub(super) fn read(&mut self, line: &str) {
        let Some(said) = line.strip_prefix("lab: ") else { return self.count(line) };
        if said == "over" {
            self.is_over = true;
        } else if let Some(name) = said.strip_suffix(" begins") {
            self.become_of(name, State::Runs);
        } else if let Some((name, status)) = said.split_once(" ended with ") {
            self.become_of(name, State::Ended(status.to_owned()));
        } else {
            self.obstacles.push(said.to_owned());
        }
    }

    /// `test result: ok. 3 passed; …`: a name that no test has, the harness passes over in silence.
    fn count(&mut self, line: &str) {
        let passed = line.strip_prefix("test result: ok. ").and_then(|rest| rest.split_once(' ')?.0.parse().ok());
        if let (Some(passed), Some(runs)) = (passed, self.programs.iter_mut().find(|one| one.state == State::Runs)) {
            runs.passed = passed;
        }
    }

    fn become_of(&mut self, name: &str, state: State) {
        match self.programs.iter_mut().find(|program| program.name == name) {
            Some(program) => program.state = state,
            None => self.obstacles.push(format!("nobody knows a program `{name}`")),
        }
    }

    pub(super) fn decide(&self, ending: &Ending, skipped: &[Skipped]) -> Ended {
        match self.reason(ending, skipped) {
            Some(why) => Ended::Failed(why),
            None => Ended::Passed,
        }
    }

    /// The first of all that went wrong.
    fn reason(&self, ending: &Ending, skipped: &[Skipped]) -> Option<String> {
        let at = match self.programs.iter().find(|program| program.state == State::Runs) {
            Some(program) => format!("in `{}`", program.name),
            None => "outside of any test".to_owned(),
        };
        if let Some(obstacle) = self.obstacles.first() {
            return Some(obstacle.clone());
        }
        match ending {
            Ending::TimedOut => return Some(format!("its time was up {at}")),
            Ending::Ended(status) if !self.is_over || !status.success() => {
                return Some(format!("it ended {at} ({status} of QEMU)"));
            }
            Ending::Ended(_) => {}
        }
        for Program { name, expected, passed, state } in &self.programs {
            match state {
                State::Ended(status) if status == "0" => match expected {
                    Some(expected) if passed != expected => {
                        return Some(format!("`{name}` has {passed} tests of the {expected} that are listed for it"));
                    }
                    _ => {}
                },
                State::Ended(status) => return Some(format!("`{name}` ended with {status}, see above")),
                State::Waits | State::Runs => return Some(format!("`{name}` has not been run to its end")),
            }
        }
        let Skipped { what, why } = skipped.first()?;
        Some(format!("nothing has to be skipped in here, and `{what}` was: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    const GOOD: [&str; 6] = [
        "lab: a begins",
        "test result: ok. 1 passed; 0 failed",
        "lab: a ended with 0",
        "lab: b begins",
        "lab: b ended with 0",
        "lab: over",
    ];

    fn decided(lines: &[&str], ending: &Ending) -> Ended {
        let mut verdict = Verdict::of([("a", Some(1)), ("b", None)].into_iter());
        lines.iter().for_each(|line| verdict.read(line));
        verdict.decide(ending, &[])
    }

    fn ended(code: i32) -> Ending {
        Ending::Ended(ExitStatus::from_raw(code << 8))
    }

    #[test]
    fn all_programs_that_ended_well_are_a_success() {
        assert_eq!(decided(&GOOD, &ended(0)), Ended::Passed);
    }

    #[test]
    fn whatever_line_is_missing_is_a_failure() {
        for missing in [1, 2, 4, 5] {
            let lines: Vec<&str> =
                GOOD.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, line)| *line).collect();
            assert_ne!(decided(&lines, &ended(0)), Ended::Passed, "without `{}`", GOOD[missing]);
        }
        assert_ne!(decided(&[], &ended(0)), Ended::Passed);
    }

    #[test]
    fn where_it_ended_is_told() {
        for ending in [ended(0), Ending::TimedOut] {
            let Ended::Failed(why) = decided(&GOOD[..4], &ending) else { panic!("passed") };
            assert!(why.contains("in `b`"), "{why}");
        }
        assert_ne!(decided(&GOOD, &ended(1)), Ended::Passed);
        assert_ne!(decided(&GOOD, &Ending::TimedOut), Ended::Passed);
    }

    #[test]
    fn a_program_that_failed_and_one_that_nobody_knows_are_failures() {
        for (at, line) in [
            (1, "test result: ok. 0 passed; 0 failed"),
            (2, "lab: a ended with 101"),
            (2, "lab: c ended with 0"),
            (1, "lab: the kernel does not take kvm"),
        ] {
            let mut lines = GOOD;
            lines[at] = line;
            assert_ne!(decided(&lines, &ended(0)), Ended::Passed, "{line}");
        }
    }

    #[test]
    fn a_test_that_was_skipped_is_a_failure() {
        let mut verdict = Verdict::of(std::iter::empty());
        verdict.read("lab: over");
        let skipped = Skipped { what: "boots".to_owned(), why: "no KVM".to_owned() };
        let Ended::Failed(why) = verdict.decide(&ended(0), &[skipped]) else { panic!("passed") };
        assert!(why.contains("boots") && why.contains("no KVM"), "{why}");
    }
}
