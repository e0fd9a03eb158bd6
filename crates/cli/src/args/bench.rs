//! `firebox bench`, as typed: what the benchmarks of this repository drive. Not for users.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Measures one thing per line of standard input, and prints one line of JSON for each.
///
/// The caller decides when the next measurement begins, so that it can be interleaved with others.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// What to measure.
    #[command(subcommand)]
    pub(crate) subject: BenchSubject,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchSubject {
    /// Makes and removes a cell.
    Cells {
        /// The language whose toolchain the cell shows.
        #[arg(long, default_value = "bash")]
        lang: String,
    },
    /// Runs a program, with `@SEED@` in it replaced by a number that was never there before.
    Jobs {
        /// The program.
        file: PathBuf,
        /// Its language, when the extension does not say.
        #[arg(long)]
        lang: Option<String>,
    },
}
