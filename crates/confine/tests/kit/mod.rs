//! Running commands under a job's confinement, and as a control without it, by way of the example that confines itself.

#![allow(dead_code, reason = "each test binary uses its own part of the kit")]

pub(crate) mod programs;
pub(crate) mod trace;

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use self::trace::{Call, TRACING};

/// A confined process's world: everything readable, one directory writable.
pub(crate) struct Cell {
    pub(crate) work: TempDir,
    input: File,
}

impl Cell {
    pub(crate) fn new() -> Cell {
        Cell::with_input("/dev/null")
    }

    /// One whose commands find `input` open as their standard input.
    pub(crate) fn with_input(input: &str) -> Cell {
        let work = tempfile::tempdir().expect("a directory to work in");
        let input = File::open(input).unwrap_or_else(|error| panic!("cannot open {input}: {error}"));
        Cell { work, input }
    }

    /// Runs one verb of the example to its end; `timeout` sees to it that there is one.
    pub(crate) fn confined(&self, verb: &str, arguments: &[&str]) -> Output {
        self.run(&[&[verb], arguments].concat())
    }

    /// The same with nothing but the `timeout` around it, so only for what does the host no harm.
    pub(crate) fn unconfined(&self, verb: &str, arguments: &[&str]) -> Output {
        self.run(&[&["unconfined", verb], arguments].concat())
    }

    /// Runs a command under confinement, and tells every system call of it and of all that it starts.
    pub(crate) fn traced(&self, command: &[&str]) -> (Output, Vec<Call>) {
        let traces = tempfile::tempdir().expect("a directory for traces");
        let mut strace: Vec<OsString> = TRACING.iter().map(OsString::from).collect();
        // A file for each process and thread, so that no two share a line.
        strace.extend(["-ff".into(), "-o".into(), traces.path().join("of").into_os_string()]);
        let output = self.run_through(&strace, &[&["exec"], command].concat());
        (output, trace::read(traces.path()))
    }

    fn run(&self, words: &[&str]) -> Output {
        self.run_through(&[], words)
    }

    fn run_through(&self, wrapper: &[OsString], words: &[&str]) -> Output {
        Command::new("timeout")
            .args(["--signal=KILL", "120"])
            .args(wrapper)
            .arg(example())
            .arg(self.work.path())
            .args(words)
            .stdin(self.input.try_clone().expect("one more descriptor"))
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
