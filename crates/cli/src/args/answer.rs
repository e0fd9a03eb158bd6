//! `firebox answer`, as typed: what tests drive. Not for users.

use clap::Args;

/// Answers requests, one line of JSON for each, in one process: what a server does, without a network.
///
/// A line is the name of a partition, a tab, and a request. Requests of one partition share what they build.
#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// The languages that requests may be in.
    #[arg(long, required = true)]
    pub(crate) lang: Vec<String>,
    /// How much of what is built is kept.
    #[arg(long, default_value_t = 64)]
    pub(crate) keep_mb: u64,
    /// How many cells are to wait for jobs in each language; requests are answered when they do.
    #[arg(long, default_value_t = 0)]
    pub(crate) warm: usize,
}
