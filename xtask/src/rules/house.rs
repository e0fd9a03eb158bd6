//! All house rules over the whole project.
//!
//! Reads files, changes none. Called by `cargo xtask rules` and as a step of `cargo xtask test`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

use super::{edges, leave_out, length, machine_paths, names, unsafe_words};
use crate::repository::Repository;

/// One place where a rule is broken: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) file: PathBuf,
    /// Counted from 1; `None` when it is about the file as a whole.
    pub(crate) line: Option<usize>,
    pub(crate) what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.what),
            None => write!(f, "{}: {}", self.file.display(), self.what),
        }
    }
}

pub(crate) fn run(repository: &Repository) -> Result<ExitCode> {
    let broken = check(repository)?;
    for one in &broken {
        println!("{one}");
    }
    match broken.len() {
        0 => {
            println!("the house rules hold");
            Ok(ExitCode::SUCCESS)
        }
        count => {
            println!("{count} broken house rule{}", if count == 1 { "" } else { "s" });
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Every place where a rule is broken, rule by rule.
pub(crate) fn check(repository: &Repository) -> Result<Vec<Broken>> {
    let files = repository.files()?;
    let architecture = repository.text(Path::new(edges::FILE)).ok().flatten().unwrap_or_default();
    let mut broken = edges::check(&architecture, &edges::real_edges(repository)?);
    broken.extend(leave_out::check(&repository.metadata()?.packages, repository.root()));
    for file in &files {
        broken.extend(names::check(file));
        let Some(text) = repository.text(file)? else { continue };
        broken.extend(machine_paths::check(file, &text));
        if file.extension().is_some_and(|extension| extension == "rs") {
            broken.extend(length::check(file, &text));
            broken.extend(unsafe_words::check(file, &text));
        }
    }
    Ok(broken)
}
