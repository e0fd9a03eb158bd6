//! The vocabulary of Firebox as types.
//!
//! A [`Job`] is what a client asks for; it becomes exactly one [`Outcome`]. Everything here is a plain value:
//! no I/O, no clock, no serialisation. The edges convert from and to their own formats (see the `api` crate),
//! so a change here is never by accident a change of a public format.

mod captured;
mod cell_kind;
mod enforcement;
mod grant;
mod job;
mod limits;
mod outcome;
mod policy;
mod safeguard;
mod size;
mod source;
mod stages;
mod step_kind;
mod trace_id;
mod verdict;

pub use captured::{Captured, Truncated};
pub use cell_kind::CellKind;
pub use enforcement::{Enforcement, Protection};
pub use grant::{Grant, GrantError, Rate};
pub use job::{Isolation, Job, OptionValue, Require, Seed};
pub use limits::{Ask, Limits, LimitsError};
pub use outcome::{Outcome, StepReport, Timing, Usage};
pub use policy::{Building, Policy};
pub use safeguard::Safeguard;
pub use size::{ByteSize, ParseSizeError};
pub use source::{SourceFile, SourcePath, SourcePathError, Sources, SourcesError};
pub use stages::Stages;
pub use step_kind::StepKind;
pub use trace_id::{TraceId, TraceIdError};
pub use verdict::{Signal, Status, Verdict};
