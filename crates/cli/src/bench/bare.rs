//! Their side: the commands that somebody would type, without a cell, and the place where they are run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::hello::Hello;

/// What every Linux host keeps in memory.
const IN_MEMORY: &str = "/dev/shm";

/// Where the bare commands are run, gone when dropped.
pub(super) struct Place(TempDir);

impl Place {
    /// In memory where programs can be started from there, and else where other temporary files are.
    pub(super) fn new() -> Result<Place> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mut made = tempfile::Builder::new();
        made.prefix("firebox-bench-");
        if starts_programs(&mounts)
            && let Ok(place) = made.tempdir_in(IN_MEMORY)
        {
            return Ok(Place(place));
        }
        Ok(Place(made.tempdir().context("cannot make a temporary directory")?))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn is_in_memory(&self) -> bool {
        self.path().starts_with(IN_MEMORY)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path().join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// Whether the directory in memory is one, and lets programs be started from it. The last line of a place counts.
fn starts_programs(mounts: &str) -> bool {
    let mut lines = mounts.lines().rev().map(|line| line.split(' ').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.get(1) == Some(&IN_MEMORY));
    found.is_some_and(|fields| {
        fields.get(2) == Some(&"tmpfs")
            && fields.get(3).is_some_and(|options| !options.split(',').any(|one| one == "noexec"))
    })
}

/// From before the first command is started until the output of the last is read. Writing the source is not in it.
pub(super) fn compile_and_run(place: &Place, hello: &Hello, tool: &Path, seed: usize) -> Result<Duration> {
    place.write(hello.source, &hello.seeded(seed))?;
    let commands = hello.commands(tool, place.path());
    let start = Instant::now();
    let mut said = Vec::new();
    for command in commands {
        said = run(command)?;
    }
    let took = start.elapsed();
    ensure!(said.starts_with(b"hello "), "{} did not say hello", tool.display());
    Ok(took)
}

fn run(mut command: Command) -> Result<Vec<u8>> {
    let name = command.get_program().to_owned();
    let output = command.output().with_context(|| format!("cannot start {}", name.display()))?;
    let says = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} ended with {}: {}", name.display(), output.status, says.trim());
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_memory_is_taken_where_programs_can_be_started_from_it() {
        for (mounts, expected) in [
            ("tmpfs /dev/shm tmpfs rw,nosuid,nodev 0 0\n", true),
            ("tmpfs /dev/shm tmpfs rw,noexec,nodev 0 0\n", false),
            ("tmpfs /dev/shm tmpfs rw 0 0\n/dev/x /dev/shm ext4 rw 0 0\n", false),
            ("/dev/vda / ext4 rw 0 0\n", false),
        ] {
            assert_eq!(starts_programs(mounts), expected, "{mounts}");
        }
    }

    #[test]
    fn a_command_that_fails_says_what_it_said() {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "echo oh no >&2; exit 3"]);
        let error = run(shell).unwrap_err().to_string();
        assert!(error.contains("exit status: 3: oh no"), "{error}");
    }
}
