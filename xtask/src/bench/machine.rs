//! What the numbers were measured on and with: they mean nothing without it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde::Serialize;

use super::firebox::Firebox;
use crate::repository::Repository;

#[derive(Debug, Serialize)]
pub(super) struct Machine {
    cpu: String,
    cores: usize,
    memory_mib: u64,
    kernel: String,
    /// Of the last minute, before the first measurement: a busy machine is no good witness.
    load_before: f64,
    firebox: String,
    /// With `, changed` after it when the checkout has changes that are not committed.
    commit: String,
    /// By language; only what is installed.
    toolchains: BTreeMap<String, String>,
}

impl Machine {
    pub(super) fn look(repository: &Repository, firebox: &Firebox) -> Result<Machine> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let unknown = || "unknown".to_owned();
        Ok(Machine {
            cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism()?.get(),
            memory_mib: field(&read("/proc/meminfo"), "MemTotal").and_then(|text| kib(&text)).unwrap_or(0) / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: read("/proc/loadavg").split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0),
            firebox: firebox.version()?,
            commit: commit(repository.root()).unwrap_or_else(unknown),
            toolchains: toolchains(firebox)?,
        })
    }
}

impl Machine {
    /// The machine and the commit.
    pub(super) fn in_one_line(&self) -> String {
        let Machine { cpu, cores, kernel, firebox, commit, .. } = self;
        format!("{cpu}, {cores} cores, Linux {kernel}; {firebox}, commit {commit}")
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cpu, cores, memory_mib, kernel, load_before, firebox, commit, toolchains } = self;
        writeln!(f, "- machine: {cpu}, {cores} cores, {memory_mib} MiB, Linux {kernel}, load {load_before} before")?;
        write!(f, "- {firebox}, commit {commit}")?;
        for (language, version) in toolchains {
            write!(f, "\n- {language}: {version}")?;
        }
        Ok(())
    }
}

/// `key : value`, as /proc writes it.
fn field(text: &str, key: &str) -> Option<String> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.into_iter().find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
}

fn kib(text: &str) -> Option<u64> {
    text.strip_suffix("kB")?.trim().parse().ok()
}

fn commit(root: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(root).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let is_changed = !git(&["status", "--porcelain"])?.is_empty();
    Some(if is_changed { commit + ", changed" } else { commit })
}

/// What the resolved programs say of themselves, in the first line.
fn toolchains(firebox: &Firebox) -> Result<BTreeMap<String, String>> {
    let mut versions = BTreeMap::new();
    for language in firebox.languages()? {
        let Some(program) = language.programs.first() else { continue };
        if let Some(version) = version_of(&program.path) {
            versions.insert(language.name, version);
        }
    }
    if let Some(version) = version_of(Path::new("bwrap")) {
        versions.insert("bubblewrap".to_owned(), version);
    }
    Ok(versions)
}

fn version_of(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc_are_read_with_tabs_and_units() {
        assert_eq!(field("vendor\t: x\nmodel name\t: A CPU: 2\n", "model name").as_deref(), Some("A CPU: 2"));
        assert_eq!(field("MemTotal:       2048 kB\n", "MemTotal").as_deref().and_then(kib), Some(2048));
        assert_eq!(field("", "MemTotal"), None);
    }
}
