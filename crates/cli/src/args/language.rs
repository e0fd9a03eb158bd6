//! `firebox languages`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Lists the languages: their versions, programs and options.
///
/// Every toolchain is one of this machine's own. A version is what the toolchain itself says when it is run in a
/// cell. For a toolchain that is missing, the list says what to install.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct LanguagesArgs {
    /// Prints one line of JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// What else to do with languages.
    #[command(subcommand)]
    pub(crate) command: Option<LanguagesCommand>,
}

/// What else to do with languages.
#[derive(Debug, Subcommand)]
pub(crate) enum LanguagesCommand {
    /// Tells good language files from bad ones, naming line and reason.
    Check {
        /// The files to check.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}
