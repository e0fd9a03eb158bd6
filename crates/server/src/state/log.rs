//! The write-ahead log, which is kept from growing.
//!
//! SQLite begins it anew when nobody reads from it, and where readers overlap that moment never comes by itself.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Result};
use tracing::warn;

use super::database::BUSY;

/// How large it may become before it is put back on purpose.
pub(super) const MOST: u64 = 64 << 20;
/// How long the writer waits for those who still read from it: no look takes longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long after a try the next one is made, so that there is time to write in between.
const PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Log {
    file: PathBuf,
    most: u64,
    tried: Option<Instant>,
}

impl Log {
    /// Of the database in this file.
    pub(super) fn of(database: PathBuf, most: u64) -> Log {
        let mut file = database.into_os_string();
        file.push("-wal");
        Log { file: file.into(), most, tried: None }
    }

    /// Puts all of it into the database, and empties it, if it is large. To be called when nothing is being written.
    pub(super) fn keep_small(&mut self, connection: &Connection) {
        let size = fs::metadata(&self.file).map_or(0, |metadata| metadata.len());
        if size <= self.most || self.tried.is_some_and(|tried| tried.elapsed() < PAUSE) {
            return;
        }
        self.tried = Some(Instant::now());
        if let Err(error) = put_back(connection) {
            warn!(cause = error.to_string(), "cannot put the database's log back");
        }
    }
}

fn put_back(connection: &Connection) -> Result<()> {
    connection.busy_timeout(PATIENCE)?;
    // Whether somebody has read all the while: then it is tried again.
    let done = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    connection.busy_timeout(BUSY)?;
    done.map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn it_is_emptied_when_it_is_large_and_those_who_read_have_gone() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a.db");
        let open = || {
            let connection = Connection::open(&file).unwrap();
            connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
            connection
        };
        let writing = open();
        writing.execute_batch("CREATE TABLE a (b); INSERT INTO a VALUES (1)").unwrap();
        let reading = open();
        let (begun, reads) = channel();
        let reader = thread::spawn(move || {
            let moment = reading.unchecked_transaction().unwrap();
            let look = || moment.query_row("SELECT count(*) FROM a", [], |row| row.get::<_, i64>(0)).unwrap();
            let before = look();
            begun.send(()).unwrap();
            thread::sleep(Duration::from_millis(200));
            (before, look())
        });
        reads.recv().unwrap();
        writing.execute_batch("INSERT INTO a VALUES (zeroblob(1000000))").unwrap();
        let log = || fs::metadata(place.path().join("a.db-wal")).unwrap().len();
        assert!(1_000_000 < log());
        Log::of(file.clone(), 2_000_000).keep_small(&writing);
        assert!(1_000_000 < log(), "it is not large");
        Log::of(file.clone(), 500_000).keep_small(&writing);
        assert_eq!((log(), reader.join().unwrap()), (0, (1, 1)));
        let count: i64 = writing.query_row("SELECT count(*) FROM a", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 2);
    }
}
