//! One `cargo test`, shown as it runs and counted.
//!
//! Both of its streams come through one pipe, so lines stay in order. A process that a test left behind would hold
//! that pipe open for ever; that is noticed a moment after cargo has ended, and is a failure of the test.

use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::harness_output::{HarnessOutput, Show, Told};
use super::step::{Ended, Finding};
use crate::lines::lines_of;

/// How many tests of one harness run at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    Many,
    /// For tests that look at the whole host.
    One,
}

/// How long the pipe may stay open after cargo has ended. All that is left then is to read what the pipe holds.
const GRACE: Duration = Duration::from_secs(2);
/// How often to look whether cargo has ended while no line comes.
const GLANCE: Duration = Duration::from_millis(100);

/// Runs a `cargo test` that lacks only the words for the harness.
pub(super) fn cargo_test(mut command: Command, threads: Threads) -> Result<Finding> {
    command.args(["--", "--show-output"]);
    if threads == Threads::One {
        command.arg("--test-threads=1");
    }
    watch(command, |line| println!("{line}"))
}

/// Runs a harness to its end, and shows what of its output is for the developer.
fn watch(mut command: Command, show: impl Fn(&str)) -> Result<Finding> {
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    command.stdin(std::process::Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().context("cannot start cargo")?;
    drop(command); // with it our own writing ends, else the pipe would never end

    let lines = lines_of(reader);
    let mut output = HarnessOutput::default();
    let mut ended_at: Option<Instant> = None;
    let left_behind = loop {
        match lines.recv_timeout(GLANCE) {
            Ok(line) => {
                if output.read(&line) == Show::Yes {
                    show(&line);
                }
            }
            Err(RecvTimeoutError::Disconnected) => break false,
            Err(RecvTimeoutError::Timeout) => match ended_at {
                None => ended_at = child.try_wait()?.map(|_status| Instant::now()),
                Some(at) if GRACE < at.elapsed() => break true,
                Some(_) => {}
            },
        }
    };
    let status = child.wait()?;
    let Told { tally, skipped, attacks } = output.finish();
    let ended = if left_behind {
        Ended::Failed("cargo has ended, but something a test started still holds its output: find it and end it".into())
    } else if status.success() {
        Ended::Passed
    } else if 0 < tally.failed {
        Ended::Failed("the failed tests are above".to_owned())
    } else {
        Ended::Failed(format!("cargo test ended with {status}; the reason is above"))
    };
    Ok(Finding { ended, tally, skipped, attacks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::step::Tally;

    /// A harness made of a shell script. Shown to nobody: a harness outside of this one would count what it says.
    fn harness(script: &str) -> Finding {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        watch(shell, |_line| {}).unwrap()
    }

    #[test]
    fn both_streams_are_read_and_counted() {
        let finding = harness(
            "echo 'running 2 tests'; echo 'skipped: a: no b' >&2
             echo 'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out'",
        );
        assert_eq!(finding.ended, Ended::Passed);
        assert_eq!(finding.tally, Tally { passed: 1, failed: 0, skipped: 1 });
    }

    #[test]
    fn a_crash_without_a_result_line_is_a_failure() {
        let finding = harness("echo 'running 2 tests'; exit 101");
        assert!(matches!(&finding.ended, Ended::Failed(why) if why.contains("101")), "{finding:?}");
    }

    #[test]
    fn a_process_that_stays_behind_with_the_output_is_a_failure_and_not_a_wait() {
        let start = Instant::now();
        let finding = harness("sleep 8 & exit 0");
        assert!(matches!(&finding.ended, Ended::Failed(why) if why.contains("still holds")), "{finding:?}");
        assert!(start.elapsed() < Duration::from_secs(7), "waited {:?}", start.elapsed());
    }
}
