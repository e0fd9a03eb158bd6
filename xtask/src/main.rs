//! `cargo xtask`: everything a developer of Firebox runs, in one program.
//!
//! Reads the command line and hands over; each command is a module of its own. It runs on the developer's machine
//! and in CI with the rights of whoever called it, and is never part of the product.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool speaks to its developer")]

mod azure_server;
mod bench;
mod command;
mod fuzz;
mod host_packages;
mod lab;
mod lines;
mod load;
mod registry_server;
mod repository;
mod rules;
mod s3_server;
mod said;
mod server;
mod test;

use std::process::ExitCode;

use crate::command::{Command, HELP, LabWork};
use crate::repository::Repository;

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> anyhow::Result<ExitCode> {
    let command = command::parse(std::env::args().skip(1))?;
    let repository = Repository::find()?;
    match command {
        Command::Help => {
            println!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        Command::Test => test::run(&repository),
        Command::Attack => test::attack(&repository),
        Command::Lab(LabWork::Tests { only, extent }) => lab::run(&repository, only.as_deref(), extent),
        Command::Lab(LabWork::Comparison) => lab::compare(&repository),
        Command::Rules => rules::run(&repository),
        Command::Bench(options) => bench::run(&repository, &options),
        Command::Fuzz(options) => fuzz::run(&repository, &options),
        Command::Load(options) => load::run(&repository, &options),
    }
}
