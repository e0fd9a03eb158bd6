//! Our side: the release binary, driven as a child process that stays for a whole row.
//!
//! `firebox measure cells` and `firebox measure jobs` do one measurement for each line they read and answer it with one
//! line of JSON; the clock is theirs, so that our pipe is not in the numbers.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Variables that cargo and rustup set for us and a user of the binary does not have.
const NOT_A_USERS: [&str; 3] = ["LD_LIBRARY_PATH", "RUSTUP_TOOLCHAIN", "RUST_RECURSION_COUNT"];

pub(super) struct Firebox {
    binary: PathBuf,
}

/// One cell from nothing, and its end.
#[derive(Debug, Deserialize)]
pub(super) struct CellTimes {
    make_us: f64,
    remove_us: f64,
}

/// The jobs of one question.
#[derive(Debug, Deserialize)]
pub(super) struct Jobs {
    jobs: Vec<JobTimes>,
}

/// One job, from its arrival to its outcome.
#[derive(Debug, Deserialize)]
struct JobTimes {
    status: String,
    total_us: f64,
}

/// An entry of `firebox languages --json`, as far as we read it.
#[derive(Debug, Deserialize)]
pub(super) struct Language {
    pub(super) name: String,
    /// Empty when something is missing.
    pub(super) programs: Vec<Program>,
    /// What is missing, and what to install.
    missing: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Program {
    pub(super) name: String,
    /// Where it is on the host, every shim resolved.
    pub(super) path: PathBuf,
}

/// What `firebox run --json` says, as far as we read it.
#[derive(Debug, Deserialize)]
struct Response {
    status: String,
    stdout: String,
    stderr: String,
}

impl CellTimes {
    pub(super) fn sum(&self) -> Duration {
        micros(self.make_us + self.remove_us)
    }
}

impl JobTimes {
    /// The time of a job that did what it was meant to do.
    fn total(&self) -> Result<Duration> {
        ensure!(self.status == "ok", "the job ended as `{}`", self.status);
        Ok(micros(self.total_us))
    }
}

impl Jobs {
    /// The time of all of them.
    pub(super) fn total(&self) -> Result<Duration> {
        self.jobs.iter().map(JobTimes::total).sum()
    }
}

fn micros(count: f64) -> Duration {
    Duration::from_secs_f64(count.max(0.0) / 1e6)
}

impl Firebox {
    pub(super) fn new(binary: PathBuf) -> Firebox {
        Firebox { binary }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        for name in NOT_A_USERS {
            command.env_remove(name);
        }
        command
    }

    pub(super) fn version(&self) -> Result<String> {
        let output = self.succeed(self.command().arg("--version"))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    pub(super) fn languages(&self) -> Result<Vec<Language>> {
        let output = self.succeed(self.command().args(["languages", "--json"]))?;
        serde_json::from_slice(&output.stdout).context("`firebox languages --json` is not the list we know")
    }

    /// Makes and removes a cell for the language with each answer.
    pub(super) fn cells(&self, language: &str) -> Result<Answers> {
        Answers::start(self.command().args(["measure", "cells", "--lang", language]))
    }

    /// Runs the file's code, with a number never used before in it, with each answer.
    pub(super) fn jobs(&self, file: &Path) -> Result<Answers> {
        Answers::start(self.command().args(["measure", "jobs"]).arg(file))
    }

    /// The whole process as a user starts it.
    pub(super) fn run(&self, file: &Path) -> Result<Duration> {
        let start = Instant::now();
        self.succeed(self.command().arg("run").arg(file))?;
        Ok(start.elapsed())
    }

    /// What a program prints in a jail.
    pub(super) fn stdout_of(&self, file: &Path) -> Result<String> {
        let output = self.succeed(self.command().args(["run", "--json"]).arg(file))?;
        let response: Response =
            serde_json::from_slice(&output.stdout).context("`firebox run --json` did not print a response")?;
        ensure!(response.status == "ok", "the job ended as `{}`: {}", response.status, response.stderr.trim());
        Ok(response.stdout)
    }

    fn succeed(&self, command: &mut Command) -> Result<Output> {
        let output = command.stdin(Stdio::null()).output().with_context(|| self.cannot_start())?;
        let says = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command:?} ended with {}: {}", output.status, says.trim());
        Ok(output)
    }

    fn cannot_start(&self) -> String {
        format!("cannot start {}", self.binary.display())
    }
}

/// The resolved place of a language's program, or why there is none.
pub(super) fn program<'a>(languages: &'a [Language], language: &str, program: &str) -> Result<&'a Path> {
    let entry = languages
        .iter()
        .find(|entry| entry.name == language)
        .with_context(|| format!("firebox knows no language `{language}`"))?;
    if let Some(missing) = &entry.missing {
        bail!("{missing}");
    }
    let known = entry.programs.iter().find(|known| known.name == program);
    let known = known.with_context(|| format!("firebox knows no program `{program}` of `{language}`"))?;
    Ok(&known.path)
}

/// A child that measures once for each line it reads. Dropping it closes its input, which ends it.
pub(super) struct Answers {
    child: Child,
    /// Taken when the child is to end.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Answers {
    fn start(command: &mut Command) -> Result<Answers> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start {command:?}"))?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{command:?} has no pipes");
        };
        Ok(Answers { child, questions: Some(questions), answers: BufReader::new(answers) })
    }

    /// One measurement.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut answer = String::new();
        // A child that has ended answers the question by a broken pipe; its status tells more than that.
        let asked = self.questions.as_mut().is_some_and(|to| to.write_all(b"\n").and_then(|()| to.flush()).is_ok());
        if !asked || self.answers.read_line(&mut answer)? == 0 {
            self.questions = None;
            return Err(anyhow!("`firebox measure` ended with {}; what it said is above", self.child.wait()?));
        }
        serde_json::from_str(&answer).with_context(|| format!("`firebox measure` answered: {}", answer.trim()))
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.questions = None;
        // Nobody is left to tell when the wait fails; the child is gone either way.
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Answers {
        Answers::start(Command::new("sh").args(["-c", text])).unwrap()
    }

    #[test]
    fn each_question_gets_one_answer() {
        let mut answers = script(r#"while read -r line; do echo '{"make_us":1200.5,"remove_us":299.5,"x":1}'; done"#);
        for _ in 0..2 {
            assert_eq!(answers.next::<CellTimes>().unwrap().sum(), Duration::from_micros(1500));
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
        let times = JobTimes { status: "timeout".to_owned(), total_us: 1.0 };
        assert!(times.total().unwrap_err().to_string().contains("timeout"));
    }

    #[test]
    fn a_missing_program_says_what_is_missing() {
        let text = r#"[
            {"name": "rust", "programs": [{"name": "rustc", "path": "/usr/bin/rustc"}], "missing": null},
            {"name": "c", "programs": [], "missing": "c needs `cc`; install gcc"}
        ]"#;
        let languages: Vec<Language> = serde_json::from_str(text).unwrap();
        assert_eq!(program(&languages, "rust", "rustc").unwrap(), Path::new("/usr/bin/rustc"));
        for (language, name, says) in
            [("c", "cc", "install gcc"), ("rust", "cc", "no program"), ("go", "go", "no language `go`")]
        {
            let error = program(&languages, language, name).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
