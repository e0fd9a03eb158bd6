//! Our side: the release binary, and what it knows of this host.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::driver::{Driver, Quiet};
use super::served::Service;
use super::subject::Subject;
use crate::said::{done, said};

/// Variables that cargo and rustup set for us and a user of the binary does not have.
const NOT_A_USERS: [&str; 3] = ["LD_LIBRARY_PATH", "RUSTUP_TOOLCHAIN", "RUST_RECURSION_COUNT"];

/// How many cells wait for jobs: no more than what does not count at the beginning of the shortest row.
pub(super) const WARM: &str = "4";

pub(super) struct Firebox {
    binary: PathBuf,
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

/// What `firebox measure memory` says, as far as we read it.
#[derive(Debug, Deserialize)]
struct Memory {
    bytes: u64,
}

/// Which options `firebox measure jobs` has.
#[derive(Debug, Deserialize)]
struct Offers {
    jobs: Vec<String>,
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
        let output = said(self.command().arg("--version"))?;
        Ok(output.trim().to_owned())
    }

    pub(super) fn languages(&self) -> Result<Vec<Language>> {
        let output = said(self.command().args(["languages", "--json"]))?;
        serde_json::from_str(&output).context("`firebox languages --json` is not the list we know")
    }

    /// The options of `firebox measure jobs`: what this version can do.
    pub(super) fn offers(&self) -> Result<Vec<String>> {
        let output = said(self.command().args(["measure", "offers"]))?;
        let offers: Offers =
            serde_json::from_str(&output).context("`firebox measure offers` is not the list we know")?;
        Ok(offers.jobs)
    }

    /// Makes and removes a cell for the language with each answer.
    pub(super) fn cells(&self, language: &str) -> Result<Driver> {
        Driver::start(self.command().args(["measure", "cells", "--lang", language]))
    }

    /// Prepares one more cell for the language with each answer, and keeps them all.
    pub(super) fn stock(&self, language: &str) -> Result<Driver> {
        Driver::start(self.command().args(["measure", "stock", "--lang", language]))
    }

    /// Runs these programs, the first one's way, with a number never used before in each job's code.
    pub(super) fn jobs(&self, root: &Path, subjects: &[&Subject], options: &[String]) -> Result<Driver> {
        let mut command = self.command();
        command.args(["measure", "jobs"]).args(options);
        if let Some(first) = subjects.first() {
            command.args(first.our_options);
        }
        command.args(subjects.iter().map(|subject| subject.path(root)));
        command.arg("--").args(subjects.iter().flat_map(|subject| subject.program_arguments));
        Driver::start(&mut command)
    }

    /// The same on an image of a store.
    pub(super) fn jobs_on(&self, root: &Path, subject: &Subject, options: &[String], home: &Path) -> Result<Driver> {
        let mut command = self.command();
        command.env("FIREBOX_HOME", home).args(["measure", "jobs"]).args(options).args(subject.our_options);
        command.arg(subject.path(root)).arg("--").args(subject.program_arguments);
        Driver::start(&mut command)
    }

    /// What is asked of a store of images, to be answered in JSON.
    pub(super) fn rootfs(&self, home: &Path, verb: &str) -> Command {
        let mut command = self.command();
        command.args(["rootfs", "--json", "--home"]).arg(home).arg(verb);
        command
    }

    /// The service, for one language, with as much kept ready as our side of a comparison has otherwise.
    pub(super) fn serve(&self, language: &str) -> Result<Service> {
        let mut command = self.command();
        command.args(["serve", "--listen", "127.0.0.1:0", "--languages", language, "--warm", WARM, "--state", "none"]);
        Service::start(&mut command)
    }

    /// Waits until nothing goes on in a process of ours and what it started.
    pub(super) fn quiet(&self, pid: u32) -> Result<()> {
        let output = said(self.command().args(["measure", "quiet", &pid.to_string()]))?;
        let quiet: Quiet = serde_json::from_str(&output).context("`firebox measure quiet` says something else")?;
        ensure!(quiet.came(), "process {pid} does not come to rest");
        Ok(())
    }

    /// Bytes of memory of a process of ours and what it started, where what several share is divided among them. Needs root's
    /// rights.
    pub(super) fn memory(&self, pid: u32) -> Result<u64> {
        let output = said(self.command().args(["measure", "memory", &pid.to_string()]))?;
        let memory: Memory = serde_json::from_str(&output).context("`firebox measure memory` says something else")?;
        Ok(memory.bytes)
    }

    /// The whole process as a user starts it.
    pub(super) fn run(&self, file: &Path) -> Result<Duration> {
        let start = Instant::now();
        done(self.command().arg("run").arg(file))?;
        Ok(start.elapsed())
    }

    /// What a program prints in a jail.
    pub(super) fn stdout_of(&self, file: &Path) -> Result<String> {
        let output = said(self.command().args(["run", "--json"]).arg(file))?;
        let response: Response =
            serde_json::from_str(&output).context("`firebox run --json` did not print a response")?;
        ensure!(response.status == "ok", "the job ended as `{}`: {}", response.status, response.stderr.trim());
        Ok(response.stdout)
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

#[cfg(test)]
mod tests {
    use super::*;

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
