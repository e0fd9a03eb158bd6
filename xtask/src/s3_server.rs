//! `s3s-fs`, a server that speaks S3: installed from crates.io in one version, with the dependencies that its own lock file names,
//! into the directory for builds.
//!
//! Where that cannot be done, the tests and measurements that need it are skipped, and say so. Why this one: decision 24.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::repository::Repository;
use crate::said::done;

const VERSION: &str = "0.14.1";
/// In which tests look for it.
pub(crate) const VARIABLE: &str = "FIREBOX_TEST_S3";

/// Where the program is.
#[derive(Debug)]
pub(crate) struct S3Server {
    program: PathBuf,
}

impl S3Server {
    /// Installs it, unless that was done before.
    pub(crate) fn install(repository: &Repository) -> Result<S3Server> {
        let place = repository.metadata()?.target_directory.join("s3s-fs");
        let (program, stamp) = (place.join("bin/s3s-fs"), place.join("version"));
        if program.is_file() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == VERSION) {
            return Ok(S3Server { program });
        }
        println!("installing s3s-fs {VERSION} into {}", place.display());
        let built = place.join("build");
        let mut cargo = repository.cargo();
        cargo.args([
            "install",
            "--quiet",
            "--locked",
            "--force",
            "--version",
            VERSION,
            "--features",
            "binary",
            "s3s-fs",
        ]);
        cargo.arg("--root").arg(&place).arg("--target-dir").arg(&built);
        // A server for tests need not be fast, but there soon.
        cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
        done(&mut cargo)?;
        // The program is all that is of use. What cannot be removed is in nobody's way.
        let _ = fs::remove_dir_all(&built);
        // Last, so that what broke off is begun anew.
        fs::write(&stamp, VERSION).with_context(|| format!("cannot write {}", stamp.display()))?;
        Ok(S3Server { program })
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Tells the tests.
    pub(crate) fn hand_over(&self, command: &mut Command) {
        command.env(VARIABLE, &self.program);
    }
}
