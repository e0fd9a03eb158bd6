//! Builds the programs that go into cells, and puts them where `src/agent.rs`, `src/linker.rs` and `src/guest.rs` embed them from.
//!
//! They are programs of other kinds than the one around them: the agent is static, without a C library, for size rather
//! than speed; the linker is fast, whatever the outer build is; the guest is static, with a C library, since there is
//! nothing else where it runs.

#[path = "../microvm/build/program.rs"]
mod program;

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

use program::{Program, copy, has_static_library, no_static_library, shared, variable, workspace};

/// What the agent's code is made of.
const AGENTS_PARTS: [&str; 3] = ["agent", "wire", "confine"];

/// And the linker's.
const LINKERS_PARTS: [&str; 1] = ["linker"];

/// And the guest's, with those of the agent that are in it too.
const GUESTS_PARTS: [&str; 5] = ["guest", "jail", "warden", "cell", "job"];

/// No unwinding, since there is no unwinder. Code that does not care where it stands, since the agent's own build script
/// has it linked at an address that does not fit into 32 bits.
const AGENTS_FLAGS: [&str; 4] = ["-C", "panic=abort", "-C", "relocation-model=pic"];

fn main() -> Result<(), Box<dyn Error>> {
    let parts = [&AGENTS_PARTS[..], &LINKERS_PARTS, &GUESTS_PARTS].concat();
    let (workspace, out) = (workspace(&parts)?, PathBuf::from(variable("OUT_DIR")?));
    let has_library = has_static_library();
    let agent = Program {
        name: "firebox-agent",
        profile: "agent",
        features: if env::var_os("CARGO_FEATURE_LEAVE_OUT").is_some() { "standalone,leave-out" } else { "standalone" },
        parts: &[],
        flags: AGENTS_FLAGS.map(str::to_owned).to_vec(),
    };
    let linker = Program {
        name: "firebox-linker",
        profile: "linker",
        features: "standalone",
        parts: &[],
        flags: flags_of(&workspace, has_library)?,
    };
    let guest = Program {
        name: "firebox-guest",
        profile: "guest",
        features: "",
        parts: &[],
        flags: flags_of(&workspace, has_library)?,
    };
    let build = |program: &Program, target: &Path| {
        let built = program.build(&workspace, target)?.join(program.name);
        copy(&built, &out.join(program.name))
    };
    build(&agent, &out.join("agent"))?;
    // Linker and guest are the same for all profiles of the outer build.
    let shared = shared(&out)?;
    build(&linker, &shared.join(linker.name))?;
    if !has_library {
        return Err(no_static_library("the first process of a microVM"));
    }
    build(&guest, &shared.join(guest.name))
}

/// Of a program with the standard library. Jobs can read the linker, so it must not tell where, and so by whom, it was built. Static
/// where the C library can be had so: a linker starts quicker like that, and else needs the host's, which every cell shows.
fn flags_of(workspace: &Path, has_library: bool) -> Result<Vec<String>, Box<dyn Error>> {
    let mut flags = vec!["-C".to_owned(), "relocation-model=static".to_owned()];
    if has_library {
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
