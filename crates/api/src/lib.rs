//! The public JSON of Firebox, and its conversion from and to the domain types.
//!
//! Everything that a client reads or writes is declared here and nowhere else: [`Response`] is made from an
//! [`Outcome`](firebox_job::Outcome), [`Request`] becomes the [`Parts`] of a [`Job`](firebox_job::Job). The domain
//! types do not know JSON, so a change in them is never by accident a change of what clients see; every conversion
//! takes its source apart field by field, so a new field does not compile until somebody has decided about it.
//!
//! No I/O, and no policy: which limits a job is granted is decided by [`firebox_job::Limits::within`].
//!
//! ```
//! use firebox_api::{Parts, Request};
//!
//! let request = Request::from_json(br#"{"lang": "rust", "code": "fn main() {}", "timeout": 60}"#)?;
//! let parts = Parts::try_from(request)?;
//! assert_eq!(parts.language, "rust");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod asked_limits;
mod bounded;
mod granted_limits;
mod job_request;
mod job_view;
mod key;
mod listing;
mod moment;
mod number;
mod object;
mod output_event;
mod parts;
mod refusal;
mod request;
mod response;
mod schema;
mod step;
mod stream;

pub use asked_limits::AskedLimits;
pub use granted_limits::GrantedLimits;
pub use job_request::{AskedWebhook, BatchRequest, JobRequest, JobStatus, MOST_IN_A_BATCH};
pub use job_view::{BatchView, Delivery, JobView, JobsPage, StatusEvent};
pub use key::{CellName, KeyLimits, KeyLimitsError, ListedKey};
pub use listing::{ListedOption, ListedProgram, Listing};
pub use moment::{utc, utc_ms};
pub use number::Number;
pub use output_event::OutputEvent;
pub use parts::{Code, JobError, Parts, PartsError};
pub use refusal::{Refusal, RefusalCode, Refused, RefusedFlat, RefusedItem};
pub use request::{AskedIsolation, AskedOption, MalformedRequest, Request, RequestFile};
pub use response::{Detail, Enforcement, Response, Stages, Timing, Truncation, Usage};
pub use schema::Schemas;
pub use step::Step;
pub use stream::Cut;
