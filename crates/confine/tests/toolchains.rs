//! The toolchains that jobs are made with, at work under the filter. One that is not installed is skipped, and said so.

#![expect(clippy::print_stdout, reason = "a test that was skipped says so")]

use crate::kit::programs::{self, Program};

mod kit;

fn check(program: &Program) {
    if !program.is_present() {
        return;
    }
    let cell = program.cell();
    let printed: Vec<String> = program.commands.iter().map(|(_, command)| cell.succeeds(command)).collect();
    assert_eq!(printed.last().map(String::as_str), Some(program.prints));
}

#[test]
fn rustc_compiles_and_its_program_runs() {
    check(&programs::RUST);
}

#[test]
fn rustc_runs_tests_and_catches_panics() {
    check(&programs::RUST_TESTS);
}

#[test]
fn gcc_compiles_and_its_program_runs() {
    check(&programs::C);
}

#[test]
fn gxx_compiles_and_its_program_runs() {
    check(&programs::CPP);
}

#[test]
fn python_runs_with_threads_processes_and_sockets() {
    check(&programs::PYTHON);
}

#[test]
fn node_runs_with_workers_processes_and_sockets() {
    check(&programs::NODE);
}

#[test]
fn bash_and_coreutils_run() {
    check(&programs::BASH);
}
