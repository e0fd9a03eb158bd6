//! `cargo xtask bench`: Firebox side by side with the same work started bare.
//!
//! ```text
//! run -> machine (what was measured on) -> rows (one question each) -> table, JSON
//!                                           |-- firebox: our side, a child process that stays
//!                                           |-- bare: their side, one `posix_spawn` per program
//!                                           `-- samples: interleaved runs and their medians
//! ```
//!
//! docs/benchmarks/README.md says how the numbers are made and how to read them.

mod bare;
mod firebox;
mod machine;
mod rows;
mod run;
mod samples;
mod subject;
mod table;

pub(crate) use run::run;
