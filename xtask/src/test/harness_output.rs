//! What `cargo test -- --show-output` prints, read line by line: how many tests ended how, what was skipped,
//! and which attacks were tried.
//!
//! A test that finds its host unable to run it prints `skipped: <test>: <why>` and returns. The harness calls that
//! passed and keeps the line to itself, unless asked to show the output of passed tests too; so it is asked, and
//! that part is read here and kept from the developer, who wants to see failures only.
//!
//! ```text
//! between --"running N tests"--> running --"successes:"--> told by successes --"successes:"--> list of successes
//!    ^                              |                                                                |
//!    |                              '--------------------------"failures:"---------------------------|
//!    |                                                              v                                |
//!    |        list of failures <--"failures:"-- told by failures <--'                                |
//!    |              v                                                                                v
//!    '-------- "test result: ..." (from a list, or from running) <-----------------------------------'
//! ```
//!
//! What a test tells may look like any of these lines (the tests of this very program do that), so a result counts
//! only where the harness itself speaks.

use super::attack_table::AttackLine;
use super::step::{Skipped, Tally};

#[derive(Debug, Default)]
pub(crate) struct HarnessOutput {
    part: Part,
    /// Counted by the harness, which knows nothing of tests that skipped themselves.
    counted: Tally,
    /// The test whose captured output is being read.
    speaker: Option<String>,
    /// Tests of the harness at hand that the harness will call passed.
    skipped_here: Vec<String>,
    skipped_themselves: usize,
    skipped: Vec<Skipped>,
    attacks: Vec<AttackLine>,
}

/// All the harnesses that were read, with the tests that skipped themselves counted as skipped.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) tally: Tally,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) attacks: Vec<AttackLine>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Between,
    Running,
    ToldBySuccesses,
    ListOfSuccesses,
    ToldByFailures,
    ListOfFailures,
}

/// Whether a line is for the developer's eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    Yes,
    No,
}

impl HarnessOutput {
    pub(crate) fn read(&mut self, line: &str) -> Show {
        let told_by_a_test = matches!(self.part, Part::ToldBySuccesses | Part::ToldByFailures);
        match (line, &self.part) {
            ("successes:", Part::ToldBySuccesses) => self.part = Part::ListOfSuccesses,
            ("successes:", _) if !told_by_a_test => self.part = Part::ToldBySuccesses,
            ("failures:", Part::ToldByFailures) => self.part = Part::ListOfFailures,
            ("failures:", _) if !told_by_a_test => self.part = Part::ToldByFailures,
            (_, Part::Between) if line.starts_with("running ") => self.part = Part::Running,
            _ => match result_line(line) {
                Some(tally) if !told_by_a_test => self.end_harness(tally),
                _ => self.read_inside(line),
            },
        }
        match self.part {
            // What was measured is of use just where nothing failed.
            Part::ToldBySuccesses if line.starts_with("measured: ") => Show::Yes,
            Part::ToldBySuccesses | Part::ListOfSuccesses => Show::No,
            _ => Show::Yes,
        }
    }

    fn end_harness(&mut self, tally: Tally) {
        self.counted += tally;
        self.skipped_themselves += self.skipped_here.len();
        self.skipped_here.clear();
        self.speaker = None;
        self.part = Part::Between;
    }

    fn read_inside(&mut self, line: &str) {
        if let Some(test) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.speaker = Some(test.to_owned());
        } else if let Some(ignored) = ignored_line(line) {
            self.skipped.push(ignored);
        } else if let Some(skipped) = skipped_line(line) {
            self.read_skip(skipped);
        } else if let Some(attack) = AttackLine::parse(line) {
            self.attacks.push(attack);
        }
    }

    /// A failed test is a failed test, even if it had skipped a part of itself. What a test's child wrote past the
    /// capture comes while the tests run.
    fn read_skip(&mut self, skipped: Skipped) {
        if self.part == Part::ToldByFailures {
            return;
        }
        let test = self.speaker.clone().unwrap_or_else(|| skipped.what.clone());
        if !self.skipped_here.contains(&test) {
            self.skipped_here.push(test);
        }
        if !self.skipped.contains(&skipped) {
            self.skipped.push(skipped);
        }
    }

    pub(crate) fn finish(self) -> Told {
        let Tally { passed, failed, skipped } = self.counted;
        let skipped = skipped + self.skipped_themselves;
        let tally = Tally { passed: passed.saturating_sub(self.skipped_themselves), failed, skipped };
        Told { tally, skipped: self.skipped, attacks: self.attacks }
    }
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`
fn result_line(line: &str) -> Option<Tally> {
    let (_verdict, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |word: &str| {
        let field = counts.split(';').map(str::trim).find_map(|field| field.strip_suffix(word))?;
        field.trim().parse().ok()
    };
    Some(Tally { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
}

/// `test a::b ... ignored` or `test a::b ... ignored, why`
fn ignored_line(line: &str) -> Option<Skipped> {
    let (what, ending) = line.strip_prefix("test ")?.rsplit_once(" ... ignored")?;
    let why = match ending.strip_prefix(", ") {
        Some(why) => why,
        None if ending.is_empty() => "ignored without a reason",
        None => return None,
    };
    Some(Skipped { what: what.to_owned(), why: why.to_owned() })
}

/// `skipped: a::b: why`, also after the `test a::b ... ` of a harness that runs one test at a time.
fn skipped_line(line: &str) -> Option<Skipped> {
    let line = match line.strip_prefix("test ") {
        Some(rest) => rest.split_once(" ... ")?.1,
        None => line,
    };
    let (what, why) = line.strip_prefix("skipped: ")?.split_once(": ")?;
    Some(Skipped { what: what.to_owned(), why: why.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Tally, Vec<Skipped>, String) {
        let mut output = HarnessOutput::default();
        let shown: Vec<&str> = text.lines().filter(|line| output.read(line) == Show::Yes).collect();
        let shown = shown.join("\n");
        let Told { tally, skipped, .. } = output.finish();
        (tally, skipped, shown)
    }

    const PASSED_WITH_SKIP: &str = "\
running 3 tests
test a ... ok
test b ... ignored, needs a printer
test c ... ok

successes:

---- a stdout ----
chatter of a
skipped: a: no cgroup v2 here
skipped: second half: no swap

successes:
    a
    c

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn a_test_that_skipped_itself_is_skipped_not_passed_however_often_it_says_so() {
        let (tally, skipped, _) = read(PASSED_WITH_SKIP);
        assert_eq!(tally, Tally { passed: 1, failed: 0, skipped: 2 });
        let told: Vec<&str> = skipped.iter().map(|skipped| skipped.why.as_str()).collect();
        assert_eq!(told, ["needs a printer", "no cgroup v2 here", "no swap"]);
    }

    #[test]
    fn what_passed_tests_print_is_not_shown_and_results_are() {
        let (_, _, shown) = read(PASSED_WITH_SKIP);
        assert!(!shown.contains("chatter"), "{shown}");
        assert!(shown.contains("test a ... ok") && shown.contains("test result: ok"), "{shown}");
    }

    #[test]
    fn what_failed_tests_print_is_shown_and_they_stay_failed() {
        let (tally, _, shown) = read(
            "\
running 1 test
test a ... FAILED

successes:

successes:

failures:

---- a stdout ----
skipped: a: something
assertion failed

failures:
    a

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
",
        );
        assert_eq!(tally, Tally { passed: 0, failed: 1, skipped: 0 });
        assert!(shown.contains("assertion failed"), "{shown}");
    }

    #[test]
    fn a_result_that_a_test_tells_does_not_count() {
        let told = "chatter of a\nrunning 9 tests\ntest result: ok. 9 passed; 0 failed; 0 ignored; 0 measured";
        let (tally, _, _) = read(&PASSED_WITH_SKIP.replace("chatter of a", told));
        assert_eq!(tally, Tally { passed: 1, failed: 0, skipped: 2 });
    }

    #[test]
    fn attacks_are_read_from_what_tests_tell() {
        let told = "attack: fork bomb | tasks | root jail | held";
        let mut output = HarnessOutput::default();
        PASSED_WITH_SKIP.replace("chatter of a", told).lines().for_each(|line| {
            output.read(line);
        });
        assert_eq!(output.finish().attacks, [AttackLine::parse(told).unwrap()]);
    }

    #[test]
    fn several_harnesses_add_up() {
        let (tally, _, _) = read(&PASSED_WITH_SKIP.repeat(2));
        assert_eq!(tally, Tally { passed: 2, failed: 0, skipped: 4 });
    }

    #[test]
    fn a_skip_written_past_the_capture_is_found_too() {
        let (tally, skipped, _) = read(
            "\
running 1 test
test a::b ... skipped: a::b: no node
ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
",
        );
        assert_eq!(tally, Tally { passed: 0, failed: 0, skipped: 1 });
        assert_eq!(skipped, [Skipped { what: "a::b".to_owned(), why: "no node".to_owned() }]);
    }

    #[test]
    fn lines_that_only_look_alike_are_not_results() {
        for line in ["test result: who knows", "the test result: ok. 1 passed; 0 failed; 0 ignored", "test result"] {
            assert_eq!(result_line(line), None, "{line}");
        }
    }
}
