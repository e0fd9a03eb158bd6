//! The one thread that writes. What came while it was busy is written together, in one commit.
//!
//! A commit waits for the disk, whatever is in it. So each change is a savepoint in a transaction that all of those share
//! who wait, and is answered when that has been committed: a change that fails takes nobody else along, and nobody is told
//! of success before it is on disk.

use rusqlite::Connection;
use tokio::sync::mpsc::Receiver;

use super::StateError;
use super::log::Log;
use super::outage::Outage;

/// How many changes one commit may have.
const MOST: usize = 512;

/// A change, and who waits to hear what became of it.
pub(super) trait Change: Send {
    /// Makes it. Of one that fails, nothing is to stay.
    fn make(&mut self, connection: &Connection) -> Result<(), StateError>;
    /// Tells what became of it: committed with all that it was made with, or nothing of that for this reason.
    fn tell(self: Box<Self>, failed: Option<StateError>);
}

/// Writes until nobody is left who could ask for it.
pub(super) fn write_all(
    connection: &Connection,
    mut changes: Receiver<Box<dyn Change>>,
    mut log: Log,
    mut outage: Outage,
) {
    let mut group = Vec::new();
    while changes.blocking_recv_many(&mut group, MOST) != 0 {
        let before = connection.total_changes();
        let written = write(connection, &mut group);
        match &written {
            Ok(Some(error)) | Err(error) if error.may_pass() => outage.fails(error),
            // Where there was nothing to write, nothing is known.
            Ok(None) if connection.total_changes() != before => outage.passes(),
            _ => {}
        }
        let failed = written.err();
        if failed.is_some() && !connection.is_autocommit() {
            // Nothing stays of it in any case: the next transaction begins from what was committed.
            let _ = connection.execute_batch("ROLLBACK");
        }
        group.drain(..).for_each(|change| change.tell(failed.clone()));
        log.keep_small(connection);
    }
}

/// Writes all of it that can be. Tells also what is wrong with the disk, if that kept some from being made.
fn write(connection: &Connection, group: &mut [Box<dyn Change>]) -> Result<Option<StateError>, StateError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let mut of_the_disk = None;
    for change in group {
        connection.prepare_cached("SAVEPOINT change")?.execute([])?;
        let made = change.make(connection);
        // A full disk ends the whole transaction by itself, with all that was in it.
        if connection.is_autocommit() {
            return Err(made.err().unwrap_or(StateError::DiskFull));
        }
        if let Err(error) = made {
            connection.prepare_cached("ROLLBACK TO change")?.execute([])?;
            of_the_disk = Some(error).filter(StateError::may_pass).or(of_the_disk);
        }
        connection.prepare_cached("RELEASE change")?.execute([])?;
    }
    connection.execute_batch("COMMIT")?;
    Ok(of_the_disk)
}
