//! What the lab found, read from what its `init.sh` says: each turn has to begin and to end well, and all of it to be over.
//!
//! Whatever is missing is a failure, so that no panic, hang or lost line passes for a success. So is a test that was skipped: the lab is where
//! it has all that it needs.
//!
//! QEMU's emulation is not perfect: the whole PC has stood still now and then (decision 30). What has not ended by then has one more chance, in another PC, and that
//! is said.

use super::census::Census;
use super::machine::Ending;
use super::turn::Extent;
use crate::test::{Ended, Finding, HarnessOutput, Show, Skipped, Told};

#[derive(Default)]
pub(super) struct Verdict {
    records: Vec<Record>,
    is_over: bool,
    /// What stood in the way of all tests.
    obstacles: Vec<String>,
}

/// Of a turn.
struct Record {
    name: String,
    /// How many tests there have to be, where that is known.
    expected: Option<usize>,
    state: State,
    heard: Heard,
}

/// What it says while it runs.
#[derive(Default)]
struct Heard {
    output: HarnessOutput,
    census: Census,
    /// How many tests have passed.
    passed: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Waits,
    Runs,
    /// With this status.
    Ended(String),
}

impl Verdict {
    /// For turns of these names, with so many tests.
    pub(super) fn of<'a>(turns: impl Iterator<Item = (&'a str, Option<usize>)>) -> Verdict {
        let mut verdict = Verdict::default();
        turns.for_each(|(name, expected)| verdict.expect(name, expected));
        verdict
    }

    /// One more turn has to begin and to end well.
    pub(super) fn expect(&mut self, name: &str, expected: Option<usize>) {
        let (name, state, heard) = (name.to_owned(), State::Waits, Heard::default());
        self.records.push(Record { name, expected, state, heard });
    }

    /// Takes in a line.
    pub(super) fn read(&mut self, line: &str) -> Show {
        let Some(said) = line.strip_prefix("lab: ") else {
            let runs = self.records.iter_mut().find(|record| record.state == State::Runs);
            return runs.map_or(Show::Yes, |record| record.heard.read(line));
        };
        if said == "over" {
            self.is_over = true;
        } else if let Some(name) = said.strip_suffix(" begins") {
            self.become_of(name, State::Runs);
        } else if let Some((name, status)) = said.split_once(" ended with ") {
            self.become_of(name, State::Ended(status.to_owned()));
        } else {
            self.obstacles.push(said.to_owned());
        }
        Show::Yes
    }

    fn become_of(&mut self, name: &str, state: State) {
        match self.records.iter_mut().find(|record| record.name == name) {
            Some(record) => record.state = state,
            None => self.obstacles.push(format!("nobody knows a turn `{name}`")),
        }
    }

    /// Forgets what a PC that stood still has not ended, and names it: it is another PC's to take. None where it has ended otherwise: a test that hangs is no PC that stands still.
    pub(super) fn give_another_chance(&mut self, ending: &Ending) -> Option<Vec<String>> {
        if !matches!(ending, Ending::StoodStill) {
            return None;
        }
        self.is_over = false;
        let is_unended = |record: &mut Record| matches!(record.state, State::Waits | State::Runs);
        Some(self.records.extract_if(.., is_unended).map(|record| record.name).collect())
    }

    /// Whether a turn that was given out has not begun.
    pub(super) fn is_waiting_for(&self, name: &str) -> bool {
        self.records.iter().any(|record| record.name == name && record.state == State::Waits)
    }

    /// Whether all is well so far, if a PC ended like that.
    pub(super) fn has_passed(&self, ending: &Ending) -> bool {
        self.reason(ending).is_none()
    }

    /// What came of all PCs, each of which ended like that. `whole` is said of a run of all turns.
    pub(super) fn decide(pcs: Vec<(Verdict, Ending)>, whole: Option<Extent>) -> Finding {
        let mut found = Finding::from(Ended::Passed);
        let mut census = Census::default();
        for (verdict, ending) in pcs {
            found = found.and(verdict.reason(&ending).map_or(Ended::Passed, Ended::Failed).into());
            for Record { heard, .. } in verdict.records {
                let Told { tally, skipped, attacks } = heard.output.finish();
                found = found.and(Finding { ended: Ended::Passed, tally, skipped, attacks });
                census.add(heard.census);
            }
        }
        let skipped = found.skipped.first().map(|Skipped { what, why }| {
            Ended::Failed(format!("nothing has to be skipped in here, and `{what}` was: {why}"))
        });
        let complaint = whole.and_then(|extent| census.complaint(extent)).map(Ended::Failed);
        skipped.into_iter().chain(complaint).fold(found, |found, ended| found.and(ended.into()))
    }

    /// The first of all that went wrong.
    fn reason(&self, ending: &Ending) -> Option<String> {
        let at = match self.records.iter().find(|record| record.state == State::Runs) {
            Some(record) => format!("in `{}`", record.name),
            None => "outside of any test".to_owned(),
        };
        if let Some(obstacle) = self.obstacles.first() {
            return Some(obstacle.clone());
        }
        match ending {
            Ending::TimedOut => return Some(format!("its time was up {at}")),
            Ending::StoodStill => return Some(format!("it stood still {at}")),
            Ending::Ended(status) if !self.is_over || !status.success() => {
                return Some(format!("it ended {at} ({status} of QEMU)"));
            }
            Ending::Ended(_) => {}
        }
        self.records.iter().find_map(Record::complaint)
    }
}

impl Record {
    fn complaint(&self) -> Option<String> {
        let Record { name, expected, state, heard: Heard { passed, .. } } = self;
        match (state, expected) {
            (State::Ended(status), Some(expected)) if status == "0" && passed != expected => {
                Some(format!("`{name}` has {passed} tests of the {expected} that are listed for it"))
            }
            (State::Ended(status), _) if status == "0" => None,
            (State::Ended(status), _) => Some(format!("`{name}` ended with {status}, see above")),
            (State::Waits | State::Runs, _) => Some(format!("`{name}` has not been run to its end")),
        }
    }
}

impl Heard {
    fn read(&mut self, line: &str) -> Show {
        self.census.read(line);
        // `test result: ok. 3 passed; …`: a name that no test has, the harness passes over in silence.
        let passed = line.strip_prefix("test result: ok. ").and_then(|rest| rest.split_once(' ')?.0.parse().ok());
        self.passed = passed.unwrap_or(self.passed);
        self.output.read(line)
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

    fn decided(lines: &[&str], ending: Ending) -> Ended {
        let mut verdict = Verdict::of([("a", Some(1)), ("b", None)].into_iter());
        lines.iter().for_each(|line| _ = verdict.read(line));
        Verdict::decide(vec![(verdict, ending)], None).ended
    }

    fn ended(code: i32) -> Ending {
        Ending::Ended(ExitStatus::from_raw(code << 8))
    }

    #[test]
    fn all_programs_that_ended_well_are_a_success() {
        assert_eq!(decided(&GOOD, ended(0)), Ended::Passed);
    }

    #[test]
    fn whatever_line_is_missing_is_a_failure() {
        for missing in [1, 2, 4, 5] {
            let lines: Vec<&str> =
                GOOD.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, line)| *line).collect();
            assert_ne!(decided(&lines, ended(0)), Ended::Passed, "without `{}`", GOOD[missing]);
        }
        assert_ne!(decided(&[], ended(0)), Ended::Passed);
    }

    #[test]
    fn where_it_ended_is_told() {
        for ending in [ended(0), Ending::TimedOut, Ending::StoodStill] {
            let Ended::Failed(why) = decided(&GOOD[..4], ending) else { panic!("passed") };
            assert!(why.contains("in `b`"), "{why}");
        }
        assert_ne!(decided(&GOOD, ended(1)), Ended::Passed);
        assert_ne!(decided(&GOOD, Ending::TimedOut), Ended::Passed);
        assert_ne!(decided(&GOOD, Ending::StoodStill), Ended::Passed);
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
            assert_ne!(decided(&lines, ended(0)), Ended::Passed, "{line}");
        }
    }

    #[test]
    fn a_test_that_was_skipped_is_a_failure() {
        let mut verdict = Verdict::of([("a", None)].into_iter());
        for line in ["lab: a begins", "running 1 test", "skipped: boots: no KVM", "lab: a ended with 0", "lab: over"] {
            verdict.read(line);
        }
        let Ended::Failed(why) = Verdict::decide(vec![(verdict, ended(0))], None).ended else { panic!("passed") };
        assert!(why.contains("boots") && why.contains("no KVM"), "{why}");
    }

    #[test]
    fn what_fails_has_no_other_chance() {
        for ending in [ended(0), Ending::TimedOut, Ending::StoodStill] {
            let mut verdict = Verdict::of([("a", None)].into_iter());
            ["lab: a begins", "lab: a ended with 101"].into_iter().for_each(|line| _ = verdict.read(line));
            assert!(verdict.give_another_chance(&ending).is_none_or(|unended| unended.is_empty()));
            _ = verdict.read("lab: over");
            assert_ne!(Verdict::decide(vec![(verdict, ended(0))], None).ended, Ended::Passed);
        }
    }

    #[test]
    fn after_a_pc_that_stood_still_what_has_not_ended_has_another_chance_and_what_it_said_first_counts_no_more() {
        let mut verdict = Verdict::of([("a", Some(1)), ("b", Some(1))].into_iter());
        let first = GOOD[..4].iter().chain(&["test result: ok. 9 passed; 0 failed"]);
        first.for_each(|line| _ = verdict.read(line));
        assert_eq!(verdict.give_another_chance(&Ending::TimedOut), None);
        assert_eq!(verdict.give_another_chance(&Ending::StoodStill), Some(vec!["b".to_owned()]));
        verdict.expect("b", Some(1));
        assert!(verdict.is_waiting_for("b") && !verdict.is_waiting_for("a"));
        [GOOD[3], GOOD[1], GOOD[4], GOOD[5]].into_iter().for_each(|line| _ = verdict.read(line));
        assert!(!verdict.is_waiting_for("b"));
        assert_eq!(verdict.give_another_chance(&ended(0)), None);
        assert_eq!(Verdict::decide(vec![(verdict, ended(0))], None).ended, Ended::Passed);
    }

    #[test]
    fn a_pc_that_stood_still_before_its_first_turn_is_as_good_as_none() {
        let mut verdict = Verdict::default();
        assert_eq!(verdict.give_another_chance(&Ending::StoodStill), Some(Vec::new()));
        _ = verdict.read("lab: over");
        assert_eq!(Verdict::decide(vec![(verdict, ended(0))], None).ended, Ended::Passed);
    }
}
