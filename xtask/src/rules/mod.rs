//! The house rules: what no compiler checks and every reader relies on.
//!
//! `house` runs them all; each other file is one rule, a pure function from text to [`Broken`] with tests of its own.
//! `code` is what a rule reads when comments and strings must not count.

mod code;
mod edges;
mod house;
mod leave_out;
mod length;
mod machine_paths;
mod names;
mod unsafe_words;

pub(crate) use house::{Broken, check, run};
pub(crate) use leave_out::FEATURE as LEAVE_OUT;
