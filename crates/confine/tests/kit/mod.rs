//! Running commands under a job's confinement, by way of the example that confines itself.

use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A confined process's world: everything readable, one directory writable.
pub(crate) struct Cell {
    pub(crate) work: TempDir,
}

impl Cell {
    pub(crate) fn new() -> Cell {
        Cell { work: tempfile::tempdir().expect("a directory to work in") }
    }

    /// Runs one verb of the example to its end; `timeout` sees to it that there is one.
    pub(crate) fn confined(&self, verb: &str, arguments: &[&str]) -> Output {
        Command::new("timeout")
            .args(["--signal=KILL", "120"])
            .arg(example())
            .arg(self.work.path())
            .arg(verb)
            .args(arguments)
            .env("TMPDIR", self.work.path())
            .output()
            .expect("timeout(1) runs the example")
    }

    /// Runs a command that has to succeed, and gives what it printed.
    pub(crate) fn succeeds(&self, command: &[&str]) -> String {
        let output = self.confined("exec", command);
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
        stdout.into_owned()
    }
}

/// The example beside this test; `cargo test` builds it along.
fn example() -> PathBuf {
    let test = std::env::current_exe().expect("our own path");
    let example = test.parent().and_then(|deps| deps.parent()).expect("target/debug").join("examples/confined");
    assert!(example.exists(), "build {} first: cargo build --example confined", example.display());
    example
}
