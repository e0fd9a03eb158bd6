//! The edge that programs talk to: HTTP.
//!
//! ```text
//! listener --> reception --> connection --> gate (may it come in, and as whom?) --> routes --> execute --> body --> api (Parts) --> service (a job, and its place
//!   in the queue) --> running (a thread, and the engine on it) --> the outcome, at once or as events
//! ```
//!
//! What is served stands in one table, `routes::table`: for each address and method who answers, and an `Operation` that describes
//! it. The router and `GET /openapi.json` are made of that table and of the types of `api`, so neither has what the other lacks.
//! Adding an address is adding its line there:
//!
//! ```text
//! .api(Method::POST, "/execute", execute::execute, execute::operation())     under /v1, and under /api/v1
//! .beside(Method::GET, "/health", health::health, health::operation())       what is no part of the API
//! ```
//!
//! `execute::operation` has a body, examples, two kinds of answer and refusals; `languages::operations` a part of a path and a
//! link. Types of bodies derive `JsonSchema`; a new `RefusalCode` wants its sentence and example in `openapi::refusals`; refusals
//! of the door, which anybody may get, stand in `openapi::operation`. In builds for development, an answer with a status that the
//! description lacks is a panic.
//!
//! Parses once, holds no logic: what a job is, `api` and `engine` know. What is here is what many clients at once need:
//! places, a queue, limits for those who send slowly or much, and an end that loses nothing.

mod admission;
mod afterwards;
mod answer;
mod body;
mod caller;
mod commons;
mod compression;
mod connection;
mod doors;
mod events;
mod execute;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gate;
mod health;
mod jobs;
pub mod keys;
mod languages;
mod lifeline;
mod listener;
mod metrics;
mod openapi;
mod origin;
mod outbox;
mod outgoing;
mod output;
mod pieces;
mod reception;
mod request_id;
mod routes;
mod running;
mod segment;
mod service;
mod settings;
mod spans;
mod state;
mod supervisor;
mod table;
mod tls;
mod visit;
mod webhook;

pub use jobs::JobSettings;
pub use listener::{ServeError, Server};
pub use origin::{NoOrigin, PageOrigin};
pub use service::Makings;
pub use settings::Settings;
pub use spans::{NoEndpoint, SpanEndpoint};
pub use state::{Database, DirectoryError, OpenError, StateDirectory, StateError};
pub use tls::{Tls, TlsError};
pub use webhook::{Trust, WebhookSettings};
