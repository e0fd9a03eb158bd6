//! `cargo xtask bench`: Firebox side by side with the same work started bare.
//!
//! ```text
//! run -> machine (what was measured on) -> rows (one question each) -> table, data (JSON), plot (SVG)
//!                                           |-- firebox, driver: our side, a child process that stays
//!                                           |-- bare: their side, one `posix_spawn` per program
//!                                           |-- samples: measured in turns, and their medians
//!                                           `-- hellos, throughput, served, endurance, stock, images: kinds of question
//!                                                 `-- workshop, shelves, fresh_disk: images to measure with, who gives them, and onto what
//! ```
//!
//! docs/benchmarks/README.md says how the numbers are made and how to read them.

mod bare;
// The client that the end-to-end tests have.
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../../tests/kit/http.rs"]
mod connection;
mod data;
mod driver;
mod endurance;
mod firebox;
mod fresh_disk;
mod hellos;
mod images;
mod machine;
mod plot;
mod row;
mod rows;
mod run;
mod samples;
mod served;
mod shelves;
mod stock;
mod subject;
mod table;
mod throughput;
mod workshop;

pub(crate) use run::run;
