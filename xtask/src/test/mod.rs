//! `cargo xtask test`: what the README tells a newcomer to run, and what CI runs. And `cargo xtask attack`: the part of it
//! that attacks.
//!
//! ```text
//! run -> needs -> format, lints, rules -> S3, Azure, the lab's equipment -> unit tests, the lab -> ordinary user, schemathesis, a Node of musl -> end-to-end tests
//!     -> doc tests -> the README's first command -> summary
//! ```
//!
//! `run` is that order. A step is a [`Step`]: it runs to its end whatever the step before it said, so that one call
//! shows everything that is wrong; only missing needs stop the rest.

mod attack_table;
mod cargo_test;
mod first_command;
mod harness_output;
mod musl_node;
mod needs;
mod ordinary_user;
mod python;
mod room;
mod run;
mod schemathesis;
mod step;

pub(crate) use harness_output::{HarnessOutput, Show, Told};
pub(crate) use run::{attack, run};
pub(crate) use step::{Ended, Finding, Report, Skipped, Step};
