//! Programs of the machine: whether they are there, and getting them from Debian when we may.
//!
//! Installs only what it is asked for, and only as root on Debian or a relative of it. Everywhere else the caller
//! names what is missing and lets the developer decide.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The first file of that name along PATH.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

pub(crate) fn may_install() -> bool {
    rustix::process::geteuid().is_root()
        && on_path("apt-get").is_some()
        && std::fs::read_to_string("/etc/os-release").is_ok_and(|text| is_debian(&text))
}

/// A fresh machine has no package lists yet: when the first attempt fails, they are fetched for a second one.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    println!("installing {}", packages.join(" "));
    let mut words = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    words.extend(packages);
    if apt_get(&words).is_ok() {
        return Ok(());
    }
    refresh_lists()?;
    apt_get(&words)
}

/// Where a program is, installed first where it is missing and we may.
pub(crate) fn needed(program: &str, package: &str) -> Result<PathBuf> {
    if on_path(program).is_none() && may_install() {
        install(&[package])?;
    }
    on_path(program)
        .with_context(|| format!("`{program}` is missing; on Debian, `apt-get install {package}` brings it"))
}

/// The same of several whose packages are called like them.
pub(crate) fn all_needed(programs: &[&str]) -> Result<()> {
    programs.iter().try_for_each(|program| needed(program, program).map(drop))
}

/// This host's release of Debian: the one that its packages are to be had of.
pub(crate) fn debians_release() -> String {
    let about = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let named = about.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let named = named.map(|name| name.trim_matches('"')).filter(|name| !name.is_empty());
    named.unwrap_or("stable").to_owned()
}

/// Has the package lists fetched anew.
pub(crate) fn refresh_lists() -> Result<()> {
    apt_get(&["update", "--quiet"])
}

fn apt_get(words: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("cannot start apt-get")?;
    let says = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`apt-get {}` failed: {}", words.join(" "), says.trim());
    Ok(())
}

fn is_debian(os_release: &str) -> bool {
    let fields = os_release.lines().filter_map(|line| line.split_once('='));
    let mut names =
        fields.filter(|(key, _)| matches!(*key, "ID" | "ID_LIKE")).map(|(_, value)| value.trim_matches('"'));
    names.any(|value| value.split(' ').any(|name| name == "debian"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_relatives_are_known() {
        for (text, expected) in [
            ("ID=debian\nVERSION_ID=\"12\"", true),
            ("ID=ubuntu\nID_LIKE=debian", true),
            ("ID=\"x\"\nID_LIKE=\"ubuntu debian\"", true),
            ("NAME=debian\nID=fedora", false),
        ] {
            assert_eq!(is_debian(text), expected, "{text}");
        }
    }
}
