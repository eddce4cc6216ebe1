//! What each peer has to give back space that its files hold and do not need.

use std::path::Path;

/// Compacts a closed peer's files in a directory; whether its engine can.
pub fn compact(name: &str, directory: &Path) -> bool {
    match name {
        "sqlite" => {
            let sqlite = rusqlite::Connection::open(directory.join("sqlite")).expect("opens");
            sqlite.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);").expect("compacted");
            true
        }
        "redb" => {
            let mut redb = redb::Database::open(directory.join("redb")).expect("opens");
            redb.compact().expect("compacted");
            true
        }
        _ => false,
    }
}
