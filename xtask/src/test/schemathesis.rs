//! Schemathesis, which attacks the HTTP API by its own description: installed from PyPI in the one version that the repository
//! names, with the hash of every file, into the directory for builds.
//!
//! Where that cannot be done, the test that needs it is skipped, and says so.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::python::{make_environment, pip};
use crate::repository::Repository;
use crate::said::done;

/// Which version, and what it needs. `requirements.in` beside it has what it is made from.
const REQUIREMENTS: &str = "tests/schemathesis/requirements.txt";

/// Where the program is.
#[derive(Debug)]
pub(super) struct Schemathesis {
    program: PathBuf,
}

impl Schemathesis {
    /// Installs it, unless that was done before.
    pub(super) fn install(repository: &Repository) -> Result<Schemathesis> {
        let requirements = repository.root().join(REQUIREMENTS);
        let wanted = fs::read_to_string(&requirements).with_context(|| format!("cannot read {REQUIREMENTS}"))?;
        let place = repository.metadata()?.target_directory.join("schemathesis");
        let (program, stamp) = (place.join("bin/schemathesis"), place.join("requirements.txt"));
        if program.is_file() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(Schemathesis { program });
        }
        println!("installing schemathesis into {}", place.display());
        make_environment(&place)?;
        done(&mut pip(&place, "install", &requirements))?;
        // Last, so that what broke off is begun anew.
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
        Ok(Schemathesis { program })
    }

    /// Tells the tests.
    pub(super) fn hand_over(&self, command: &mut Command) {
        command.env("FIREBOX_TEST_SCHEMATHESIS", &self.program);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_is_installed_has_a_version_and_a_hash() {
        let requirements = Repository::find().unwrap().root().join(REQUIREMENTS);
        let text = fs::read_to_string(requirements).unwrap().replace("\\\n", "");
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect();
        assert!(lines.iter().any(|line| line.starts_with("schemathesis==")), "{lines:?}");
        for line in lines {
            assert!(line.contains("==") && line.contains("--hash=sha256:"), "{line}");
        }
    }
}
