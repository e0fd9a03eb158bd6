//! The checkout this program works on: where it is, which files belong to it, and what cargo says about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Never ours, whoever lists the files.
const FOREIGN_FOLDERS: [&str; 2] = ["target", ".git"];

pub(crate) struct Repository {
    root: PathBuf,
}

/// What `cargo metadata` says, as far as we read it.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    /// Each feature with what it switches on.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// Those of its features that it is wanted with.
    pub(crate) features: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
    /// Whether `cargo test` would test it.
    pub(crate) test: bool,
    /// Without these it is not built.
    #[serde(default, rename = "required-features")]
    pub(crate) required_features: Vec<String>,
}

impl Repository {
    pub(crate) fn find() -> Result<Repository> {
        // cargo sets the variable when it runs us; the compiled-in value serves whoever starts the binary by hand.
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package.parent().context("the package xtask must lie in the folder of the workspace")?;
        if !root.join("crates").is_dir() {
            bail!("{} is not a checkout of Firebox: it has no folder `crates`", root.display());
        }
        Ok(Repository { root: root.to_owned() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The cargo that runs us, in the root of the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        command
    }

    pub(crate) fn metadata(&self) -> Result<Metadata> {
        let output = self
            .cargo()
            .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
            .output()
            .context("cannot start cargo")?;
        if !output.status.success() {
            bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).context("`cargo metadata` printed something else than its JSON")
    }

    /// Every file of the project, relative to the root, in order: what git knows or would add. A checkout without
    /// git (an unpacked archive) is walked instead.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let git = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&self.root)
            .output();
        let mut files = match git {
            Ok(output) if output.status.success() => String::from_utf8(output.stdout)
                .context("a file's name is not UTF-8; rename it")?
                .split_terminator('\0')
                .map(PathBuf::from)
                .filter(|file| self.root.join(file).is_file()) // a deleted file stays in git's list until committed
                .collect(),
            _ => {
                let mut found = Vec::new();
                walk(&self.root, Path::new(""), &mut found)?;
                found
            }
        };
        files.sort();
        Ok(files)
    }

    /// The text of a project's file, or `None` for one that holds no text.
    pub(crate) fn text(&self, file: &Path) -> Result<Option<String>> {
        let bytes = std::fs::read(self.root.join(file)).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(String::from_utf8(bytes).ok())
    }
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let outside = root.join(folder);
    let entries = outside.read_dir().with_context(|| format!("cannot list {}", outside.display()))?;
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (folder.join(entry.file_name()), entry.file_type()?);
        if kind.is_file() {
            found.push(path);
        } else if kind.is_dir() && !FOREIGN_FOLDERS.iter().any(|foreign| entry.file_name() == *foreign) {
            walk(root, &path, found)?;
        }
    }
    Ok(())
}
