//! What pyenv's shims stand for.
//!
//! A shim is a script in `shims`, beside `versions`. Which version it runs is `PYENV_VERSION`, else pyenv's `version`
//! file, else the system's. A `.python-version` is left alone: it says something of the directory somebody stands in,
//! not of a job.

use std::fs;
use std::path::{Path, PathBuf};

use super::PassReason;
use crate::host::Host;

/// Whether a script is one of pyenv's shims.
pub(super) fn is_shim(real: &Path, text: &str) -> bool {
    let directory = real.parent().and_then(Path::file_name);
    directory.is_some_and(|directory| directory == "shims") && text.contains("pyenv")
}

/// The program that pyenv would run; none when that is whatever follows on the search path.
pub(super) fn resolve(shim: &Path, name: &str, host: &Host) -> Result<Option<PathBuf>, PassReason> {
    let Some(root) = shim.parent().and_then(Path::parent) else { return Ok(None) };
    let chosen = match &host.pyenv_version {
        Some(versions) => versions.split(':').map(str::to_owned).collect(),
        None => global_versions(root),
    };
    // Several versions are tried in order, as pyenv does; `system` means the search path.
    for version in &chosen {
        if version == "system" {
            return Ok(None);
        }
        if let Some(directory) = installed(root, version) {
            let program = directory.join("bin").join(name);
            if program.exists() {
                return Ok(Some(program));
            }
        }
    }
    if chosen.is_empty() {
        return Ok(None);
    }
    Err(PassReason::PyenvVersionMissing { version: chosen.join(":") })
}

/// The first word of every line that is not a comment.
fn global_versions(root: &Path) -> Vec<String> {
    let text = fs::read_to_string(root.join("version")).unwrap_or_default();
    let words = text.lines().filter_map(|line| line.split_whitespace().next());
    words.filter(|word| !word.starts_with('#')).map(str::to_owned).collect()
}

/// The directory of a version: by its whole name, or the newest release that a prefix such as `3.11` names.
fn installed(root: &Path, version: &str) -> Option<PathBuf> {
    let versions = root.join("versions");
    let version = version.strip_prefix("python-").unwrap_or(version);
    if version.is_empty() || version.starts_with('.') || version.contains('/') {
        return None;
    }
    let exact = versions.join(version);
    if exact.is_dir() {
        return Some(exact);
    }
    let releases = fs::read_dir(&versions).ok()?.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let rest = name.strip_prefix(version)?.strip_prefix('.')?;
        let numbers: Option<Vec<u32>> = rest.split('.').map(|number| number.parse().ok()).collect();
        Some((numbers?, name))
    });
    releases.max().map(|(_, name)| versions.join(name))
}
