//! Builds the monitor, and for the tests a hostile one, and puts them where `src/lib.rs` and the tests embed them from.
//!
//! They are static, since there is no library where they run, so another cargo invocation builds them: it has a target directory of its own,
//! because the outer cargo holds the lock of the outer one, and names its target triple, because only then do its flags not reach build
//! scripts, which are ordinary programs of the host.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What they are made of.
const PARTS: [&str; 3] = ["monitor", "vmm", "confine"];
const PROFILE: &str = "monitor";
const MONITOR: &str = "firebox-monitor";
const HOSTILE: &str = "hostile";

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

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let crates = manifest.parent().ok_or("the package has no folder around it")?;
    let workspace = crates.parent().ok_or("the crates have no folder around them")?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    for part in PARTS {
        println!("cargo::rerun-if-changed={}", crates.join(part).display());
    }
    for file in ["Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(file).display());
    }
    has_static_library()?;

    // The same for all profiles of the outer build: `<target>/<profile>/build/<package>/out`.
    let target = out.ancestors().nth(4).ok_or("this is not where cargo has builds write to")?.join(MONITOR);
    let triple = variable("TARGET")?;
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.current_dir(workspace).args(["build", "--profile", PROFILE, "--package", MONITOR, "--bins", "--examples"]);
    // The outer build has resolved everything and has it at hand: this one takes the same versions, offline too.
    cargo.args(["--locked", "--target", &triple, "--target-dir"]).arg(&target);
    OUTER.iter().for_each(|name| _ = cargo.env_remove(name));
    // The variable wins over every other source of flags.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static");
    let output = cargo.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{MONITOR} does not build ({}):\n{said}", output.status).into());
    }
    let built = target.join(triple).join(PROFILE);
    copy(&built.join(MONITOR), &out.join("monitor"))?;
    copy(&built.join("examples").join(HOSTILE), &out.join(HOSTILE))
}

fn has_static_library() -> Result<(), Box<dyn Error>> {
    match Command::new("cc").arg("-print-file-name=libc.a").output() {
        Ok(output) if output.stdout.starts_with(b"/") => Ok(()),
        // A compiler that does not find it says the bare name again.
        _ => Err("a microVM's monitor finds no C library where it runs, so it is linked with a static one, and the C compiler (`cc`) has none \
            (`libc.a`): on Debian `libc6-dev` brings it, on Fedora `glibc-static`"
            .into()),
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    fs::copy(from, to).map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
    Ok(())
}

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|error| format!("cargo does not say {name}: {error}").into())
}
