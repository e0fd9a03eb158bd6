//! `firebox run`, as typed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use firebox_image::{ImageName, KernelName};
use firebox_job::Isolation;

use crate::args::{LimitArgs, OptionArg, Variable};

const EXAMPLES: &str = "\
Examples:
  firebox run hello.rs
  firebox run main.py --file helper.py -- first second
  firebox run --lang rust --code 'fn main() { println!(\"hi\"); }'
  echo 'print(6 * 7)' | firebox run --lang python -
  firebox run project/ --entry app.py --memory 1G --run-time 30s
  firebox run --json hello.c

Exit codes:
  The program's own, or what a shell would show when it was killed: 124 for a timeout, 137 for
  memory, 152 for CPU time, 153 for disk, 130 when cancelled, 128 plus the number of a signal.
  2 when the request is wrong, 125 when this host or firebox itself failed; a program may end
  with these two as well, so `--json`, which prints an outcome only if there is one, is surer.";

/// Runs a program in a cell of its own.
///
/// Output appears as the program writes it, and firebox exits with the program's exit code. A single FILE keeps its
/// name, so that messages name it; code from `--code` or `-` is called what its language starts from, such as
/// `main.rs`. In a FOLDER every file below goes along, and the program starts from that same name, or from --entry.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = "\
firebox run [OPTIONS] <FILE|FOLDER> [-- ARGUMENTS]
       firebox run [OPTIONS] --lang <LANGUAGE> --code <CODE> [-- ARGUMENTS]
       firebox run [OPTIONS] --lang <LANGUAGE> - [-- ARGUMENTS]")]
pub(crate) struct RunArgs {
    /// The program: a file, a folder, or `-` for code from standard input.
    #[arg(value_name = "FILE|FOLDER|-", required_unless_present = "code", conflicts_with = "code")]
    pub(crate) target: Option<PathBuf>,
    /// The program itself.
    #[arg(long, value_name = "CODE", allow_hyphen_values = true)]
    pub(crate) code: Option<String>,
    /// The language, by name or alias [default: what the file's extension says].
    #[arg(long, visible_alias = "language", value_name = "LANGUAGE")]
    pub(crate) lang: Option<String>,
    /// The image whose programs compile and run it, by its name in `firebox rootfs list` [default: the one that is called
    /// as the language, if there is one, and else the programs of this host].
    #[arg(long, value_name = "NAME")]
    pub(crate) image: Option<ImageName>,
    /// Another file that goes along; may be repeated. It keeps its place relative to the FILE's or FOLDER's own
    /// folder (the current one with `--code` and `-`) when it is below that, and else its bare name. `NAME=PATH`
    /// says what to call it.
    #[arg(long = "file", value_name = "[NAME=]PATH")]
    pub(crate) files: Vec<OsString>,
    /// The file to start from, by its name among the files.
    #[arg(long, value_name = "NAME")]
    pub(crate) entry: Option<String>,
    /// What the program reads; `-` is firebox's own standard input [default: that; nothing when the code came from
    /// there]. In a shell's loop, where that is the loop's own, write `firebox run "$f" </dev/null`.
    #[arg(long, value_name = "FILE")]
    pub(crate) stdin: Option<PathBuf>,
    /// A variable of the program's environment; may be repeated, and the last of one name counts.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<Variable>,
    /// Arguments of the program.
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub(crate) args: Vec<String>,

    /// The language's edition; the same as `--option edition=…`.
    #[arg(long, help_heading = "Language", value_name = "EDITION")]
    pub(crate) edition: Option<String>,
    /// How to build, such as `debug` or `release`; the same as `--option profile=…`.
    #[arg(long, help_heading = "Language", value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// An option of the language; may be repeated. `firebox languages` lists them.
    #[arg(long = "option", help_heading = "Language", value_name = "NAME=VALUE")]
    pub(crate) options: Vec<OptionArg>,

    /// Prints what the compiler said on standard error, even when the build succeeded.
    #[arg(long, help_heading = "Output", conflicts_with = "json")]
    pub(crate) warnings: bool,
    /// Prints the outcome as one line of JSON instead of the program's output.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    /// Tells every step's own output, time and usage in the JSON.
    #[arg(long, help_heading = "Output", requires = "json")]
    pub(crate) steps: bool,
    /// The job's name in the JSON [default: a random one].
    #[arg(long, help_heading = "Output", value_name = "ID")]
    pub(crate) trace_id: Option<String>,

    /// The limits.
    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    /// Where the program may run.
    #[arg(long, help_heading = "Isolation", value_name = "KIND", value_enum, default_value_t)]
    pub(crate) isolation: IsolationArg,
    /// The kernel of a microVM, by its name in `firebox kernel list` [default: the only one].
    #[arg(long, help_heading = "Isolation", value_name = "NAME")]
    pub(crate) kernel: Option<KernelName>,
    /// Asks for a microVM that goes on from a snapshot of the language (`firebox snapshot create` makes one), and fails where
    /// none fits [default: a microVM does where one fits].
    #[arg(long, help_heading = "Isolation", conflicts_with_all = ["boot", "kernel"])]
    pub(crate) snapshot: bool,
    /// Asks for a microVM that boots for this job, whatever snapshots there are.
    #[arg(long, help_heading = "Isolation")]
    pub(crate) boot: bool,
    /// Refuses to run where a protection would be weaker than this.
    #[arg(long, help_heading = "Isolation", value_name = "LEVEL")]
    pub(crate) require: Option<RequireArg>,
    /// Starts compilers and interpreters from nothing, so that not even the layout of their memory and the seeds of their
    /// hashes are those of another job's. A single `firebox run` does so anyway, unless it goes on from a snapshot; what serves
    /// many jobs gives them copies.
    #[arg(long, help_heading = "Isolation")]
    pub(crate) fresh_seed: bool,
}

/// Where the program may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum IsolationArg {
    /// A microVM where there is a snapshot of the language; else a jail, or a fence where this host makes no jails. `firebox host` also boots one where it can.
    #[default]
    Auto,
    /// Only in a virtual machine of its own.
    Microvm,
    /// Only in a Linux jail.
    Jail,
    /// Only in a fence, which is weaker and needs no namespaces.
    Fence,
}

/// Which protections must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RequireArg {
    /// The kernel itself holds every limit; none is merely watched.
    Enforced,
}

impl From<IsolationArg> for Isolation {
    fn from(isolation: IsolationArg) -> Isolation {
        match isolation {
            IsolationArg::Auto => Isolation::Auto,
            IsolationArg::Microvm => Isolation::MicroVm,
            IsolationArg::Jail => Isolation::Jail,
            IsolationArg::Fence => Isolation::Fence,
        }
    }
}
