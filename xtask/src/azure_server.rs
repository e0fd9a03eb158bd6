//! `azurite`, Microsoft's server of Azure Blob Storage for tests: installed from npm in the versions that the repository names,
//! with the hash of every file, into the directory for builds.
//!
//! Where that cannot be done, the tests that need it are skipped, and say so. Why this one: decision 24.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::host_packages::on_path;
use crate::repository::Repository;
use crate::said::done;

/// What it is, and which version of everything that it needs.
const NAMED: [&str; 2] = ["package.json", "package-lock.json"];

/// Where the program is.
#[derive(Debug)]
pub(crate) struct AzureServer {
    program: PathBuf,
}

impl AzureServer {
    /// Installs it, unless that was done before.
    pub(crate) fn install(repository: &Repository) -> Result<AzureServer> {
        let place = repository.metadata()?.target_directory.join("azurite");
        let (program, stamp) = (place.join("node_modules/.bin/azurite-blob"), place.join("installed"));
        let named = repository.root().join("tests/azurite");
        let wanted = fs::read_to_string(named.join(NAMED[1])).context("cannot read tests/azurite/package-lock.json")?;
        if program.is_file() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(AzureServer { program });
        }
        let npm = on_path("npm").context("`npm` is missing: Node.js 20 or newer comes with it")?;
        println!("installing azurite into {}", place.display());
        fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        for file in NAMED {
            fs::copy(named.join(file), place.join(file)).with_context(|| format!("cannot copy {file}"))?;
        }
        let mut npm = Command::new(npm);
        // None of what is downloaded runs while it is installed.
        done(npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&place))?;
        // An older Node.js does not come as far as that.
        done(Command::new(&program).arg("--version"))?;
        // Last, so that what broke off is begun anew.
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
        Ok(AzureServer { program })
    }

    /// Tells the tests.
    pub(crate) fn hand_over(&self, command: &mut Command) {
        command.env("FIREBOX_TEST_AZURE", &self.program);
    }
}
