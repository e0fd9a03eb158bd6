//! The edge that programs talk to: HTTP.
//!
//! ```text
//! listener --> connection --> doors (may it come in?) --> routes --> execute --> body --> api (Parts) --> service (a job, and its place
//!   in the queue) --> running (a thread, and the engine on it) --> the outcome, at once or as events
//! ```
//!
//! Parses once, holds no logic: what a job is, `api` and `engine` know. What is here is what many clients at once need:
//! places, a queue, limits for those who send slowly or much, and an end that loses nothing.

mod admission;
mod answer;
mod body;
mod caller;
mod connection;
mod doors;
mod events;
mod execute;
mod health;
mod languages;
mod listener;
mod metrics;
mod routes;
mod running;
mod service;
mod settings;
mod state;

pub use listener::{ServeError, serve};
pub use service::Makings;
pub use settings::Settings;
pub use state::{Database, DirectoryError, OpenError, StateDirectory, StateError};
