//! Builds the agent and puts it where `src/agent.rs` embeds it from.
//!
//! The agent is a program of another kind than the one around it: static, without a C library, for size rather than
//! speed. One cargo invocation cannot build both, so this one starts another. It has a target directory of its own,
//! because the outer cargo holds the lock of the outer one, and names its target triple, because only then do the
//! flags for the agent not reach its build scripts, which are ordinary programs of the host.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the agent's code is made of.
const PARTS: [&str; 3] = ["agent", "wire", "confine"];

/// No unwinding, since there is no unwinder. Code that does not care where it stands, since the agent's own build script
/// has it linked at an address that does not fit into 32 bits.
const FLAGS: [&str; 4] = ["-C", "panic=abort", "-C", "relocation-model=pic"];

/// What the outer cargo and the user's shell say about the outer build, and must not say about this one.
const OUTER: [&str; 8] = [
    "RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_TARGET_DIR",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    // Set while clippy drives the outer build; the agent is built, not linted, here.
    "CLIPPY_ARGS",
];

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let crates = manifest.parent().ok_or("the package has no folder around it")?;
    let workspace = crates.parent().ok_or("the crates have no folder around them")?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    let triple = variable("TARGET")?;

    for part in PARTS {
        println!("cargo::rerun-if-changed={}", crates.join(part).display());
    }
    // The profile of the agent and the versions of what it uses.
    for file in ["Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(file).display());
    }

    let built = build_agent(workspace, &out.join("agent"), &triple)?;
    fs::copy(&built, out.join("firebox-agent")).map_err(|error| format!("cannot copy {}: {error}", built.display()))?;
    Ok(())
}

fn build_agent(workspace: &Path, target: &Path, triple: &str) -> Result<PathBuf, Box<dyn Error>> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.current_dir(workspace).args([
        "build",
        "--profile",
        "agent",
        "--package",
        "firebox-agent",
        "--features",
        "standalone",
    ]);
    // The outer build has resolved everything and has it at hand: this one takes the same versions, offline too.
    cargo.args(["--locked", "--target", triple, "--target-dir"]).arg(target);
    for name in OUTER {
        cargo.env_remove(name);
    }
    // The separator is cargo's own for this variable, which wins over every other source of flags.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    if env::var_os("CARGO_FEATURE_LEAVE_OUT").is_some() {
        cargo.args(["--features", "leave-out"]);
    }
    let output = cargo.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the agent does not build ({}):\n{said}", output.status).into());
    }
    Ok(target.join(triple).join("agent").join("firebox-agent"))
}

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|error| format!("cargo does not say {name}: {error}").into())
}
