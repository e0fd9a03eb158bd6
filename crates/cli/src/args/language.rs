//! `firebox languages`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use firebox_image::ImageName;

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
    /// Makes what the jobs of some languages need besides their toolchains, where it was not made yet.
    ///
    /// It is made in a cell, once for each toolchain, and kept in the directory that FIREBOX_HOME names. `run` does
    /// this by itself, and `serve` for languages that were named.
    Prepare {
        /// The languages [default: all that this host has].
        #[arg(value_name = "LANGUAGE")]
        languages: Vec<String>,
        /// The image that has them, by its name in `firebox rootfs list` [default: the one that is called as the language, if
        /// there is one; else this host].
        #[arg(long, value_name = "NAME", requires = "languages")]
        image: Option<ImageName>,
    },
}
