//! `firebox measure` as a child process: our side, as a server would stay. The clock is its own, so that our pipe is not
//! in the numbers.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A child that measures once for each line it reads. Dropping it closes its input, which ends it.
pub(super) struct Driver {
    child: Child,
    /// Taken when the child is to end.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// One cell from nothing, and its end.
#[derive(Debug, Deserialize)]
pub(super) struct CellTimes {
    make_us: f64,
    remove_us: f64,
}

/// One more cell that waits.
#[derive(Debug, Deserialize)]
pub(super) struct StockTimes {
    prepare_us: f64,
}

/// What became of the jobs of one question.
#[derive(Debug, Deserialize)]
pub(super) struct Jobs {
    wall_us: f64,
    jobs: Vec<Job>,
}

/// One job, from its arrival to its outcome.
#[derive(Debug, Deserialize)]
pub(super) struct Job {
    status: String,
    stdout: String,
    total_us: f64,
    /// Where that went.
    pub(super) stages_us: BTreeMap<String, f64>,
}

/// Nothing of ours goes on.
#[derive(Debug, Deserialize)]
pub(super) struct Quiet {
    quiet: bool,
    cpu_us: f64,
    looking_us: f64,
}

impl CellTimes {
    pub(super) fn sum(&self) -> Duration {
        micros(self.make_us + self.remove_us)
    }
}

impl StockTimes {
    pub(super) fn prepare(&self) -> Duration {
        micros(self.prepare_us)
    }
}

impl Job {
    /// The time of a job that did what it was meant to do.
    pub(super) fn time(&self) -> Result<Duration> {
        ensure!(self.status == "ok", "the job ended as `{}`", self.status);
        ensure!(self.stdout.starts_with("hello "), "the job did not say hello");
        Ok(micros(self.total_us))
    }

    /// How long it took until it had a cell.
    pub(super) fn taking(&self) -> Result<Duration> {
        self.time()?;
        self.stages_us
            .get("cell")
            .map(|&cell| micros(cell))
            .ok_or_else(|| anyhow!("the job does not say how it got a cell"))
    }
}

impl Jobs {
    pub(super) fn all(&self) -> &[Job] {
        &self.jobs
    }

    /// From the arrival of the first until the last has its outcome, when all did what they were meant to do.
    pub(super) fn wall(&self) -> Result<Duration> {
        self.jobs.iter().try_for_each(|job| job.time().map(drop))?;
        Ok(micros(self.wall_us))
    }
}

impl Quiet {
    pub(super) fn came(&self) -> bool {
        self.quiet
    }

    /// The CPU time of all processes of ours so far, but for what it took to find that out this time.
    pub(super) fn cpu_before_looking(&self) -> Duration {
        micros(self.cpu_us - self.looking_us)
    }

    /// The same with that.
    pub(super) fn cpu(&self) -> Duration {
        micros(self.cpu_us)
    }
}

fn micros(count: f64) -> Duration {
    Duration::from_secs_f64(count.max(0.0) / 1e6)
}

impl Driver {
    pub(super) fn start(command: &mut Command) -> Result<Driver> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| anyhow!("cannot start {command:?}: {error}"))?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{command:?} has no pipes");
        };
        Ok(Driver { child, questions: Some(questions), answers: BufReader::new(answers) })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// So many jobs of its first program, one right after the other.
    pub(super) fn jobs(&mut self, count: usize) -> Result<Jobs> {
        self.jobs_of(count, 0)
    }

    /// The same of another of its programs.
    pub(super) fn jobs_of(&mut self, count: usize, program: usize) -> Result<Jobs> {
        let jobs: Jobs = self.ask(&format!("{count} {program}"))?;
        ensure!(jobs.jobs.len() == count, "of {count} jobs, {} were run", jobs.jobs.len());
        Ok(jobs)
    }

    /// One job.
    pub(super) fn job(&mut self) -> Result<Job> {
        let mut jobs = self.jobs(1)?;
        jobs.jobs.pop().ok_or_else(|| anyhow!("no job was run"))
    }

    /// Waits until nothing goes on in the background: what was used is cleared away, and what can be made ready for the
    /// next jobs is ready.
    pub(super) fn settle(&mut self) -> Result<Quiet> {
        let quiet: Quiet = self.ask("quiet")?;
        ensure!(quiet.quiet, "firebox does not come to rest");
        Ok(quiet)
    }

    /// One measurement of a driver that knows no other.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<T> {
        self.ask("")
    }

    fn ask<T: DeserializeOwned>(&mut self, question: &str) -> Result<T> {
        let mut answer = String::new();
        // A child that has ended answers the question by a broken pipe; its status tells more than that.
        let asked =
            self.questions.as_mut().is_some_and(|to| writeln!(to, "{question}").and_then(|()| to.flush()).is_ok());
        if !asked || self.answers.read_line(&mut answer)? == 0 {
            self.questions = None;
            bail!("`firebox measure` ended with {}; what it said is above", self.child.wait()?);
        }
        serde_json::from_str(&answer).map_err(|error| anyhow!("`firebox measure` answered: {}: {error}", answer.trim()))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.questions = None;
        // Nobody is left to tell when the wait fails; the child is gone either way.
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Driver {
        Driver::start(Command::new("sh").args(["-c", text])).unwrap()
    }

    #[test]
    fn each_question_gets_one_answer() {
        let mut driver = script(r#"while read -r line; do echo '{"make_us":1200.5,"remove_us":299.5,"x":1}'; done"#);
        for _ in 0..2 {
            assert_eq!(driver.next::<CellTimes>().unwrap().sum(), Duration::from_micros(1500));
        }
    }

    #[test]
    fn a_child_that_ended_and_one_that_talks_nonsense_are_told_apart() {
        let error = script("exit 4").next::<CellTimes>().unwrap_err();
        assert!(error.to_string().contains("exit status: 4"), "{error}");
        let error = script("read -r line; echo oops").next::<CellTimes>().unwrap_err();
        assert!(error.to_string().contains("answered: oops"), "{error}");
    }

    #[test]
    fn a_job_that_did_not_end_well_is_no_measurement() {
        let job = |status: &str, stdout: &str| Job {
            status: status.to_owned(),
            stdout: stdout.to_owned(),
            total_us: 1.0,
            stages_us: BTreeMap::new(),
        };
        assert_eq!(job("ok", "hello 1\n").time().unwrap(), Duration::from_micros(1));
        assert!(job("timeout", "hello 1\n").time().unwrap_err().to_string().contains("timeout"));
        assert!(job("ok", "").time().is_err());
        let jobs = Jobs { wall_us: 9.0, jobs: vec![job("ok", "hello 1\n"), job("ok", "")] };
        assert!(jobs.wall().is_err(), "one of them failed");
    }

    #[test]
    fn fewer_jobs_than_asked_for_and_no_rest_are_no_measurement() {
        let answer = r#"{"wall_us":1,"jobs":[]}"#;
        assert!(script(&format!("read -r line; echo '{answer}'")).jobs(2).is_err());
        let answer = r#"{"quiet":false,"cpu_us":5,"looking_us":1}"#;
        assert!(script(&format!("read -r line; echo '{answer}'")).settle().is_err());
    }
}
