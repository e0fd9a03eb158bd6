//! `firebox bench`: what the benchmarks of this repository drive. Hidden, and without promises.
//!
//! One measurement per line of standard input, answered by one line of JSON, so that the caller can interleave ours
//! with what it compares them to.

use std::io::{self, BufRead};
use std::path::PathBuf;
use std::process::ExitCode;
use std::slice;
use std::time::{Duration, Instant};

use firebox_cell::CellMaker;
use firebox_engine::{Cancel, Engine, Installed, Stdin};
use firebox_job::{Policy, SourceFile, Sources};
use firebox_lang::{Catalogue, Host, Language};
use serde_json::json;

use crate::agent::AGENT;
use crate::args::{BenchArgs, BenchSubject};
use crate::choice::{Target, choose_language};
use crate::draft::{Draft, Wishes};
use crate::failure::Failure;
use crate::host;
use crate::inputs::{self, Inputs, StdinSource, Wanted};
use crate::outlet;
use crate::trace::random_bytes;

/// What a program says where it wants to be different every time.
const SEED: &str = "@SEED@";

/// Measures until standard input ends.
pub(crate) fn bench(args: BenchArgs) -> Result<ExitCode, Failure> {
    let BenchArgs { subject } = args;
    match subject {
        BenchSubject::Cells { lang } => cells(&lang)?,
        BenchSubject::Jobs { file, lang } => jobs(file, lang)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn cells(lang: &str) -> Result<(), Failure> {
    let catalogue = Catalogue::builtin();
    let toolchain =
        catalogue.find(lang).map_err(Failure::request)?.find_toolchain(&Host::current()).map_err(Failure::host)?;
    let warden = firebox_jail::start(slice::from_ref(&toolchain.view), AGENT).map_err(Failure::host)?;
    let cells = warden.drop_privileges().map_err(Failure::host)?;
    let measured = for_each_line(|_| {
        let (make, remove) = one_cell(&cells)?;
        outlet::say_json(&json!({"make_us": microseconds(make), "remove_us": microseconds(remove)}))
    });
    let closed = Box::new(cells).close().map_err(Failure::host);
    measured.and(closed)
}

fn one_cell(cells: &dyn CellMaker) -> Result<(Duration, Duration), Failure> {
    let start = Instant::now();
    let cell = cells.make(0).map_err(Failure::host)?;
    let made = start.elapsed();
    cell.host.remove().map_err(Failure::host)?;
    Ok((made, start.elapsed() - made))
}

fn jobs(file: PathBuf, lang: Option<String>) -> Result<(), Failure> {
    // The order is the one that `run` explains.
    let policy = host::policy()?;
    let catalogue = Catalogue::builtin();
    let target = Target::find(file)?;
    let language = choose_language(&catalogue, &target, lang.as_deref(), None)?.clone();
    let toolchain = language.find_toolchain(&Host::current()).map_err(Failure::host)?;
    let warden = firebox_jail::start(slice::from_ref(&toolchain.view), AGENT).map_err(Failure::host)?;
    let sources = read(target, &language, &policy);
    let name = language.name().to_owned();
    let cells = warden.drop_privileges().map_err(Failure::host)?;
    let engine = Engine::new(vec![Installed { language, toolchain }], Box::new(cells), policy);
    let measured = sources.and_then(|sources| one_job_per_line(&engine, &name, &sources, &policy));
    let closed = engine.close().map_err(Failure::host);
    measured.and(closed)
}

fn one_job_per_line(engine: &Engine, language: &str, sources: &Sources, policy: &Policy) -> Result<(), Failure> {
    let (cancel, _canceller) = Cancel::new().map_err(Failure::host)?;
    // Where the numbers begin differs from process to process: what an earlier one compiled is not met again.
    let first = first_seed()?;
    for_each_line(|number| {
        let job =
            Draft::new(Wishes::default(), policy)?.into_job(language, seeded(sources, first.wrapping_add(number))?);
        let outcome = engine.run(&job, Stdin::Empty, &mut (), &cancel).map_err(Failure::host)?;
        outlet::say_json(&json!({
            "status": outcome.verdict.status().name(),
            "total_us": microseconds(outcome.timing.total),
            "compile_us": microseconds(outcome.timing.compile),
            "run_us": microseconds(outcome.timing.run),
        }))
    })
}

fn read(target: Target, language: &Language, policy: &Policy) -> Result<Sources, Failure> {
    let wanted = Wanted {
        target,
        files: Vec::new(),
        entry: None,
        nameless: language.entry().clone(),
        stdin: StdinSource::Empty,
        limit: policy.default.input,
    };
    let Inputs { sources, stdin: _ } = inputs::read(wanted)?;
    Ok(sources)
}

/// The same files with a number in place of the mark.
fn seeded(sources: &Sources, seed: u64) -> Result<Sources, Failure> {
    let seed = seed.to_string();
    let files = sources.files().iter().map(|SourceFile { path, content }| {
        let content = match std::str::from_utf8(content) {
            Ok(text) => text.replace(SEED, &seed).into_bytes(),
            Err(_) => content.clone(),
        };
        SourceFile { path: path.clone(), content }
    });
    Sources::new(files.collect(), Some(sources.entry().clone())).map_err(Failure::request)
}

/// Below 2^30, so that it is a plain integer in every language, with room to count up.
fn first_seed() -> Result<u64, Failure> {
    let [a, b, c, d, ..] = random_bytes().map_err(Failure::host)?;
    Ok(u64::from(u32::from_be_bytes([a, b, c, d]) >> 2))
}

fn for_each_line(mut measure: impl FnMut(u64) -> Result<(), Failure>) -> Result<(), Failure> {
    for (line, number) in io::stdin().lock().lines().zip(0..) {
        line.map_err(Failure::host)?;
        measure(number)?;
    }
    Ok(())
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use firebox_job::SourcePath;

    use super::*;

    #[test]
    fn a_mark_becomes_a_number_everywhere_and_other_bytes_stay() {
        let file =
            |path: &str, content: &[u8]| SourceFile { path: SourcePath::new(path).unwrap(), content: content.to_vec() };
        let sources = Sources::new(vec![file("a", b"@SEED@ and @SEED@"), file("b", &[0xff])], None).unwrap();
        let seeded = seeded(&sources, 7).unwrap();
        assert_eq!(seeded.files()[0].content, b"7 and 7");
        assert_eq!(seeded.files()[1].content, [0xff]);
    }
}
