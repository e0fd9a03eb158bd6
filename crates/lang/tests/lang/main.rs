//! The crate from outside: language files, toolchains, plans.

mod files;
mod plans;
mod support;
mod this_host;
mod toolchains;
mod witness;
