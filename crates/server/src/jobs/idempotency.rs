//! `Idempotency-Key`s in the database: what was answered to those that came, so that it is answered again and nothing is done twice.

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::moment::now_ms;
use super::store::{Accepted, Room, of_caller, total};

/// What `Idempotency-Key`s are counted as.
const IDEMPOTENCY: &str = "idempotency";

/// A request that shall be answered once, however often it comes.
#[derive(Debug, Clone)]
pub(super) struct Once {
    pub(super) key: String,
    pub(super) fingerprint: [u8; 32],
}

/// Whether there is room for one more `Idempotency-Key` of this caller and its answer.
pub(super) fn remembers_more(connection: &Connection, caller: &str, room: Room) -> Result<bool> {
    let (all, own) = (total(connection, IDEMPOTENCY)?, of_caller(connection, caller, IDEMPOTENCY)?);
    let (count, bytes) = (room.keys.saturating_sub(all.count), room.keys_bytes.saturating_sub(all.bytes));
    Ok(match room.bounds.shares {
        true => own.count < count && own.bytes < bytes,
        false => 0 < count && 0 < bytes,
    })
}

/// What became of a request that came before, or of another with its key.
pub(super) fn answered(connection: &Connection, caller: &str, once: &Once) -> Result<Option<Accepted>> {
    let Once { key, fingerprint } = once;
    let before: Option<(Vec<u8>, String)> = connection
        .prepare_cached("SELECT fingerprint, answer FROM idempotency WHERE caller = ?1 AND key = ?2")?
        .query_row([caller, key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(before.map(|(before, answer)| match before == fingerprint {
        true => Accepted::Before(answer),
        false => Accepted::Conflict,
    }))
}

/// Keeps what is answered to a request.
pub(super) fn remember(connection: &Connection, caller: &str, once: Once, answer: &str) -> Result<()> {
    let Once { key, fingerprint } = once;
    connection.prepare_cached("INSERT INTO idempotency VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        caller,
        key,
        fingerprint,
        answer,
        now_ms()
    ])?;
    Ok(())
}
