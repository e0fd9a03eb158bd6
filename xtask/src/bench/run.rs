//! One whole benchmark: build, measure, show.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::firebox::Firebox;
use super::machine::Machine;
use super::rows::{self, Measured};
use super::table;
use crate::command::{BenchOptions, Length};
use crate::repository::Repository;

/// Everything one run found out, as the JSON has it.
#[derive(Serialize)]
struct Findings<'a> {
    machine: &'a Machine,
    quick: bool,
    seconds: f64,
    rows: Vec<table::Line<'a>>,
}

/// Succeeds when everything that could be measured here was measured; a missed target is a finding, not a failure.
pub(crate) fn run(repository: &Repository, options: &BenchOptions) -> Result<ExitCode> {
    let firebox = build(repository)?;
    let machine = Machine::look(repository, &firebox)?;
    println!("{machine}\n");

    let start = Instant::now();
    let rows = rows::measure(repository, &firebox, options.length)?;
    let took = start.elapsed();

    println!("\n{}", table::text(&rows));
    println!("measured in {:.0} s", took.as_secs_f64());
    if let Some(file) = &options.json {
        write_json(file, &machine, options.length, took, &rows)?;
        println!("also written to {}", file.display());
    }
    let has_failed = rows.iter().any(|row| matches!(row.measured, Measured::Failed { .. }));
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn build(repository: &Repository) -> Result<Firebox> {
    println!("building firebox in release");
    let status = repository
        .cargo()
        .args(["build", "--quiet", "--release", "--package", "firebox"])
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "firebox does not build; the reason is above");
    Ok(Firebox::new(repository.metadata()?.target_directory.join("release/firebox")))
}

fn write_json(file: &Path, machine: &Machine, length: Length, took: Duration, rows: &[rows::Row]) -> Result<()> {
    let findings =
        Findings { machine, quick: length == Length::Quick, seconds: took.as_secs_f64(), rows: table::lines(rows) };
    let json = serde_json::to_string_pretty(&findings)? + "\n";
    std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))
}
