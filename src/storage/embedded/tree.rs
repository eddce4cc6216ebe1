//! One sled database, kept at arm's length: every call is caught, every value checked, and nothing in it
//! is believed to be on disk before its file was synced by us.
//!
//! sled 0.34's `flush` ends in `sync_file_range` on Linux, which makes nothing durable, hence the sync on an
//! own descriptor. `flush_async` can hang for ever with several callers, and a flusher switched off never
//! reclaims space: neither is used.

use std::fs::OpenOptions;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::os;
use crate::storage::group::words_of;
use crate::storage::key::{APPLIED, Change, Key, Value};
use crate::storage::view::Chunk;

/// A sled database in its own directory.
pub(super) struct Tree {
    db: sled::Db,
    path: PathBuf,
    pub(super) generation: u32,
}

/// sled gives its lock back a moment after it is dropped.
const LOCK_WAIT: Duration = Duration::from_secs(2);

impl Tree {
    /// Opens the index of a generation, or makes it.
    pub(super) fn open(path: PathBuf, generation: u32, cache_bytes: u64) -> Result<Tree, String> {
        let config = sled::Config::new().path(&path).cache_capacity(cache_bytes).flush_every_ms(Some(500));
        let since = Instant::now();
        loop {
            match caught(|| config.open()) {
                Ok(db) => return Ok(Tree { db, path, generation }),
                Err(why) if why.contains("WouldBlock") && since.elapsed() < LOCK_WAIT => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(why) => return Err(why),
            }
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Value>, String> {
        Ok(caught(|| self.db.get(key))?.map(|value| Value::from(&*value)))
    }

    pub(super) fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Chunk, String> {
        caught(|| {
            let mut chunk = Chunk::default();
            for entry in self.db.range(from..to) {
                let (key, value) = entry?;
                if chunk.entries.len() == limit {
                    chunk.next = Some(Key::from(&*key));
                    break;
                }
                chunk.entries.push((Key::from(&*key), Value::from(&*value)));
            }
            Ok(chunk)
        })
    }

    /// Takes changes in, all or nothing, with the frame that they go through.
    pub(super) fn apply(&self, changes: &[Change], through: u64) -> Result<(), String> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(&**key, &**value),
                None => batch.remove(&**key),
            }
        }
        batch.insert(APPLIED, &through.to_be_bytes());
        caught(|| self.db.apply_batch(batch))
    }

    /// The frame that the index says it goes through.
    pub(super) fn applied(&self) -> Result<Option<u64>, String> {
        let applied = caught(|| self.db.get(APPLIED))?;
        Ok(applied.and_then(|bytes| bytes.as_ref().try_into().ok()).map(u64::from_be_bytes))
    }

    /// The tree of the bodies, which stands or falls with its generation.
    fn bodies(&self) -> sled::Result<sled::Tree> {
        self.db.open_tree("bodies")
    }

    /// The values under a prefix of the bodies' tree, in key order.
    pub(super) fn body_values(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        caught(|| self.bodies()?.scan_prefix(prefix).values().map(|value| Ok(value?.to_vec())).collect())
    }

    /// Puts values in the place of all that is under a prefix of the bodies' tree, all or nothing.
    pub(super) fn put_body(&self, prefix: &[u8], values: &[(Key, Value)]) -> Result<(), String> {
        caught(|| {
            let (bodies, mut batch) = (self.bodies()?, sled::Batch::default());
            for old in bodies.scan_prefix(prefix).keys() {
                batch.remove(old?);
            }
            for (key, value) in values {
                batch.insert(&**key, &**value);
            }
            bodies.apply_batch(batch)
        })
    }

    /// Copies every body of another generation; tells how many bytes of values there were.
    pub(super) fn take_bodies_of(&self, other: &Tree) -> Result<u64, String> {
        caught(|| {
            let (from, to) = (other.bodies()?, self.bodies()?);
            let mut bytes = 0;
            for entry in &from {
                let (key, value) = entry?;
                bytes += value.len() as u64;
                to.insert(key, value)?;
            }
            Ok(bytes)
        })
    }

    /// Makes all that was applied durable.
    pub(super) fn sync(&self) -> Result<(), String> {
        caught(|| self.db.flush())?;
        let file = self.file();
        sync_file(&file).map_err(|e| format!("sync {}: {e}", file.display()))
    }

    /// What tells this index from a copy of it.
    pub(super) fn identity(&self) -> Option<String> {
        os::identity(&self.file())
    }

    fn file(&self) -> PathBuf {
        self.path.join("db")
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Closes the database and syncs each of its files: sled itself never syncs `conf` or the directory.
    pub(super) fn close(self) -> Result<(), String> {
        let Tree { db, path, .. } = self;
        caught(|| db.flush())?;
        caught(|| {
            drop(db);
            Ok(())
        })?;
        sync_all(&path).map_err(|e| format!("sync {}: {e}", path.display()))
    }
}

/// Calls sled: its panics are errors like others.
fn caught<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(format!("sled panicked: {}", words_of(&*panic))),
    }
}

/// Syncs a file on an own descriptor; Windows syncs only what is open for writing.
fn sync_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().read(true).write(true).open(path)?.sync_data()
}

/// Syncs every file under a directory, and the directory.
fn sync_all(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path())?;
        } else {
            sync_file(&entry.path())?;
        }
    }
    os::sync_directory(directory)
}
