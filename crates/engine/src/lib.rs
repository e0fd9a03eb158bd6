//! One job, from `Job` to `Outcome`.
//!
//! The engine takes a cell, drives the agent in it through the steps of the job's plan, watches the limits that are
//! a matter of time, and says what happened. It knows no language (`lang` does), makes no cell (`jail` does), and
//! prints nothing (the edges do).

mod ahead;
mod cancel;
mod capture;
mod course;
mod decide;
mod edge;
mod engine;
mod error;
mod freezing;
mod groundwork;
#[cfg(test)]
mod hostile;
mod image;
mod input;
mod installed;
mod kept;
mod laps;
mod leaving;
mod patience;
mod pool;
mod reader;
mod removals;
mod session;
mod supply;
mod templates;
mod trace;
mod version;
mod watch;

pub use cancel::{Cancel, Canceller};
pub use edge::{Sink, Stdin, Stream};
pub use engine::{Engine, PreparedCell, Within};
pub use error::RunError;
pub use freezing::{StepMark, mark_of_first_step};
pub use groundwork::{
    LayingError, MOST_BYTES as MOST_GROUNDWORK_BYTES, MOST_FILES as MOST_GROUNDWORK_FILES, groundwork_policy,
};
pub use installed::Installed;
pub use kept::{Kept, KeptCounts, Partition};
pub use leaving::Leaving;
pub use pool::PoolPolicy;
pub use removals::CellsEnded;
pub use trace::{fresh_trace_id, random_bytes};
pub use version::UnknownVersion;
