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
    let policy = Policy::parse(&fs::read_to_string("seccomp/job.toml")?)
        .map_err(|error| format!("seccomp/job.toml: {error}"))?;
    let program = assemble::assemble(&policy.answers(architecture), architecture.audit());

    let target = Path::new(&env::var("OUT_DIR")?).join("job.rs");
    fs::write(target, source("JOB", &program))?;
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
