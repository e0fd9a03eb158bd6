//! What is measured: the programs under xtask/bench, and how each is started bare.
//!
//! The bare commands carry the options and the variables that Firebox gives too, so that both sides do the same
//! work: the language files under `languages/` say which. When one of those changes, so must this list.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// In a source: replaced by a number never used before, so that nobody has seen this code.
const SEED: &str = "@SEED@";

/// What a compiled program is called, on both sides.
pub(super) const PROGRAM: &str = "runbin";

/// A program in a language, as a file and as a command.
pub(super) struct Subject {
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
    /// The bound on ours by bare; `None` where nothing is promised yet.
    pub(super) target: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The tool makes [`PROGRAM`], which is then run.
    Compiled,
    /// The tool runs the source.
    Interpreted,
}

const RUSTC: [&str; 5] = ["-o", PROGRAM, "--edition", "2024", "main.rs"];

pub(super) const HELLOS: [Subject; 5] = [
    Subject {
        title: "Rust hello, never seen, compile and run",
        language: "rust",
        file: "hello.rs",
        source: "main.rs",
        tool: "rustc",
        arguments: &RUSTC,
        environment: &[],
        kind: Kind::Compiled,
        target: Some(0.30),
    },
    Subject {
        title: "C hello, never seen, compile and run",
        language: "c",
        file: "hello.c",
        source: "main.c",
        tool: "cc",
        arguments: &["-o", PROGRAM, "-std=gnu17", "-pthread", "-x", "c", "main.c", "-x", "none", "-lm"],
        environment: &[],
        kind: Kind::Compiled,
        target: None,
    },
    Subject {
        title: "Python hello",
        language: "python",
        file: "hello.py",
        source: "main.py",
        tool: "python",
        arguments: &["main.py"],
        environment: &[("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUNBUFFERED", "1")],
        kind: Kind::Interpreted,
        target: Some(0.25),
    },
    Subject {
        title: "Node hello",
        language: "javascript",
        file: "hello.js",
        source: "main.js",
        tool: "node",
        arguments: &["./main.js"],
        environment: &[],
        kind: Kind::Interpreted,
        target: Some(0.30),
    },
    Subject {
        title: "Bash hello",
        language: "bash",
        file: "hello.sh",
        source: "main.sh",
        tool: "bash",
        arguments: &["main.sh"],
        environment: &[],
        kind: Kind::Interpreted,
        target: Some(1.0),
    },
];

pub(super) const COMPUTE: Subject = Subject {
    title: "compute-bound Rust, its own clock",
    language: "rust",
    file: "compute.rs",
    source: "main.rs",
    tool: "rustc",
    arguments: &RUSTC,
    environment: &[],
    kind: Kind::Compiled,
    target: Some(1.02),
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
    fn every_hello_changes_with_its_seed_so_that_no_run_has_seen_it() {
        let repository = Repository::find().unwrap();
        for subject in HELLOS {
            let text = subject.text(repository.root()).unwrap();
            assert_ne!(seeded(&text, 1), seeded(&text, 2), "{}", subject.title);
            assert!(!seeded(&text, 1).contains(SEED), "{}", subject.title);
        }
    }
}
