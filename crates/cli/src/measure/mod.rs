//! `firebox measure`: what benchmarks drive, `firebox bench` as well as the one of this repository. Hidden, and without
//! promises.
//!
//! One answer per line of standard input, so that the caller can take turns with what it compares us to. Jobs go the way
//! of every job, through [`Engine::run`](firebox_engine::Engine::run): there is none that only a measurement takes.

mod cells;
mod family;
mod jobs;
mod program;

use std::io::{self, BufRead};
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;
use serde_json::{Value, json};

use crate::args::{Args, MeasureArgs, MeasureSubject};
use crate::failure::Failure;
use crate::outlet;
use family::Quiet;

/// Measures until standard input ends.
pub(crate) fn measure(args: MeasureArgs) -> Result<ExitCode, Failure> {
    let MeasureArgs { subject } = args;
    match subject {
        MeasureSubject::Cells { lang } => cells::made_and_removed(&lang)?,
        MeasureSubject::Stock { lang } => cells::kept(&lang)?,
        MeasureSubject::Jobs(args) => jobs::jobs(args)?,
        MeasureSubject::Quiet { pid } => outlet::say_json(&quiet(pid))?,
        MeasureSubject::Memory { pid } => outlet::say_json(&memory(pid)?)?,
        MeasureSubject::Offers => outlet::say_json(&json!({"jobs": options_of_jobs()}))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// By the words that are typed, without their dashes.
fn options_of_jobs() -> Vec<String> {
    let command = Args::command();
    let jobs = command.find_subcommand("measure").and_then(|measure| measure.find_subcommand("jobs"));
    jobs.into_iter().flat_map(|jobs| jobs.get_arguments()).filter_map(|arg| arg.get_long()).map(str::to_owned).collect()
}

fn for_each_line(mut measure: impl FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure> {
    for line in io::stdin().lock().lines() {
        measure(&line.map_err(Failure::host)?)?;
    }
    Ok(())
}

/// The line that asks for quiet.
const QUIET: &str = "quiet";

/// Waits until nothing goes on in a process and those that descend from it.
fn quiet(pid: u32) -> Value {
    let Quiet { came, waited, cpu, looking } = family::wait_for_quiet(pid);
    json!({
        "quiet": came,
        "waited_us": microseconds(waited),
        "cpu_us": microseconds(cpu),
        "looking_us": microseconds(looking),
    })
}

/// The memory of a process and those that descend from it, in bytes. Only root may look into those of other users.
fn memory(pid: u32) -> Result<Value, Failure> {
    let all = family::proportional_set_sizes(pid).map_err(Failure::host)?;
    let own = all.get(&pid).copied().unwrap_or_default();
    Ok(json!({"processes": all.len(), "bytes": all.values().sum::<u64>(), "own_bytes": own}))
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_is_what_can_be_typed() {
        let offers = options_of_jobs();
        for name in ["same", "image", "clients", "warm", "kept", "env", "option"] {
            assert!(offers.iter().any(|offer| offer == name), "{name} is not in {offers:?}");
        }
    }
}
