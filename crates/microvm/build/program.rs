//! A program of the workspace that a build script has built apart, since it is of another kind than the one that it is embedded in.
//!
//! One cargo invocation cannot build both, so another is started. It has a target directory of its own, because the outer cargo holds the lock of
//! the outer one, and names its target triple, because only then do its flags not reach build scripts, which are ordinary
//! programs of the host.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the outer cargo and the user's shell say about the outer build, and must not say about this one.
const OUTER: [&str; 8] = [
    "RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_TARGET_DIR",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    // Set while clippy drives the outer build; these are built, not linted, here.
    "CLIPPY_ARGS",
];

/// A program that is built apart.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) profile: &'static str,
    pub(crate) features: &'static str,
    /// What of the package, in cargo's words; its program where nothing is said.
    pub(crate) parts: &'static [&'static str],
    /// For rustc.
    pub(crate) flags: Vec<String>,
}

impl Program {
    /// Builds it below `target`. The directory in which it is then.
    pub(crate) fn build(&self, workspace: &Path, target: &Path) -> Result<PathBuf, Box<dyn Error>> {
        let Program { name, profile, features, parts, flags } = self;
        let triple = variable("TARGET")?;
        let mut cargo = Command::new(variable("CARGO")?);
        cargo.current_dir(workspace).args(["build", "--profile", profile, "--package", name, "--features", features]);
        cargo.args(*parts);
        // The outer build has resolved everything and has it at hand: this one takes the same versions, offline too.
        cargo.args(["--locked", "--target", &triple, "--target-dir"]).arg(target);
        for name in OUTER {
            cargo.env_remove(name);
        }
        // The separator is cargo's own for this variable, which wins over every other source of flags.
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        let output = cargo.output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{name} does not build ({}):\n{said}", output.status).into());
        }
        Ok(target.join(triple).join(profile))
    }
}

/// The workspace. The build script is run again when one of these crates has changed, the programs' profiles, or the versions of what they use.
pub(crate) fn workspace(parts: &[&str]) -> Result<PathBuf, Box<dyn Error>> {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let crates = manifest.parent().ok_or("the package has no folder around it")?;
    let workspace = crates.parent().ok_or("the crates have no folder around them")?;
    for part in parts {
        println!("cargo::rerun-if-changed={}", crates.join(part).display());
    }
    for file in ["Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(file).display());
    }
    Ok(workspace.to_owned())
}

/// A directory that all profiles of the outer build have in common: what is the same for all and takes long is built there.
pub(crate) fn shared(out: &Path) -> Result<&Path, Box<dyn Error>> {
    // It is `<target>/<profile>/build/<package>/out`.
    out.ancestors().nth(4).ok_or_else(|| format!("{} is not where cargo has builds write to", out.display()).into())
}

/// Whether programs can be linked with the C library in them.
pub(crate) fn has_static_library() -> bool {
    // A compiler that does not find it says the bare name again.
    let said = Command::new("cc").arg("-print-file-name=libc.a").output();
    said.is_ok_and(|output| output.stdout.starts_with(b"/"))
}

/// Why this program cannot be built without.
pub(crate) fn no_static_library(whose: &str) -> Box<dyn Error> {
    let why = "finds no C library where it runs, so it is linked with a static one, and the C compiler (`cc`) has none (`libc.a`)";
    format!("{whose} {why}: on Debian `libc6-dev` brings it, on Fedora `glibc-static`").into()
}

pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    fs::copy(from, to).map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
    Ok(())
}

pub(crate) fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|error| format!("cargo does not say {name}: {error}").into())
}
