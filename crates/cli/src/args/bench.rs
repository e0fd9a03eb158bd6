//! `firebox bench`, as typed.

use std::time::Duration;

use clap::Args;

use crate::duration::parse_duration;

/// Measures how fast programs run in a cell here, next to the same commands without one.
///
/// For each language that is installed, a small program runs again and again, one job right after the other, in turns
/// with its bare compiler or interpreter: the program itself, not a version manager's stand-in, started without a shell,
/// on files in memory. Times are medians. A compiled program has other code each time, and is compiled and run each time.
/// Jobs are run by a process that stays and keeps cells waiting for them, as a server does; `firebox run` makes a cell for each.
/// All of it takes less than a minute; do nothing else meanwhile.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Measures this language alone, by name or alias; may be repeated.
    #[arg(long, visible_alias = "language", value_name = "LANGUAGE")]
    pub(crate) lang: Vec<String>,
    /// Prints one line of JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Measures for about this long in all; the shorter, the less is to be concluded from it.
    #[arg(long, value_name = "TIME", default_value = "40s", value_parser = parse_duration)]
    pub(crate) time: Duration,
}
