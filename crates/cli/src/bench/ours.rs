//! Our side: `firebox measure jobs` as a process of its own. It gives up its rights, as every engine does, and the one
//! that runs the bare commands keeps those of whoever typed `firebox bench`.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// How many cells wait for jobs in each language, as in a process that stays.
const WARM: &str = "4";

/// The process. Dropping it ends it, and waits until nothing is left of its cells.
pub(super) struct Ours {
    child: Child,
    /// Taken when it is to end.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

#[derive(Debug, Deserialize)]
struct Jobs {
    jobs: Vec<Job>,
}

/// What became of one job.
#[derive(Debug, Deserialize)]
pub(super) struct Job {
    status: String,
    stdout: String,
    pub(super) isolation: String,
    total_us: f64,
}

impl Ours {
    /// Over these programs.
    pub(super) fn start(programs: &[PathBuf]) -> Result<Ours> {
        let mut command = Command::new(std::env::current_exe().context("cannot find out where firebox itself is")?);
        command.args(["measure", "jobs", "--warm", WARM]).args(programs).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Ctrl-C is for us: this one ends when we close its input, and not before its cells have.
        command.process_group(0);
        let mut child = command.spawn().context("cannot start firebox itself")?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(questions), Some(answers)) => {
                Ok(Ours { child, questions: Some(questions), answers: BufReader::new(answers) })
            }
            _ => bail!("firebox has no pipes to itself"),
        }
    }

    /// So many jobs of one of the programs, one right after the other.
    pub(super) fn run(&mut self, count: usize, program: usize) -> Result<Vec<Job>> {
        let answer = self.ask(&format!("{count} {program}"))?;
        let Jobs { jobs } = serde_json::from_str(&answer).with_context(|| format!("firebox answered {answer}"))?;
        Ok(jobs)
    }

    /// Waits until it does nothing in the background any more.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.ask("quiet").map(drop)
    }

    fn ask(&mut self, question: &str) -> Result<String> {
        let mut answer = String::new();
        let asked =
            self.questions.as_mut().is_some_and(|to| writeln!(to, "{question}").and_then(|()| to.flush()).is_ok());
        if !asked || self.answers.read_line(&mut answer)? == 0 {
            self.questions = None;
            bail!("no jobs can be run; the reason is above ({})", self.child.wait()?);
        }
        Ok(answer)
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.questions = None;
        // Nobody is left to tell when the wait fails; the child is gone either way.
        let _ = self.child.wait();
    }
}

impl Job {
    /// How long it took, when it did what it was meant to do.
    pub(super) fn time(&self) -> Result<Duration> {
        ensure!(self.status == "ok", "a job ended as `{}`", self.status);
        ensure!(self.stdout.starts_with("hello "), "a job did not say hello");
        Ok(Duration::from_secs_f64(self.total_us / 1e6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_counts_only_when_it_did_what_it_was_meant_to() {
        let job = |status: &str, stdout: &str| Job {
            status: status.to_owned(),
            stdout: stdout.to_owned(),
            isolation: "jail".to_owned(),
            total_us: 1500.0,
        };
        assert_eq!(job("ok", "hello 7\n").time().unwrap(), Duration::from_micros(1500));
        assert!(job("timeout", "hello 7\n").time().unwrap_err().to_string().contains("timeout"));
        assert!(job("ok", "").time().is_err());
    }
}
