//! `firebox measure`, as typed: what benchmarks drive. Hidden, and without promises.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use firebox_image::ImageName;

use super::{OptionArg, Variable};

/// Measures something for each line of standard input, and prints one line of JSON for it.
///
/// The caller decides when the next measurement begins, so that it can be taken in turns with others.
#[derive(Debug, Args)]
pub(crate) struct MeasureArgs {
    /// What to measure.
    #[command(subcommand)]
    pub(crate) subject: MeasureSubject,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum MeasureSubject {
    /// Makes and removes a jail.
    Cells {
        /// The language whose toolchain the cell shows.
        #[arg(long, default_value = "bash")]
        lang: String,
    },
    /// Prepares one more cell, and keeps it until the input ends. A line may be `quiet`, too.
    Stock {
        /// The language that the cells are prepared for.
        #[arg(long, default_value = "bash")]
        lang: String,
    },
    /// Runs programs. A line is how many times, by default once, and which of the files, by default the first; or `quiet`,
    /// which is answered when nothing of ours goes on any more.
    Jobs(JobsArgs),
    /// Waits until nothing goes on in a process and those that descend from it, such as a service that measures nothing itself.
    Quiet {
        /// Its number.
        pid: u32,
    },
    /// Tells how much memory a process and those that descend from it hold, where what several share is divided among them.
    Memory {
        /// Its number.
        pid: u32,
    },
    /// Prints which options `jobs` has, so that a caller need not ask for what there is not.
    Offers,
}

/// Which jobs, and how.
#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// The programs. Each is called what its language starts from, as code without a name is. `@SEED@` in one becomes a
    /// number that was never there before.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Their language, when the extension does not say.
    #[arg(long)]
    pub(crate) lang: Option<String>,
    /// The image whose programs compile and run them, instead of this host's.
    #[arg(long, value_name = "NAME")]
    pub(crate) image: Option<ImageName>,
    /// Leaves the number the same, so that each job's code is that of the one before.
    #[arg(long)]
    pub(crate) same: bool,
    /// How many clients divide the jobs of a line among them.
    #[arg(long, default_value = "1")]
    pub(crate) clients: NonZeroUsize,
    /// How many cells are to wait for jobs in each language.
    #[arg(long, default_value_t = 0)]
    pub(crate) warm: usize,
    /// Keeps what is built, for the next job with the same code.
    #[arg(long)]
    pub(crate) kept: bool,
    /// A variable of the programs' environment.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<Variable>,
    /// An option of the language.
    #[arg(long = "option", value_name = "NAME=VALUE")]
    pub(crate) options: Vec<OptionArg>,
    /// Arguments of the programs.
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub(crate) args: Vec<String>,
}
