//! What the service keeps on disk: a directory that is its own, and a database in it.
//!
//! ```text
//! <state>/private/         0700, of whoever starts firebox, root for one; nobody else gets through it
//!   lock                   held by the one service that uses the directory
//!   keys                   written by `firebox keys`, read by the service, which has it open from its start on: see `keys`
//!   data/                  0700, of the uid that the engine has this time
//!     firebox.db, -wal, -shm
//! ```
//!
//! The engine gives its rights up at the start and gets another uid each time, so `data` is handed to it before, and is
//! reached by its descriptor from then on: by path, nobody but root comes to it, whoever has that uid later. What is in the
//! database, and what a change of it means, others say (`jobs`); here it is opened, written by one thread that has many
//! changes in one commit, and read by others.

mod database;
mod directory;
mod error;
mod log;
mod migrations;
mod outage;
mod readers;
mod sys;
mod writer;

pub use database::Database;
pub use directory::{DirectoryError, StateDirectory};
pub use error::{OpenError, StateError};

/// A database that is gone with the test that has it.
#[cfg(test)]
pub(crate) fn in_memory() -> rusqlite::Connection {
    let mut connection = rusqlite::Connection::open_in_memory().unwrap();
    connection.pragma_update(None, "foreign_keys", "ON").unwrap();
    migrations::migrate(&mut connection, std::path::Path::new("memory")).unwrap();
    connection
}
