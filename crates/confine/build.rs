//! Turns each policy in `seccomp/` into a static BPF program, so that a process installs its filter without parsing.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

use crate::policy::{Answer, Architecture, Policy, Refusal};

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
    let fence = over(&job, &read("seccomp/fence.toml")?.answers(architecture));
    let beyond = read("seccomp/agent.toml")?.answers(architecture);
    // What a step takes off again is the same everywhere.
    let taken_off = |of: &Answers| beyond.keys().map(|number| (*number, said(of, *number))).collect::<Answers>();
    let step = taken_off(&job);
    if step != taken_off(&fence) {
        return Err("seccomp/fence.toml and seccomp/agent.toml speak of the same call".into());
    }

    let monitor = read("seccomp/monitor.toml")?.answers(architecture);
    let machine = read("seccomp/machine.toml")?.answers(architecture);
    let freezing = read("seccomp/freezing.toml")?.answers(architecture);
    let clones = read("seccomp/clones.toml")?.answers(architecture);
    let unknown = Answer::Refuse(Refusal::Enosys);
    let filters = [
        ("AGENT", over(&job, &beyond), &unknown),
        ("FENCE_AGENT", over(&fence, &beyond), &unknown),
        ("JOB", job, &unknown),
        ("FENCE", fence, &unknown),
        ("FREEZING_MONITOR", and(&monitor, &freezing), &unknown),
        ("CLONES_MONITOR", and(&monitor, &clones), &unknown),
        ("MONITOR", monitor, &unknown),
        ("MACHINE", machine, &unknown),
        ("STEP", step, &Answer::Allow),
    ]
    .map(|(name, answers, otherwise)| {
        let program = assemble::assemble(&answers, otherwise, architecture.audit());
        source(name, &program)
    });
    fs::write(Path::new(&env::var("OUT_DIR")?).join("filters.rs"), filters.concat())?;
    Ok(())
}

type Answers = BTreeMap<u32, Answer>;

/// The answers of one policy, but for what another says.
fn over(below: &Answers, above: &Answers) -> Answers {
    below.iter().chain(above).map(|(number, answer)| (*number, answer.clone())).collect()
}

/// What either of two policies lets through.
fn and(one: &Answers, other: &Answers) -> Answers {
    let mut both = one.clone();
    for (number, answer) in other {
        let joined = both.get(number).map_or_else(|| answer.clone(), |known| known.or(answer));
        both.insert(*number, joined);
    }
    both
}

fn said(answers: &Answers, number: u32) -> Answer {
    answers.get(&number).cloned().unwrap_or(Answer::Refuse(Refusal::Enosys))
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
