//! `cargo xtask load`: the service under load for longer than a test may take, and as it is released.
//!
//! The clients are `tests/load.rs`, a process of its own with the kit of the end-to-end tests: its guard around the service, its
//! inventory of what is left. Then `tests/load_jobs.rs` has jobs that outlive a connection, and kills the service in the middle.
//! `cargo xtask test` runs a short form of both.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::command::LoadOptions;
use crate::repository::Repository;

/// Fails if a single answer was wrong, something grew, or something was left.
pub(crate) fn run(repository: &Repository, options: &LoadOptions) -> Result<ExitCode> {
    let LoadOptions { clients, seconds, jobs } = options;
    let status = repository.cargo().args(["build", "--quiet", "--release", "--package", "firebox"]).status();
    ensure!(status.context("cannot start cargo")?.success(), "firebox does not build; the reason is above");
    let mut test = repository.cargo();
    test.args(["test", "--quiet", "--package", "firebox", "--test", "load", "--test", "load_jobs", "--no-fail-fast"]);
    test.args(["--", "--nocapture", "--test-threads=1"]).env("FIREBOX_LOAD_JOBS", jobs.to_string());
    test.env("FIREBOX_TEST_BINARY", repository.metadata()?.target_directory.join("release/firebox"));
    test.env("FIREBOX_LOAD_CLIENTS", clients.to_string()).env("FIREBOX_LOAD_SECONDS", seconds.to_string());
    let status = test.status().context("cannot start cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
