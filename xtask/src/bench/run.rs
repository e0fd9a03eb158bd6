//! One whole benchmark: build, measure, show.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::data::Findings;
use super::firebox::Firebox;
use super::machine::Machine;
use super::row::{Measured, Row};
use super::{plot, rows, table};
use crate::command::{BenchOptions, Length};
use crate::repository::Repository;

/// Where the findings of a full run go when nobody says otherwise.
const PUBLISHED: &str = "docs/benchmarks";

/// Succeeds when everything that could be measured here was measured; a missed target is a finding, not a failure.
pub(crate) fn run(repository: &Repository, options: &BenchOptions) -> Result<ExitCode> {
    let firebox = build(repository)?;
    let machine = Machine::look(repository, &firebox)?;
    println!("{machine}\n");

    let start = Instant::now();
    let rows = rows::measure(repository, &firebox, options.length, options.only.as_deref())?;
    let took = start.elapsed();
    ensure!(!rows.is_empty(), "there is no row with `{}` in its id", options.only.as_deref().unwrap_or_default());

    println!("\n{}", table::text(&rows));
    println!("measured in {:.0} s", took.as_secs_f64());
    if let Some(folder) = destination(repository, options) {
        write(&folder, &machine, options.length, took, &rows)?;
        println!("also written to {}", folder.display());
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

/// What is quick or a part does not replace what is published.
fn destination(repository: &Repository, options: &BenchOptions) -> Option<PathBuf> {
    let is_whole = options.length == Length::Full && options.only.is_none();
    options.to.clone().or_else(|| is_whole.then(|| repository.root().join(PUBLISHED)))
}

fn write(folder: &Path, machine: &Machine, length: Length, took: Duration, rows: &[Row]) -> Result<()> {
    let seconds = took.as_secs();
    let json = Findings::new(machine, length == Length::Quick, seconds, rows).json()?;
    let page = format!(
        "# Results\n\nWhat `cargo xtask bench` printed; [README.md](README.md) says how to read it.\n\n\
         ![ratios as bars](results.svg)\n\n{machine}\n- measured in {seconds} s\n\n{}",
        table::text(rows)
    );
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, text) in
        [("results.json", json), ("results.svg", plot::svg(rows, &machine.in_one_line())), ("results.md", page)]
    {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
