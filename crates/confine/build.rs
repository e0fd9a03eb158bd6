//! Turns each policy in `seccomp/` into a static BPF program, so that a process installs its filter without parsing.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

use crate::policy::{Architecture, Policy};

#[path = "build/assemble.rs"]
mod assemble;
#[path = "build/policy.rs"]
mod policy;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=seccomp");

    let architecture = Architecture::named(&env::var("CARGO_CFG_TARGET_ARCH")?)?;
    let read = |path: &str| {
        let policy = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        Policy::parse(&policy).map_err(|error| format!("{path}: {error}"))
    };
    let job = read("seccomp/job.toml")?.answers(architecture);
    let mut fence = job.clone();
    fence.extend(read("seccomp/fence.toml")?.answers(architecture));

    let filters = [("JOB", job), ("FENCE", fence)].map(|(name, answers)| {
        let program = assemble::assemble(&answers, architecture.audit());
        source(name, &program)
    });
    fs::write(Path::new(&env::var("OUT_DIR")?).join("filters.rs"), filters.concat())?;
    Ok(())
}

/// The program as the Rust source of a static.
fn source(name: &str, program: &[assemble::Instruction]) -> String {
    let lines: String = program
        .iter()
        .map(|it| {
            let assemble::Instruction { code, if_true, if_false, operand } = it;
            format!("    Instruction::new({code:#x}, {if_true}, {if_false}, {operand:#x}),\n")
        })
        .collect();
    format!("static {name}: [Instruction; {}] = [\n{lines}];\n", program.len())
}
