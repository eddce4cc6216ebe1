//! What each peer has to give back space that its files hold and do not need.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Compacts a closed peer's files in a directory; whether its engine can.
pub fn compact(name: &str, directory: &Path) -> bool {
    match name {
        "sqlite" => {
            let file = file_that_begins(directory, b"SQLite format 3");
            let sqlite = rusqlite::Connection::open(file).expect("opens");
            sqlite.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);").expect("compacted");
            true
        }
        "redb" => {
            let file = file_that_begins(directory, b"redb");
            let mut redb = redb::Database::open(file).expect("opens");
            redb.compact().expect("compacted");
            true
        }
        _ => false,
    }
}

/// The file in a directory that begins as the engine's do.
fn file_that_begins(directory: &Path, magic: &[u8]) -> PathBuf {
    let entries = std::fs::read_dir(directory).expect("a directory").flatten();
    let mut files = entries.map(|entry| entry.path()).filter(|path| path.is_file());
    let begins = |path: &PathBuf| {
        let mut begin = vec![0; magic.len()];
        File::open(path).and_then(|mut file| file.read_exact(&mut begin)).is_ok() && begin == magic
    };
    files.find(begins).expect("the engine's file")
}
