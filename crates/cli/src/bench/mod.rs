//! `firebox bench`: how fast jobs are on this host, next to the same commands without a cell.
//!
//! ```text
//! firebox bench             keeps its rights, and runs the bare commands
//!  `- firebox measure jobs  an engine like any other, driven line by line
//! ```

mod bare;
mod figures;
mod hello;
mod ours;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use firebox_engine::Cancel;
use firebox_lang::{Catalogue, Host};

use crate::args::BenchArgs;
use crate::ending::Ending;
use crate::failure::Failure;
use crate::outlet;
use crate::signals::{SignalWatch, StopSignal};
use bare::Place;
use figures::{Figures, Turn};
use hello::{HELLOS, Hello};
use ours::Ours;
use report::{Line, Report};

/// How many jobs are run in a row, and how many of them do not count: those are what a row begins with, and the others
/// find us as busy as we are when jobs keep coming.
const ROW: usize = 8;
const NOT_COUNTED: usize = 3;

/// Fewer turns have no halves to be compared.
const LEAST_TURNS: usize = 2;

/// A language that is measured.
struct Subject {
    hello: &'static Hello,
    tool: PathBuf,
    turns: Vec<Turn>,
}

/// Measures, and tells.
pub(crate) fn bench(args: BenchArgs) -> Result<ExitCode, Failure> {
    let BenchArgs { lang, json, time } = args;
    let (mut subjects, missing) = subjects(&lang)?;
    if subjects.is_empty() {
        let lacking: Vec<String> = missing.into_iter().filter_map(|line| line.missing).collect();
        return Err(Failure::host(anyhow::anyhow!("there is nothing to measure: {}", lacking.join("; "))));
    }
    // So that a signal ends us between two measurements, with everything cleared up.
    let (_cancel, canceller) = Cancel::new().map_err(Failure::host)?;
    let watch = SignalWatch::start(canceller).map_err(Failure::host)?;
    let measured = measure(&mut subjects, time, &watch);
    match watch.came() {
        Some(StopSignal::CtrlC) => return Ok(Ending::CtrlC.take()),
        Some(StopSignal::Sigterm) => return Ok(ExitCode::from(143)),
        None => {}
    }
    let (isolation, bare_in_memory) = measured.map_err(Failure::host)?;
    let lines = subjects.into_iter().map(|Subject { hello, tool, turns }| Line {
        language: hello.language,
        program: Some(tool.display().to_string()),
        figures: Figures::of(&turns),
        missing: None,
    });
    let report = Report {
        firebox: env!("CARGO_PKG_VERSION"),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        cpus: std::thread::available_parallelism().map_err(Failure::host)?.get(),
        isolation,
        bare_in_memory,
        languages: lines.chain(missing).collect(),
    };
    match json {
        true => outlet::say_json(&report)?,
        false => outlet::say(&report.text())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What of the languages asked for is installed, and a line for what is not.
fn subjects(asked: &[String]) -> Result<(Vec<Subject>, Vec<Line>), Failure> {
    let (catalogue, host) = (Catalogue::builtin(), Host::current());
    let asked =
        asked.iter().map(|name| catalogue.find(name)).collect::<Result<Vec<_>, _>>().map_err(Failure::request)?;
    let (mut subjects, mut missing) = (Vec::new(), Vec::new());
    for hello in &HELLOS {
        let language = catalogue.find(hello.language).map_err(Failure::host)?;
        if !asked.is_empty() && asked.iter().all(|asked| asked.name() != language.name()) {
            continue;
        }
        match language.find_toolchain(&host) {
            Ok(toolchain) => {
                let programs = toolchain.programs.into_iter().filter(|program| program.name == hello.tool);
                subjects.extend(programs.map(|tool| Subject { hello, tool: tool.outside, turns: Vec::new() }));
            }
            Err(error) => missing.push(Line {
                language: hello.language,
                program: None,
                figures: None,
                missing: Some(error.to_string()),
            }),
        }
    }
    Ok((subjects, missing))
}

/// Turn after turn until the time is over, all languages in each. What kind of cell it was, and whether the bare
/// commands had a place in memory.
fn measure(subjects: &mut [Subject], time: Duration, watch: &SignalWatch) -> Result<(String, bool)> {
    let place = Place::new()?;
    let sources = subjects.iter().map(|subject| place.write(subject.hello.source, subject.hello.code));
    let mut ours = Ours::start(&sources.collect::<Result<Vec<_>>>()?)?;
    let mut isolation = String::new();
    for subject in 0..subjects.len() {
        isolation = warm_up(subjects, subject, &mut ours, &place)?;
    }
    let start = Instant::now();
    let mut seed = 0;
    for turn in 0.. {
        for (program, subject) in subjects.iter_mut().enumerate() {
            if watch.came().is_some() || (LEAST_TURNS <= turn && time <= start.elapsed()) {
                return Ok((isolation, place.is_in_memory()));
            }
            subject.turns.push(match turn % 2 {
                0 => {
                    let bare = bare_row(subject, &place, &mut seed)?;
                    Turn { ours: our_row(&mut ours, program)?, bare }
                }
                _ => Turn { ours: our_row(&mut ours, program)?, bare: bare_row(subject, &place, &mut seed)? },
            });
        }
    }
    Ok((isolation, place.is_in_memory()))
}

/// One of each, for whatever has a first time.
fn warm_up(subjects: &[Subject], which: usize, ours: &mut Ours, place: &Place) -> Result<String> {
    let Subject { hello, tool, turns: _ } = &subjects[which];
    bare::compile_and_run(place, hello, tool, 0)?;
    let jobs = ours.run(1, which)?;
    jobs.iter().try_for_each(|job| job.time().map(drop))?;
    Ok(jobs.into_iter().map(|job| job.isolation).next_back().unwrap_or_default())
}

fn our_row(ours: &mut Ours, program: usize) -> Result<Vec<Duration>> {
    let jobs = ours.run(ROW, program)?;
    // What we go on with in the background is not to slow down the bare command.
    ours.settle()?;
    jobs.iter().skip(NOT_COUNTED).map(ours::Job::time).collect()
}

fn bare_row(subject: &Subject, place: &Place, seed: &mut usize) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for _ in 0..ROW {
        *seed += 1;
        times.push(bare::compile_and_run(place, subject.hello, &subject.tool, *seed)?);
    }
    times.drain(..NOT_COUNTED);
    Ok(times)
}
