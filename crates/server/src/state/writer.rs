//! The one thread that writes. What came while it was busy is written together, in one commit.
//!
//! A commit waits for the disk, whatever is in it. So each change is a savepoint in a transaction that all of those share
//! who wait, and is answered when that has been committed: a change that fails takes nobody else along, and nobody is told
//! of success before it is on disk.

use rusqlite::Connection;
use tokio::sync::mpsc::Receiver;

use super::StateError;
use super::log::Log;

/// How many changes one commit may have.
const MOST: usize = 512;

/// A change, and who waits to hear what became of it.
pub(super) trait Change: Send {
    /// Makes it. Tells whether it is to stay.
    fn make(&mut self, connection: &Connection) -> bool;
    /// Tells what became of it: committed with all that it was made with, or nothing of that for this reason.
    fn tell(self: Box<Self>, failed: Option<StateError>);
}

/// Writes until nobody is left who could ask for it.
pub(super) fn write_all(connection: &Connection, mut changes: Receiver<Box<dyn Change>>, mut log: Log) {
    let mut group = Vec::new();
    while changes.blocking_recv_many(&mut group, MOST) != 0 {
        let failed = write(connection, &mut group).err();
        if failed.is_some() && !connection.is_autocommit() {
            // Nothing stays of it in any case: the next transaction begins from what was committed.
            let _ = connection.execute_batch("ROLLBACK");
        }
        group.drain(..).for_each(|change| change.tell(failed.clone()));
        log.keep_small(connection);
    }
}

fn write(connection: &Connection, group: &mut [Box<dyn Change>]) -> Result<(), StateError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for change in group {
        connection.prepare_cached("SAVEPOINT change")?.execute([])?;
        let stays = change.make(connection);
        // A full disk ends the whole transaction by itself, with all that was in it.
        if connection.is_autocommit() {
            return Err(StateError::DiskFull);
        }
        if !stays {
            connection.prepare_cached("ROLLBACK TO change")?.execute([])?;
        }
        connection.prepare_cached("RELEASE change")?.execute([])?;
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}
