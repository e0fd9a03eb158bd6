//! What the user typed. Checked for its shape here, and for what it means nowhere in here: nothing is opened,
//! nothing looked up, so that `--help` and a typing error never depend on the host.
//!
//! The texts are public documentation.

mod answer;
mod api;
mod bench;
mod doctor;
mod environment;
mod freeze;
mod groundwork;
mod kernel;
mod keys;
mod language;
mod limits;
mod measure;
mod pair;
mod rootfs;
mod rootfs_remote;
mod run;
mod serve;
mod snapshot;
mod snapshot_create;
mod snapshot_remote;
mod tip;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

pub(crate) use answer::AnswerArgs;
pub(crate) use api::ApiArgs;
pub(crate) use bench::BenchArgs;
pub(crate) use doctor::{DoctorArgs, KindArg};
pub(crate) use environment::check as check_environment;
pub(crate) use freeze::FreezeArgs;
pub(crate) use groundwork::GroundworkArgs;
pub(crate) use kernel::{FetchArgs, FromArg, KernelArgs, KernelCommand};
pub(crate) use keys::{CreateArgs, KeysArgs, KeysCommand};
pub(crate) use language::{LanguagesArgs, LanguagesCommand};
pub(crate) use limits::{LimitArgs, flag_of};
pub(crate) use measure::{JobsArgs, MeasureArgs, MeasureSubject};
pub(crate) use pair::{OptionArg, Variable, option_value};
pub(crate) use rootfs::{FromDockerArgs, ListArgs, OriginArg, RootfsArgs, RootfsCommand};
pub(crate) use rootfs_remote::{BucketArgs, DownloadArgs, UploadArgs, WhichImageArgs};
pub(crate) use run::{IsolationArg, RequireArg, RunArgs};
pub(crate) use serve::{LogLevel, ServeArgs, ServeWords};
pub(crate) use snapshot::{SnapshotArgs, SnapshotCommand};
pub(crate) use snapshot_create::CreateSnapshotArgs;
pub(crate) use snapshot_remote::{DownloadSnapshotArgs, ListSnapshotsArgs, UploadSnapshotArgs, WhichSnapshotArgs};

/// Runs code you do not trust, safely and fast.
///
/// Firebox takes a program, runs it in a place it cannot get out of, and shows what it printed, what it exited with
/// and, when it did not end by itself, why.
#[derive(Debug, Parser)]
#[command(name = "firebox", version, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// Reads the words of a command line, the first of which is the program's own name.
    pub(crate) fn read(words: Vec<OsString>) -> Result<Args, clap::Error> {
        Args::try_parse_from(&words).map_err(|error| tip::with_fitting_tip(error, &words))
    }
}

/// What to do. Each is described where its arguments are, since a text here would replace that one in `--help`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<RunArgs>),
    #[command(hide = true)]
    Host(Box<RunArgs>),
    Serve(Box<ServeArgs>),
    #[command(hide = true)]
    Api(Box<ApiArgs>),
    Keys(KeysArgs),
    Rootfs(RootfsArgs),
    Kernel(KernelArgs),
    Snapshot(SnapshotArgs),
    Languages(LanguagesArgs),
    Doctor(DoctorArgs),
    Bench(BenchArgs),
    #[command(hide = true)]
    Measure(MeasureArgs),
    #[command(hide = true)]
    Answer(AnswerArgs),
    #[command(hide = true)]
    Groundwork(GroundworkArgs),
    #[command(hide = true)]
    Freeze(FreezeArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn run(line: &[&str]) -> Result<RunArgs, String> {
        match Args::try_parse_from([&["firebox", "run"], line].concat()) {
            Ok(Args { command: Command::Run(args) }) => Ok(*args),
            Ok(other) => panic!("not a run: {other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_definition_contradicts_itself_nowhere() {
        Args::command().debug_assert();
    }

    #[test]
    fn arguments_of_the_program_come_after_two_dashes() {
        let args = run(&["main.py", "--json", "--", "--json", "-x"]).unwrap();
        assert!(args.json);
        assert_eq!(args.args, ["--json", "-x"]);
    }

    #[test]
    fn memory_as_a_number_of_mebibytes_is_the_memory_that_is_asked_for() {
        let asked = |line: &[&str]| run(line).unwrap().limits.ask().memory;
        assert_eq!(asked(&["main.rs", "--mem", "512"]), asked(&["main.rs", "--memory", "512M"]));
        assert_eq!(asked(&["main.rs"]), None);
    }

    #[test]
    fn a_dash_is_a_target_and_needs_no_file() {
        assert_eq!(run(&["--lang", "python", "-"]).unwrap().target.unwrap().as_os_str(), "-");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_flag_at_fault() {
        for (line, word) in [
            (&["main.rs", "--code", "x"][..], "--code"),
            (&[], "--code"),
            (&["main.rs", "other.rs"], "other.rs"),
            (&["main.rs", "--timeout", "soon"], "--timeout"),
            (&["main.rs", "--memory", "lots"], "--memory"),
            (&["main.rs", "--mem", "1G"], "number of MiB"),
            (&["main.rs", "--mem", "512", "--memory", "1G"], "--memory"),
            (&["main.rs", "--memory", "-5"], "`-5` is not a size"),
            (&["main.rs", "--timeout", "-5s"], "`-5s` is not a time"),
            (&["main.rs", "--tasks", "-5"], "-5 is not in"),
            (&["main.rs", "--env", "NOVALUE"], "--env"),
            (&["main.rs", "--env", "=x"], "--env"),
            (&["main.rs", "--option", "edition"], "--option"),
            (&["main.rs", "--isolation", "vm"], "microvm"),
            (&["main.rs", "--steps"], "--json"),
            (&["main.rs", "--json", "--warnings"], "--warnings"),
        ] {
            let error = run(line).unwrap_err();
            assert!(error.contains(word), "{line:?}: {error:?} does not say {word:?}");
        }
    }
}
