//! `cargo xtask bench`: Firebox side by side with the same work started bare.
//!
//! ```text
//! run -> machine (what was measured on) -> rows (one question each) -> table, data (JSON), plot (SVG)
//!                                           |-- firebox, driver: our side, a child process that stays
//!                                           |-- bare: their side, one `posix_spawn` per program
//!                                           |-- samples: measured in turns, and their medians
//!                                           `-- hellos, throughput, endurance, stock: kinds of question
//! ```
//!
//! docs/benchmarks/README.md says how the numbers are made and how to read them.

mod bare;
mod data;
mod driver;
mod endurance;
mod family;
mod firebox;
mod hellos;
mod machine;
mod plot;
mod row;
mod rows;
mod run;
mod samples;
mod stock;
mod subject;
mod table;
mod throughput;

pub(crate) use run::run;
