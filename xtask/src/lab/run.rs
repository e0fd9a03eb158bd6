//! The tests in the lab, from building them to their verdict.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use super::debian;
use super::equipment::Equipment;
use super::every_kind;
use super::files::Files;
use super::machine::{Ending, Machine};
use super::programs::Program;
use super::turn::{Extent, Turn};
use super::verdict::Verdict;
use crate::repository::Repository;
use crate::test::{Finding, Report, Show, Step};

pub(crate) const STEP: Step = Step { name: "lab", what: "microVMs on KVM that runs kernels, and jails on a stock one" };

/// The first process.
const INIT: &str = include_str!("init.sh");
/// What holds in every kind of cell.
const LIST: &str = include_str!("../../../tests/every_kind.txt");
/// What of the repository is read by tests: seeds; attacks; and sources, by which a failed property test finds where to keep what it has found.
const READ: [&str; 3] = ["crates/vmm", "fuzz/seeds/devices", "tests/attacks"];

/// The tests in the lab, and nothing else: those of turns with this in their names.
pub(crate) fn run(repository: &Repository, only: Option<&str>, extent: Extent) -> Result<ExitCode> {
    let equipment = Equipment::install(repository)?;
    let mut report = Report::default();
    report.run(STEP, || some_tests(repository, &equipment, only.unwrap_or_default(), extent));
    report.show();
    Ok(if report.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Builds all of them, runs them in there, and shows what they say as it comes.
pub(crate) fn tests(repository: &Repository, equipment: &Equipment) -> Result<Finding> {
    some_tests(repository, equipment, "", Extent::Chosen)
}

fn some_tests(repository: &Repository, equipment: &Equipment, only: &str, extent: Extent) -> Result<Finding> {
    let list = every_kind::read(LIST)?;
    let of_machines = Program::of_machines(repository)?;
    let of_every_kind = Program::of_files(repository, list.iter().map(|file| file.file.as_str()))?;
    let mut turns: Vec<Turn<'_>> = Turn::of_machines(&of_machines).collect();
    turns.extend(Turn::in_every_kind(&list, &of_every_kind, extent)?);
    turns.retain(|turn| turn.name.contains(only));
    ensure!(!turns.is_empty(), "nothing with `{only}` in its name is run in the lab");
    let started: Vec<&Program> = of_machines.iter().filter(|program| !program.is_test).collect();
    let firebox = started.iter().find(|program| program.name == "firebox").context("cargo has built no `firebox`")?;
    let disk = debian::disk(equipment, &firebox.path)?;
    let mut verdict = Verdict::of(turns.iter().map(|turn| (turn.name.as_str(), turn.expected())));
    let mut ending = sit(repository, equipment, &turns, &started, &disk, &mut verdict)?;
    let unended = verdict.give_another_chance(&ending);
    if !unended.is_empty() {
        println!("\nthe PC stood still before the end of {}: once more, in another PC\n", unended.join(", "));
        turns.retain(|turn| unended.contains(&turn.name));
        ending = sit(repository, equipment, &turns, &started, &disk, &mut verdict)?;
    }
    Ok(verdict.decide(&ending, only.is_empty().then_some(extent)))
}

/// Runs some turns in a PC, and shows what they say as it comes.
fn sit(
    repository: &Repository,
    equipment: &Equipment,
    turns: &[Turn<'_>],
    started: &[&Program],
    disk: &Path,
    verdict: &mut Verdict,
) -> Result<Ending> {
    let initramfs = equipment.place().join("initramfs");
    write(&initramfs, repository, equipment, turns, started)?;
    let mut machine = Machine::start(equipment, &initramfs, Some(disk))?;
    let ending = machine.watch(|line| {
        if verdict.read(line) == Show::Yes {
            println!("{line}");
        }
    })?;
    if matches!(ending, Ending::TimedOut) {
        println!("where its processors are:\n{}", machine.processors().unwrap_or_else(|error| format!("{error:#}")));
    }
    if !verdict.has_passed(&ending) {
        println!("what the lab's kernel said last:\n{}", machine.last_words());
    }
    Ok(ending)
}

fn write(
    to: &Path,
    repository: &Repository,
    equipment: &Equipment,
    turns: &[Turn<'_>],
    started: &[&Program],
) -> Result<()> {
    let mut files = Files::of_system(equipment, INIT)?;
    files.add("lab/init", INIT.as_bytes());
    files.add("lab/turns", turns.iter().map(Turn::line).collect::<String>().as_bytes());
    for program in turns.iter().map(|turn| turn.program).chain(started.iter().copied()) {
        files.copy_program(&program.path)?;
        files.add_folder(&program.folder);
    }
    for file in repository.files()?.iter().filter(|file| READ.iter().any(|folder| file.starts_with(folder))) {
        files.copy(&repository.root().join(file))?;
    }
    files.write(to)
}
