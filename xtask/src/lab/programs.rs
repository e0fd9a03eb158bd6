//! The test programs that run in the lab.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::repository::Repository;

/// Which tests are about KVM: of which package, and which of its targets.
const TESTS: [(&str, &[&str]); 3] = [
    ("firebox-vmm", &["--lib", "--tests"]),
    ("firebox-microvm", &["--tests"]),
    (PRODUCT, &["--test", "guest_boots", "--test", "microvm", "--test", "monitors"]),
];
/// What is about bytes, and takes minutes in there to find the same.
const OF_NO_USE: [&str; 2] = ["hostile_drivers", "snapshot_bytes"];
/// The package whose tests know every kind of cell.
const PRODUCT: &str = "firebox";

/// A test program, or one that tests start.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// The folder of its package, in which cargo runs it.
    pub(super) folder: PathBuf,
    /// Whether it is a test program.
    pub(super) is_test: bool,
}

/// What cargo says of something that it has built.
#[derive(Debug, Deserialize)]
struct Artifact {
    target: ArtifactTarget,
    manifest_path: PathBuf,
    executable: Option<PathBuf>,
    profile: ArtifactProfile,
}

#[derive(Debug, Deserialize)]
struct ArtifactTarget {
    name: String,
}

#[derive(Debug, Deserialize)]
struct ArtifactProfile {
    /// Whether it runs tests.
    test: bool,
}

impl Program {
    /// Builds the tests that are about KVM, as `cargo test` does, and what those of their packages start.
    pub(super) fn of_machines(repository: &Repository) -> Result<Vec<Program>> {
        let mut programs = Vec::new();
        for (package, targets) in TESTS {
            programs.extend(built(repository, package, targets)?);
        }
        programs.retain(|program| !OF_NO_USE.contains(&program.name.as_str()));
        programs.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(programs)
    }

    /// Builds those of these files of end-to-end tests.
    pub(super) fn of_files<'a>(repository: &Repository, files: impl Iterator<Item = &'a str>) -> Result<Vec<Program>> {
        built(repository, PRODUCT, &files.flat_map(|file| ["--test", file]).collect::<Vec<&str>>())
    }
}

fn built(repository: &Repository, package: &str, targets: &[&str]) -> Result<Vec<Program>> {
    let mut cargo = repository.cargo();
    cargo.args(["test", "--quiet", "--no-run", "--message-format=json-render-diagnostics"]);
    cargo.args(["--package", package]).args(targets);
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the tests of {package} do not build; the reason is above");
    Ok(programs_in(&String::from_utf8_lossy(&output.stdout)))
}

fn programs_in(messages: &str) -> Vec<Program> {
    // Other messages of cargo's have no such fields.
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    let programs = artifacts.filter_map(|Artifact { target, manifest_path, executable, profile }| {
        let folder = manifest_path.parent()?.to_owned();
        Some(Program { name: target.name, path: executable?, folder, is_test: profile.test })
    });
    programs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"kvm_ioctls"},"manifest_path":"/k/Cargo.toml","executable":null,"profile":{"test":false}}
            {"reason":"build-script-executed","package_id":"a"}
            {"reason":"compiler-artifact","target":{"name":"guests"},"manifest_path":"/r/vmm/Cargo.toml","executable":"/t/guests-1","profile":{"test":true}}
            {"reason":"compiler-artifact","target":{"name":"firebox"},"manifest_path":"/r/cli/Cargo.toml","executable":"/t/firebox","profile":{"test":false}}
            {"reason":"build-finished","success":true}"#;
        let [test, started] = programs_in(messages).try_into().unwrap();
        let Program { name, path, folder, is_test } = test;
        assert_eq!((name.as_str(), path, folder), ("guests", PathBuf::from("/t/guests-1"), PathBuf::from("/r/vmm")));
        assert_eq!((is_test, started.is_test, started.name.as_str()), (true, false, "firebox"));
    }
}
