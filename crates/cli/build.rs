//! Builds the programs that go into cells, and puts them where `src/agent.rs`, `src/linker.rs` and `src/guest.rs` embed them from.
//!
//! They are programs of other kinds than the one around them: the agent is static, without a C library, for size rather
//! than speed; the linker is fast, whatever the outer build is; the guest is static, with a C library, since there is
//! nothing else where it runs. One cargo invocation cannot build all that, so this one
//! starts others. They have target directories of their own, because the outer cargo holds the lock of the outer one,
//! and name their target triple, because only then do their flags not reach their build scripts, which are ordinary
//! programs of the host.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the agent's code is made of.
const AGENTS_PARTS: [&str; 3] = ["agent", "wire", "confine"];

/// And the linker's.
const LINKERS_PARTS: [&str; 1] = ["linker"];

/// And the guest's, with those of the agent that are in it too.
const GUESTS_PARTS: [&str; 5] = ["guest", "jail", "warden", "cell", "job"];

/// No unwinding, since there is no unwinder. Code that does not care where it stands, since the agent's own build script
/// has it linked at an address that does not fit into 32 bits.
const AGENTS_FLAGS: [&str; 4] = ["-C", "panic=abort", "-C", "relocation-model=pic"];

/// What the outer cargo and the user's shell say about the outer build, and must not say about these.
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

    for part in AGENTS_PARTS.iter().chain(&LINKERS_PARTS).chain(&GUESTS_PARTS) {
        println!("cargo::rerun-if-changed={}", crates.join(part).display());
    }
    // The programs' profiles and the versions of what they use.
    for file in ["Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(file).display());
    }

    let library = StaticLibrary::find();
    let agent = Program {
        name: "firebox-agent",
        profile: "agent",
        features: if env::var_os("CARGO_FEATURE_LEAVE_OUT").is_some() { "standalone,leave-out" } else { "standalone" },
        flags: AGENTS_FLAGS.map(str::to_owned).to_vec(),
    };
    let linker = Program {
        name: "firebox-linker",
        profile: "linker",
        features: "standalone",
        flags: flags_of(workspace, library)?,
    };
    let guest = Program { name: "firebox-guest", profile: "guest", features: "", flags: flags_of(workspace, library)? };
    agent.build(workspace, &out.join("agent"), &out)?;
    let shared = shared(&out)?;
    linker.build(workspace, &shared.join("firebox-linker"), &out)?;
    if library == StaticLibrary::Missing {
        return Err(NO_STATIC_LIBRARY.into());
    }
    guest.build(workspace, &shared.join("firebox-guest"), &out)
}

/// A program of the workspace that is built apart.
struct Program {
    name: &'static str,
    profile: &'static str,
    features: &'static str,
    /// For rustc.
    flags: Vec<String>,
}

impl Program {
    /// Builds it below `target`, and puts it into `out`.
    fn build(&self, workspace: &Path, target: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
        let Program { name, profile, features, flags } = self;
        let triple = variable("TARGET")?;
        let mut cargo = Command::new(variable("CARGO")?);
        cargo.current_dir(workspace).args(["build", "--profile", profile, "--package", name, "--features", features]);
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
        let built = target.join(triple).join(profile).join(name);
        fs::copy(&built, out.join(name)).map_err(|error| format!("cannot copy {}: {error}", built.display()))?;
        Ok(())
    }
}

/// Whether programs can be linked with the C library in them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StaticLibrary {
    Found,
    Missing,
}

const NO_STATIC_LIBRARY: &str = "the first process of a microVM finds no C library there, so it is linked with a static one, and the C \
    compiler (`cc`) has none (`libc.a`): on Debian `libc6-dev` brings it, on Fedora `glibc-static`";

impl StaticLibrary {
    fn find() -> StaticLibrary {
        match Command::new("cc").arg("-print-file-name=libc.a").output() {
            Ok(output) if output.stdout.starts_with(b"/") => StaticLibrary::Found,
            // A compiler that does not find it says the bare name again.
            _ => StaticLibrary::Missing,
        }
    }
}

/// Of a program with the standard library. Jobs can read the linker, so it must not tell where, and so by whom, it was built. Static
/// where the C library can be had so: a linker starts quicker like that, and else needs the host's, which every cell shows.
fn flags_of(workspace: &Path, library: StaticLibrary) -> Result<Vec<String>, Box<dyn Error>> {
    let mut flags = vec!["-C".to_owned(), "relocation-model=static".to_owned()];
    if library == StaticLibrary::Found {
        flags.extend(["-C".to_owned(), "target-feature=+crt-static".to_owned()]);
    }
    let home = env::var_os("HOME").map(PathBuf::from);
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from).or(home.as_ref().map(|home| home.join(".cargo")));
    // The last that fits counts.
    for (from, to) in [(home, "/home"), (cargo, "/cargo"), (Some(workspace.to_owned()), "/firebox")] {
        if let Some(from) = from.filter(|from| from.is_absolute() && from.parent().is_some()) {
            let from = from.to_str().ok_or("a path of this build is no text")?;
            flags.push(format!("--remap-path-prefix={from}={to}"));
        }
    }
    Ok(flags)
}

/// A directory that all profiles of the outer build have in common: linker and guest are the same for all, and take long.
fn shared(out: &Path) -> Result<&Path, Box<dyn Error>> {
    // It is `<target>/<profile>/build/<package>/out`.
    out.ancestors().nth(4).ok_or_else(|| format!("{} is not where cargo has builds write to", out.display()).into())
}

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|error| format!("cargo does not say {name}: {error}").into())
}
