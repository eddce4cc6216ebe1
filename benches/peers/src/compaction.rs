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
        "fjall" => {
            let fjall = fjall::Database::builder(directory).open().expect("opens");
            for name in fjall.list_keyspace_names() {
                let keyspace = fjall.keyspace(&name, fjall::KeyspaceCreateOptions::default).expect("opens");
                keyspace.rotate_memtable_and_wait().expect("written out");
                keyspace.major_compact().expect("compacted");
            }
            true
        }
        _ => false,
    }
}
