//! The tests in the lab, from building them to their verdict.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use super::equipment::Equipment;
use super::files::Files;
use super::machine::Machine;
use super::programs::Program;
use super::verdict::Verdict;
use crate::repository::Repository;
use crate::test::{Ended, Finding, HarnessOutput, Report, Show, Step, Told};

pub(crate) const STEP: Step = Step { name: "lab", what: "the tests of the microVM on KVM that runs kernels" };

/// The first process.
const INIT: &str = include_str!("init.sh");
/// What of the repository is read by tests: seeds; and sources, by which a failed property test finds where to keep what it has found.
const READ: [&str; 2] = ["crates/vmm", "fuzz/seeds/devices"];

/// What tests make an image of.
const SHOWN: &str = "/bin/bash";

/// The tests in the lab, and nothing else: those of programs with this in their names.
pub(crate) fn run(repository: &Repository, only: Option<&str>) -> Result<ExitCode> {
    let equipment = Equipment::install(repository)?;
    let mut report = Report::default();
    report.run(STEP, || some_tests(repository, &equipment, only.unwrap_or_default()));
    println!("\n{report}");
    Ok(if report.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Builds all of them, runs them in there, and shows what they say as it comes.
pub(crate) fn tests(repository: &Repository, equipment: &Equipment) -> Result<Finding> {
    some_tests(repository, equipment, "")
}

fn some_tests(repository: &Repository, equipment: &Equipment, only: &str) -> Result<Finding> {
    let programs = Program::build(repository, only)?;
    let initramfs = equipment.place().join("initramfs");
    write(&initramfs, repository, equipment, &programs)?;
    let mut verdict =
        Verdict::of(programs.iter().filter(|program| program.is_test).map(|program| program.name.as_str()));
    let mut output = HarnessOutput::default();
    let mut machine = Machine::start(equipment, &initramfs)?;
    let ending = machine.watch(|line| {
        verdict.read(line);
        if output.read(line) == Show::Yes {
            println!("{line}");
        }
    })?;
    let Told { tally, skipped, attacks } = output.finish();
    let ended = verdict.decide(&ending, &skipped);
    if ended != Ended::Passed {
        println!("what the lab's kernel said last:\n{}", machine.last_words());
    }
    Ok(Finding { ended, tally, skipped, attacks })
}

fn write(to: &Path, repository: &Repository, equipment: &Equipment, programs: &[Program]) -> Result<()> {
    let mut files = Files::of_system(equipment, INIT)?;
    files.add("lab/programs", list(programs).as_bytes());
    for program in programs {
        files.copy_program(&program.path)?;
        files.add_folder(&program.folder);
    }
    files.copy_program(Path::new(SHOWN))?;
    for file in repository.files()?.iter().filter(|file| READ.iter().any(|folder| file.starts_with(folder))) {
        files.copy(&repository.root().join(file))?;
    }
    files.write(to)
}

/// For `init.sh`: a name, where it is run, what is run.
fn list(programs: &[Program]) -> String {
    let lines = programs
        .iter()
        .filter(|program| program.is_test)
        .map(|Program { name, path, folder, is_test: _ }| format!("{name} {} {}\n", folder.display(), path.display()));
    lines.collect()
}
