//! From any older form of the database to the newest: a list of steps, never changed and only added to.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::OpenError;

/// Says that a database is ours: `FBOX`.
const OURS: i64 = 0x4642_4f58;

/// What leads from each version to the next; the first from an empty database.
const STEPS: &[&str] = &[include_str!("0001-jobs.sql"), include_str!("0002-keys.sql"), include_str!("0003-shares.sql")];

/// Brings the database to the newest version, each step whole or not at all.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    migrate_by(connection, path, STEPS)
}

fn migrate_by(connection: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), OpenError> {
    let known = steps.len() as i64;
    loop {
        // Another process may do the same at the same time: whoever comes second finds it done.
        let step =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|e| opening(path, e))?;
        let number = |sql: &str| step.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|e| opening(path, e));
        let (found, owner) = (number("PRAGMA user_version")?, number("PRAGMA application_id")?);
        let tables = number("SELECT count(*) FROM sqlite_schema")?;
        if owner != OURS && (owner != 0 || tables != 0) {
            return Err(OpenError::Foreign { path: path.to_owned() });
        }
        let Some(next) = usize::try_from(found).ok().filter(|&found| found <= steps.len()) else {
            return Err(OpenError::Newer { path: path.to_owned(), found, known });
        };
        let Some(sql) = steps.get(next) else { return Ok(()) };
        step.execute_batch(sql).map_err(|e| opening(path, e))?;
        step.pragma_update(None, "user_version", found + 1).map_err(|e| opening(path, e))?;
        step.pragma_update(None, "application_id", OURS).map_err(|e| opening(path, e))?;
        step.commit().map_err(|e| opening(path, e))?;
    }
}

/// What it means that this went wrong while the database was being opened.
pub(super) fn opening(path: &Path, source: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::Damaged { path, what: source.to_string() }
        }
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => OpenError::Disk { path, source },
        _ => OpenError::Open { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> i64 {
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn every_step_is_taken_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        let path = Path::new("a.db");
        let steps = ["CREATE TABLE a (b)", "INSERT INTO a VALUES (1)"];
        migrate_by(&mut connection, path, &steps[..1]).unwrap();
        assert_eq!(version(&connection), 1);
        migrate_by(&mut connection, path, &steps).unwrap();
        migrate_by(&mut connection, path, &steps).unwrap();
        assert_eq!(version(&connection), 2);
        assert_eq!(connection.query_row("SELECT count(*) FROM a", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    }

    #[test]
    fn a_step_that_fails_leaves_nothing_behind() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(migrate_by(&mut connection, Path::new("a.db"), &["CREATE TABLE a (b); nonsense"]).is_err());
        assert_eq!(
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)).unwrap(),
            0
        );
    }

    #[test]
    fn what_is_newer_or_not_ours_is_left_alone() {
        let path = Path::new("a.db");
        let mut newer = Connection::open_in_memory().unwrap();
        migrate(&mut newer, path).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        let error = migrate(&mut newer, path).unwrap_err().to_string();
        assert!(error.contains("newer firebox") && error.contains("99") && error.contains("--state"), "{error}");
        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE mine (a)").unwrap();
        assert!(matches!(migrate(&mut foreign, path), Err(OpenError::Foreign { .. })));
    }
}
