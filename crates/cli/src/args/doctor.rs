//! `firebox doctor`, as typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use firebox_job::CellKind;

const EXIT_CODES: &str = "\
Exit codes:
  0 when jobs run in a jail here, 1 when there is less to be had, 125 when that could not be found out.";

/// Tells what each kind of cell does on this host: enforced, watched or missing, why, and what to change.
///
/// Nothing is concluded from versions: a jail and a fence are made, and what they are there to stop is tried in them; of KVM
/// it is tried how fast it runs a guest of a few instructions. That takes a few seconds, and leaves nothing.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct DoctorArgs {
    /// Prints one line of JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Examines this kind alone, in this process.
    #[arg(long, hide = true, value_enum, requires = "bait")]
    pub(crate) of: Option<KindArg>,
    /// A file that anybody may read, for a cell to keep its job away from.
    #[arg(long, hide = true, value_name = "FILE")]
    pub(crate) bait: Option<PathBuf>,
}

/// A kind of cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// A virtual machine.
    Microvm,
    /// A Linux jail.
    Jail,
    /// A fence.
    Fence,
}

impl KindArg {
    /// The word for it, everywhere.
    pub(crate) fn name(self) -> &'static str {
        CellKind::from(self).name()
    }
}

impl From<KindArg> for CellKind {
    fn from(kind: KindArg) -> CellKind {
        match kind {
            KindArg::Microvm => CellKind::MicroVm,
            KindArg::Jail => CellKind::Jail,
            KindArg::Fence => CellKind::Fence,
        }
    }
}
