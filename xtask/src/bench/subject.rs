//! What is measured: the programs under xtask/bench, and how each is started bare.
//!
//! The bare commands carry the options and the variables that change what is done, the same as a cell's; what only
//! makes ours faster is not theirs. The language files under `languages/` say which. When one of those changes, so may
//! this list.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// In a source: replaced by a number never used before, so that nobody has seen this code.
const SEED: &str = "@SEED@";

/// What a compiled program is called, on both sides.
pub(super) const PROGRAM: &str = "runbin";

/// A program in a language, as a file and as a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    /// What it is called in the JSON.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// The language's name in the catalogue.
    pub(super) language: &'static str,
    /// Below xtask/bench.
    file: &'static str,
    /// The name of the file in the place where it is compiled and run.
    pub(super) source: &'static str,
    /// The compiler or interpreter, by its name in the language's file.
    pub(super) tool: &'static str,
    pub(super) arguments: &'static [&'static str],
    pub(super) environment: &'static [(&'static str, &'static str)],
    pub(super) kind: Kind,
    /// How ours is asked for the same, where that needs words.
    pub(super) our_options: &'static [&'static str],
    /// What the program gets to hear, on both sides.
    pub(super) program_arguments: &'static [&'static str],
    /// The bound on ours by bare.
    pub(super) target: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The tool makes [`PROGRAM`], which is then run.
    Compiled,
    /// The tool runs the source.
    Interpreted,
}

const RUST: Subject = Subject {
    id: "rust",
    title: "Rust hello, never seen, compile and run",
    language: "rust",
    file: "hello.rs",
    source: "main.rs",
    tool: "rustc",
    arguments: &["-o", PROGRAM, "--edition", "2024", "main.rs"],
    environment: &[],
    kind: Kind::Compiled,
    our_options: &[],
    program_arguments: &[],
    target: Some(0.30),
};

const PYTHON: Subject = Subject {
    id: "python",
    title: "Python hello",
    language: "python",
    file: "hello.py",
    source: "main.py",
    tool: "python",
    arguments: &["main.py"],
    environment: &[("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUNBUFFERED", "1")],
    kind: Kind::Interpreted,
    our_options: &[],
    program_arguments: &[],
    target: Some(0.25),
};

pub(super) const HELLOS: [Subject; 5] = [
    RUST,
    Subject {
        id: "c",
        title: "C hello, never seen, compile and run",
        language: "c",
        file: "hello.c",
        source: "main.c",
        tool: "cc",
        arguments: &["-o", PROGRAM, "-std=gnu17", "-pthread", "-x", "c", "main.c", "-x", "none", "-lm"],
        target: Some(0.6),
        ..RUST
    },
    PYTHON,
    Subject {
        id: "node",
        title: "Node hello",
        language: "javascript",
        file: "hello.js",
        source: "main.js",
        tool: "node",
        arguments: &["./main.js"],
        environment: &[],
        target: Some(0.30),
        ..PYTHON
    },
    Subject {
        id: "bash",
        title: "Bash hello",
        language: "bash",
        file: "hello.sh",
        source: "main.sh",
        tool: "bash",
        arguments: &["main.sh"],
        environment: &[],
        target: Some(1.0),
        ..PYTHON
    },
];

pub(super) const LEDGER: Subject = Subject {
    id: "rust_ledger",
    title: "60 lines of Rust, never seen, compile and run",
    file: "ledger.rs",
    target: Some(0.70),
    ..RUST
};

/// Its code does not change from job to job: see the row.
pub(super) const RUST_AGAIN: Subject = Subject {
    id: "rust_again",
    title: "the same Rust hello again",
    our_options: &["--same"],
    target: Some(0.05),
    ..RUST
};

/// What a tool that was started beforehand for the usual job cannot serve.
pub(super) const UNUSUAL: [Subject; 5] = [
    Subject {
        id: "python_arguments",
        title: "Python hello with arguments",
        program_arguments: &["one", "two"],
        target: Some(1.0),
        ..PYTHON
    },
    Subject {
        id: "python_environment",
        title: "Python hello with a variable",
        environment: &[("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUNBUFFERED", "1"), ("COLOUR", "blue")],
        our_options: &["--env", "COLOUR=blue"],
        target: Some(1.0),
        ..PYTHON
    },
    Subject {
        id: "python_cookie",
        title: "Python hello in another encoding",
        file: "cookie.py",
        target: Some(1.0),
        ..PYTHON
    },
    Subject {
        id: "rust_edition",
        title: "Rust hello of edition 2021",
        arguments: &["-o", PROGRAM, "--edition", "2021", "main.rs"],
        our_options: &["--option", "edition=2021"],
        target: Some(1.0),
        ..RUST
    },
    Subject {
        id: "rust_release",
        title: "Rust hello, optimised",
        arguments: &["-o", PROGRAM, "--edition", "2024", "-C", "opt-level=3", "main.rs"],
        our_options: &["--option", "profile=release"],
        target: Some(1.0),
        ..RUST
    },
];

pub(super) const COMPUTE: Subject = Subject {
    id: "compute",
    title: "compute-bound Rust, its own clock",
    file: "compute.rs",
    target: Some(1.02),
    ..RUST
};

impl Subject {
    pub(super) fn path(&self, root: &Path) -> PathBuf {
        root.join("xtask/bench").join(self.file)
    }

    pub(super) fn text(&self, root: &Path) -> Result<String> {
        let path = self.path(root);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// What ours is measured against, in a few words.
    pub(super) fn bare_name(&self) -> String {
        match self.kind {
            Kind::Compiled => format!("bare {}, then the program", self.tool),
            Kind::Interpreted => format!("bare {}", self.tool),
        }
    }
}

/// The code with its number filled in.
pub(super) fn seeded(text: &str, seed: u64) -> String {
    text.replace(SEED, &seed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Repository;

    #[test]
    fn every_program_but_the_one_that_computes_changes_with_its_seed_so_that_no_run_has_seen_it() {
        let repository = Repository::find().unwrap();
        for subject in HELLOS.iter().chain([&LEDGER]).chain(&UNUSUAL) {
            let text = subject.text(repository.root()).unwrap();
            assert_ne!(seeded(&text, 1), seeded(&text, 2), "{}", subject.title);
            assert!(!seeded(&text, 1).contains(SEED), "{}", subject.title);
        }
    }

    #[test]
    fn the_sixty_lines_are_about_sixty() {
        let text = LEDGER.text(Repository::find().unwrap().root()).unwrap();
        let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
        assert!((55..=65).contains(&lines), "{lines}");
    }
}
