//! The `firebox` command.
//!
//! It turns what was typed into a job, hands the job to the engine, and shows what came of it. It knows no language,
//! makes no cell and decides no verdict: those are the crates below. See `run` for the order in which things happen
//! and why that order matters.

mod agent;
mod answer;
mod args;
mod bench;
mod bucket;
mod check;
mod choice;
mod companion;
mod doctor;
mod draft;
mod duration;
mod ending;
mod errand;
mod failure;
mod groundwork;
mod guest;
mod host;
mod inputs;
mod isolation;
mod kernel;
mod keys;
mod languages;
#[cfg(feature = "leave-out")]
mod leave_out;
mod line;
mod linker;
mod listing;
mod live;
mod machine;
mod measure;
mod notice;
mod outlet;
mod printer;
mod rootfs;
mod run;
mod serve;
mod shelf;
mod signals;
mod snapshot;
mod state;
mod sys;
mod table;
mod toolchains;
mod whereabouts;

use std::env;
use std::process::ExitCode;

use crate::args::{Args, Command};
use crate::ending::Ending;
use crate::failure::Failure;
use crate::run::Usual;

fn main() -> ExitCode {
    let args = match Args::read(env::args_os().collect()) {
        Ok(args) => args,
        Err(error) => return told_by_the_parser(&error),
    };
    #[cfg(feature = "leave-out")]
    if let Err(failure) = leave_out::by_environment() {
        return told(&failure);
    }
    let done = match args.command {
        Command::Run(args) => run::run(*args, Usual::Jail).map(Ending::take),
        Command::Host(args) => run::run(*args, Usual::MicroVm).map(Ending::take),
        Command::Serve(args) => serve::serve(*args),
        Command::Api(args) => serve::serve((*args).into()),
        Command::Keys(args) => keys::keys(args),
        Command::Rootfs(args) => rootfs::rootfs(args),
        Command::Kernel(args) => kernel::kernel(args),
        Command::Snapshot(args) => snapshot::snapshot(args),
        Command::Languages(args) => languages::languages(args),
        Command::Doctor(args) => doctor::doctor(args),
        Command::Bench(args) => bench::bench(args),
        Command::Measure(args) => measure::measure(args),
        Command::Answer(args) => answer::answer(args),
        Command::Groundwork(args) => groundwork::make(args),
        Command::Freeze(args) => machine::freeze(args),
    };
    done.unwrap_or_else(|failure| told(&failure))
}

/// Help and versions are what was asked for and end with 0, mistakes with 2.
fn told_by_the_parser(error: &clap::Error) -> ExitCode {
    // Nobody is left to be told when even this cannot be written.
    let _ = error.print();
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn told(failure: &Failure) -> ExitCode {
    if let Some(message) = failure.message() {
        outlet::remark(&message);
    }
    failure.exit_code()
}
