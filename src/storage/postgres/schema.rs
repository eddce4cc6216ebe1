//! The tables, made and brought up to this version: forward only, by whoever comes first.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::super::StorageError;
use super::trouble::remote;

/// Each version's changes, the first one first. What was released is never changed, only added to.
const VERSIONS: &[&str] = &[include_str!("schema/1.sql")];

/// The version of the tables that this code reads and writes.
pub(super) const VERSION: i32 = 1;
const _: () = assert!(VERSIONS.len() == VERSION as usize);

/// How often several who begin at once get out of each other's way.
const TRIES: u32 = 20;

/// Makes the tables or brings them up to date.
///
/// # Errors
/// [`StorageError::NewerSchema`]: a newer version did so already; nothing was changed.
pub(super) async fn bring_up_to_date(client: &mut Client, place: &str) -> Result<(), StorageError> {
    let mut tries = 0;
    loop {
        match steps(client).await {
            Ok(found) if found > VERSION => {
                return Err(StorageError::NewerSchema { place: place.to_owned(), found, known: VERSION });
            }
            Ok(_) => return Ok(()),
            // Somebody else makes the same tables at this moment. It is given longer with each try.
            Err(error) if tries < TRIES && error.code().is_some_and(is_raced) => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(u64::from(10 * tries))).await;
            }
            Err(error) => return Err(remote("make the tables of", &error)),
        }
    }
}

/// Refuses tables that this version does not know, and a database without any.
pub(super) async fn is_known(client: &Client, place: &str) -> Result<(), StorageError> {
    let there = client.query_one("SELECT to_regclass('schema_version') IS NOT NULL", &[]).await;
    if !there.map_err(|e| remote("read from", &e))?.get::<_, bool>(0) {
        return Err(StorageError::NoLedger { path: place.into() });
    }
    let found = client.query_one("SELECT version FROM schema_version", &[]).await;
    let found: i32 = found.map_err(|e| remote("read from", &e))?.get(0);
    if found > VERSION {
        return Err(StorageError::NewerSchema { place: place.to_owned(), found, known: VERSION });
    }
    if found < VERSION {
        let why = format!("{place} has tables of version {found}: open it once to bring them to version {VERSION}");
        return Err(StorageError::Remote { doing: "read from", why });
    }
    Ok(())
}

/// Tells the version that is there afterwards.
async fn steps(client: &mut Client) -> Result<i32, tokio_postgres::Error> {
    let change = client.transaction().await?;
    change
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema_version (
                 one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL);
             INSERT INTO schema_version (version) VALUES (0) ON CONFLICT DO NOTHING",
        )
        .await?;
    let row = change.query_one("SELECT version FROM schema_version FOR UPDATE", &[]).await?;
    let found: i32 = row.get(0);
    for version in VERSIONS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        change.batch_execute(version).await?;
    }
    if found < VERSION {
        change.execute("UPDATE schema_version SET version = $1", &[&VERSION]).await?;
    }
    change.commit().await?;
    Ok(found.max(VERSION))
}

fn is_raced(code: &SqlState) -> bool {
    [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
    ]
    .contains(code)
}
