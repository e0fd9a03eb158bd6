//! `cargo xtask fuzz`: what clients, operators and images say, made up by a fuzzer that sees which code it reaches.
//!
//! A target is a file of `fuzz/targets`, which says what must be true whatever it is given; `fuzz/seeds` has what it begins with.
//! What was found interesting is kept in the target directory for the next time, and what broke something, too. The
//! stable compiler does: libFuzzer needs no more than its marks at every branch, which are a pass of LLVM.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::command::FuzzOptions;
use crate::repository::Repository;

/// The doors of ours that are there for fuzzing alone.
const DOORS: &str = "--cfg fuzzing";
/// Marks for the fuzzer, in everything that is built.
const MARKS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// More than a fuzzer fills by itself; what takes longer or holds more is a finding.
const BOUNDS: [&str; 3] = ["-max_len=65536", "-timeout=10", "-rss_limit_mb=2048"];

/// Each target for so long, the next even if one has found something.
pub(crate) fn run(repository: &Repository, options: &FuzzOptions) -> Result<ExitCode> {
    let FuzzOptions { seconds, only } = options;
    let folder = repository.root().join("fuzz");
    let targets = targets(&folder, only.as_deref())?;
    ensure!(!targets.is_empty(), "there is no target with `{}` in its name", only.as_deref().unwrap_or_default());
    let (place, host) = (place(repository)?, host()?);
    let status = build(repository)?.status().context("cannot start cargo")?;
    ensure!(status.success(), "the targets do not build; the reason is above");

    let mut found = Vec::new();
    for name in &targets {
        println!("== {name}: {seconds} s");
        let (corpus, broken) = (place.join("corpus").join(name), place.join("found").join(name));
        for folder in [&corpus, &broken] {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let mut target = Command::new(place.join(&host).join("release").join(name));
        target.args(BOUNDS).args(["-verbosity=0", "-print_funcs=0", "-print_final_stats=1"]);
        target.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", broken.display()));
        target.args([&corpus, &folder.join("seeds").join(name)]);
        let status = target.status().with_context(|| format!("cannot start the target {name}"))?;
        if !status.success() {
            found.push(name.as_str());
            println!("== {name} has found something: {status}; what did it is in {}", broken.display());
        }
    }
    match found.as_slice() {
        [] => println!("nothing found in {}", targets.join(", ")),
        found => println!("found something: {}", found.join(", ")),
    }
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A command of cargo's for the targets, and for them alone: nothing else is built with their flags.
fn build(repository: &Repository) -> Result<Command> {
    let mut cargo = repository.cargo();
    cargo.args(["build", "--quiet", "--release", "--target", &host()?, "--manifest-path", "fuzz/Cargo.toml"]);
    cargo.env("CARGO_TARGET_DIR", place(repository)?).env("RUSTFLAGS", format!("{DOORS} {MARKS}"));
    Ok(cargo)
}

/// Where they are built, and what they find is.
fn place(repository: &Repository) -> Result<PathBuf> {
    Ok(repository.metadata()?.target_directory.join("fuzz"))
}

/// Lints them, and the doors of ours that are there for them. Without the marks, which no lint reads: so it shares all that is built for
/// this host with the other lints.
pub(crate) fn lint(repository: &Repository) -> Result<Command> {
    let mut cargo = repository.cargo();
    cargo.args([
        "clippy",
        "--quiet",
        "--target",
        &host()?,
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--",
        "-D",
        "warnings",
    ]);
    cargo.env("CARGO_TARGET_DIR", repository.metadata()?.target_directory).env("RUSTFLAGS", DOORS);
    Ok(cargo)
}

/// By name, in order.
fn targets(folder: &Path, only: Option<&str>) -> Result<Vec<String>> {
    let targets = folder.join("targets");
    let files = std::fs::read_dir(&targets).with_context(|| format!("cannot list {}", targets.display()))?;
    let files = files.map(|file| Ok(file?.path())).collect::<std::io::Result<Vec<PathBuf>>>()?;
    let names = files.iter().filter_map(|file| file.file_stem()?.to_str());
    let mut names: Vec<String> =
        names.filter(|name| only.is_none_or(|only| name.contains(only))).map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// What this compiler builds for by itself. It has to be said, since only then the marks stay out of build scripts.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` does not say what it builds for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_seeds_and_a_program() {
        let folder = Repository::find().unwrap().root().join("fuzz");
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let names = targets(&folder, None).unwrap();
        assert!(names.iter().any(|name| name == "request"), "{names:?}");
        for name in names {
            assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name} is not in the manifest");
            assert!(folder.join("seeds").join(&name).read_dir().unwrap().next().is_some(), "{name} has no seed");
        }
        assert_eq!(targets(&folder, Some("doo")).unwrap(), ["door"]);
    }
}
