//! The database as the rest of the service has it: something to ask, and to wait for.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::oneshot;

use super::log::{self, Log};
use super::migrations::{migrate, opening};
use super::outage::Outage;
use super::readers::Readers;
use super::writer::{Change, write_all};
use super::{OpenError, StateDirectory, StateError, sys};

/// How many changes may wait for the writer before those who bring more wait themselves.
const WAITING: usize = 1024;
/// How many may read at once.
const READERS: usize = 2;
/// How long to wait for another connection. Only this process writes, but whoever looks at the file from outside, such as a backup, may
/// hold it for a moment.
pub(super) const BUSY: Duration = Duration::from_secs(10);
/// How large the database may be to be looked through at each start.
const LOOKED_THROUGH: i64 = 256 << 20;

/// An open database. Dropping it waits for what was to be written, and closes it.
#[derive(Debug)]
pub struct Database {
    changes: Option<Sender<Box<dyn Change>>>,
    writer: Option<JoinHandle<()>>,
    readers: Option<Readers>,
    unreadable: Mutex<Outage>,
    /// Its descriptor is the way to the files, and its lock keeps others away.
    directory: StateDirectory,
}

impl Database {
    /// Opens the database of this directory, and makes it if there is none.
    pub fn open(directory: StateDirectory) -> Result<Database, OpenError> {
        let (file, name) = (directory.database(), directory.name_of_database());
        let mut writing = connect(&file, &name)?;
        migrate(&mut writing, &name)?;
        look_through(&writing, &name)?;
        let reading = (0..READERS).map(|_| reader(&file, &name)).collect::<Result<_, _>>()?;
        let readers = Readers::start(reading).map_err(OpenError::Thread)?;
        let (changes, waiting) = channel(WAITING);
        let writer = Builder::new().name("state-writer".into());
        let log = Log::of(file, log::MOST);
        let [unwritable, unreadable] = ["written", "read"].map(|what| Outage::of(what, directory.path()));
        let writer = writer.spawn(move || write_all(&writing, waiting, log, unwritable)).map_err(OpenError::Thread)?;
        let (changes, writer, readers) = (Some(changes), Some(writer), Some(readers));
        Ok(Database { changes, writer, readers, unreadable: Mutex::new(unreadable), directory })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Makes a change, and returns when it is on disk. If it fails, nothing of it stays. It is made even if nobody waits for
    /// it any more.
    pub async fn write<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StateError> {
        let (told, answer) = oneshot::channel();
        let change = Box::new(Asked { ask: Some(ask), made: None, told });
        let changes = self.changes.as_ref().ok_or(StateError::Closed)?;
        changes.send(change).await.map_err(|_| StateError::Closed)?;
        answer.await.unwrap_or(Err(StateError::Closed))
    }

    /// Looks at what has been committed. All that one look sees is of the same moment.
    pub async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StateError> {
        let (told, answer) = oneshot::channel();
        let readers = self.readers.as_ref().ok_or(StateError::Closed)?;
        readers.look(Box::new(move |connection| {
            // Who has gone does not want to know, and others wait.
            if told.is_closed() {
                return;
            }
            let looked = connection.unchecked_transaction().and_then(|moment| ask(&moment));
            let _ = told.send(looked.map_err(StateError::from));
        }));
        let looked = answer.await.unwrap_or(Err(StateError::Closed));
        let mut unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        match &looked {
            Ok(_) => unreadable.passes(),
            Err(error) if error.may_pass() => unreadable.fails(error),
            Err(_) => {}
        }
        looked
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Readers first: the last connection to close puts everything into one file.
        self.readers = None;
        self.changes = None;
        if let Some(writer) = self.writer.take() {
            // It does not panic, and there would be nobody to hear of it.
            let _ = writer.join();
        }
    }
}

/// A change that somebody asked for, and what came of it.
struct Asked<F, T> {
    ask: Option<F>,
    made: Option<Result<T, StateError>>,
    told: oneshot::Sender<Result<T, StateError>>,
}

impl<F, T> Change for Asked<F, T>
where
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn make(&mut self, connection: &Connection) -> Result<(), StateError> {
        let made = self.ask.take().map(|ask| ask(connection).map_err(StateError::from));
        let made = made.unwrap_or(Err(StateError::Closed));
        let told = made.as_ref().map(drop).map_err(StateError::clone);
        self.made = Some(made);
        told
    }

    fn tell(self: Box<Self>, failed: Option<StateError>) {
        let made = match (failed, self.made) {
            (Some(failed), _) => Err(failed),
            (None, Some(made)) => made,
            (None, None) => Err(StateError::Closed),
        };
        // Who has gone does not want to know; it is on disk all the same.
        let _ = self.told.send(made);
    }
}

/// A connection as every one of ours is.
fn connect(file: &Path, name: &Path) -> Result<Connection, OpenError> {
    let failed = |error| opening(name, error);
    sys::register();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags_and_vfs(file, flags, sys::AS_GIVEN).map_err(failed)?;
    let set = |name: &str, value: &str| connection.pragma_update(None, name, value).map_err(failed);
    connection.busy_timeout(BUSY).map_err(failed)?;
    // Only a database without tables can be told so.
    set("auto_vacuum", "INCREMENTAL")?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        let what = format!("it cannot have a write-ahead log, but `{mode}`");
        return Err(OpenError::Damaged { path: name.to_owned(), what });
    }
    // A commit is on disk when it returns.
    set("synchronous", "FULL")?;
    set("foreign_keys", "ON")?;
    // What clients sent is in no file that is not this one.
    set("temp_store", "MEMORY")?;
    set("secure_delete", "FAST")?;
    set("trusted_schema", "OFF")?;
    set("journal_size_limit", "33554432")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn reader(file: &Path, name: &Path) -> Result<Connection, OpenError> {
    let connection = connect(file, name)?;
    connection.pragma_update(None, "query_only", "ON").map_err(|error| opening(name, error))?;
    Ok(connection)
}

/// Finds damage before there is anything that it could be mixed with, unless that would take long.
fn look_through(connection: &Connection, name: &Path) -> Result<(), OpenError> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|e| opening(name, e));
    if number("PRAGMA page_count")? * number("PRAGMA page_size")? > LOOKED_THROUGH {
        return Ok(());
    }
    let found: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|e| opening(name, e))?;
    match found.as_str() {
        "ok" => Ok(()),
        what => Err(OpenError::Damaged { path: PathBuf::from(name), what: what.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::sync::Arc;

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Place {
            Place(tempfile::tempdir().unwrap())
        }

        fn directory(&self) -> StateDirectory {
            StateDirectory::open(&self.0.path().join("state")).unwrap()
        }

        fn file(&self) -> PathBuf {
            self.0.path().join("state/private/data/firebox.db")
        }

        fn with_a_table(&self) -> Database {
            let database = Database::open(self.directory()).unwrap();
            let table = database.write(|connection| connection.execute_batch("CREATE TABLE a (b UNIQUE)"));
            block_on(table).unwrap();
            database
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    async fn insert(database: &Database, number: i64) -> Result<(), StateError> {
        database.write(move |connection| connection.execute("INSERT INTO a VALUES (?1)", [number]).map(|_| ())).await
    }

    async fn sum(database: &Database) -> i64 {
        database
            .read(|connection| connection.query_row("SELECT total(b) FROM a", [], |row| row.get::<_, f64>(0)))
            .await
            .unwrap() as i64
    }

    #[test]
    fn what_was_written_is_there_again_after_a_start() {
        let place = Place::new();
        let database = place.with_a_table();
        block_on(insert(&database, 7)).unwrap();
        assert_eq!(fs::metadata(place.file()).unwrap().mode() & 0o777, 0o600);
        drop(database);
        assert!(!place.file().with_extension("db-wal").exists(), "it was closed");
        let database = Database::open(place.directory()).unwrap();
        assert_eq!(block_on(sum(&database)), 7);
    }

    #[test]
    fn of_many_at_once_only_those_fail_that_fail() {
        let place = Place::new();
        let database = Arc::new(place.with_a_table());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let inserts: Vec<_> = (0..1000)
            .map(|number| {
                let database = Arc::clone(&database);
                runtime.spawn(async move { insert(&database, number / 2).await })
            })
            .collect();
        let failed = runtime.block_on(async {
            let mut failed = 0;
            for insert in inserts {
                failed += usize::from(insert.await.unwrap().is_err());
            }
            failed
        });
        assert_eq!((failed, block_on(sum(&database))), (500, 499 * 500 / 2));
    }

    #[test]
    fn of_a_change_that_fails_nothing_stays() {
        let place = Place::new();
        let database = place.with_a_table();
        let failed = database.write(|connection| connection.execute_batch("INSERT INTO a VALUES (1); nonsense"));
        assert!(block_on(failed).is_err());
        assert_eq!(block_on(sum(&database)), 0);
    }

    #[test]
    fn a_reader_cannot_write() {
        let place = Place::new();
        let database = place.with_a_table();
        let written = database.read(|connection| connection.execute("INSERT INTO a VALUES (1)", []));
        assert!(block_on(written).is_err());
    }

    #[test]
    fn a_full_disk_is_told_and_nothing_is_lost_but_what_was_told() {
        let place = Place::new();
        let database = place.with_a_table();
        block_on(insert(&database, 1)).unwrap();
        block_on(database.write(|connection| {
            let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            connection.query_row(&format!("PRAGMA max_page_count = {}", pages + 2), [], |_| Ok(()))
        }))
        .unwrap();
        let much = database.write(|connection| connection.execute("INSERT INTO a VALUES (zeroblob(1000000))", []));
        assert!(matches!(block_on(much), Err(StateError::DiskFull)));
        block_on(insert(&database, 2)).unwrap();
        assert_eq!(block_on(sum(&database)), 3);
    }

    #[test]
    fn what_is_damaged_is_refused_with_what_to_do() {
        let place = Place::new();
        drop(place.with_a_table());
        fs::write(place.file(), "this is no database, and long enough to be taken for none at all").unwrap();
        let error = Database::open(place.directory()).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains("firebox.db") && error.contains("move it away"), "{error}");
        assert!(!error.contains("/proc/"), "{error}");
    }
}
