//! The tests in the lab, from building them to their verdict.

use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, ensure};

use super::debian;
use super::equipment::Equipment;
use super::every_kind;
use super::here;
use super::pc::{self, Parts};
use super::programs::Program;
use super::turn::{Extent, Turn};
use super::verdict::Verdict;
use crate::repository::Repository;
use crate::test::{Finding, Report, Step};

pub(crate) const STEP: Step = Step { name: "lab", what: "microVMs on KVM that runs kernels, and jails on a stock one" };

/// What holds in every kind of cell.
const LIST: &str = include_str!("../../../tests/every_kind.txt");

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
    // What waits for packages has the other processor while tests are built.
    let (debian, of_machines, of_every_kind) = thread::scope(|scope| {
        let debian = scope.spawn(|| debian::prepare(equipment));
        let of_machines = Program::of_machines(repository)?;
        let of_every_kind = Program::of_files(repository, list.iter().map(|file| file.file.as_str()))?;
        anyhow::Ok((debian.join().expect("the thread that makes a Debian panics")?, of_machines, of_every_kind))
    })?;
    let started: Vec<&Program> = of_machines.iter().filter(|program| !program.is_test).collect();
    let firebox = *started.iter().find(|program| program.name == "firebox").context("cargo has built no `firebox`")?;
    let has_microvms = here::has_microvms(&firebox.path)?;
    let extent = if has_microvms { Extent::Full } else { extent };
    let mut turns: Vec<Turn<'_>> = Turn::of_machines(&of_machines).collect();
    turns.extend(Turn::in_every_kind(&list, &of_every_kind, extent)?);
    turns.retain(|turn| turn.name.contains(only));
    ensure!(!turns.is_empty(), "nothing with `{only}` in its name is run in the lab");
    let disk = debian.disk(equipment, &firebox.path)?;
    let (on_this_host, in_pcs): (Vec<_>, Vec<_>) =
        turns.into_iter().partition(|turn| has_microvms && turn.is_in_microvms());
    let mut ended = pc::run(&Parts { repository, equipment, started, disk: &disk }, in_pcs)?;
    if !on_this_host.is_empty() {
        let store = debian.store(equipment, &firebox.path)?;
        ended.push(here::run(&on_this_host, &store, equipment.s3.program())?);
    }
    Ok(Verdict::decide(ended, only.is_empty().then_some(extent)))
}
