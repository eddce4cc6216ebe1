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

use super::{os, parts};
use crate::storage::group::words_of;
use crate::storage::key::{self, APPLIED, Change, Key};
use crate::storage::value::Value;
use crate::storage::view::Chunk;

/// A sled database in its own directory.
pub(super) struct Tree {
    db: sled::Db,
    path: PathBuf,
    pub(super) generation: u32,
}

/// How often a long value is read whose parts did not fit together: an update may have come between them. More often
/// it is not an update.
const READS: usize = 8;

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
        let found = caught(|| self.db.get(key))?;
        found
            .map(|value| if key::may_be_long(key) { self.whole(key, value) } else { Ok(Value::from(&*value)) })
            .transpose()
    }

    pub(super) fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Chunk, String> {
        let mut chunk = caught(|| {
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
        })?;
        for (key, value) in chunk.entries.iter_mut().filter(|(key, _)| key::may_be_long(key)) {
            let first = sled::IVec::from(&*value.bytes());
            *value = self.whole(key, first)?;
        }
        Ok(chunk)
    }

    /// Puts the value together that begins with `first`, which lies under `key`.
    fn whole(&self, key: &[u8], mut first: sled::IVec) -> Result<Value, String> {
        for _ in 0..READS {
            let count = parts::count(&first).ok_or("an entry of the index is garbled")?;
            let mut further = Vec::new();
            for number in 1..count {
                further.extend(caught(|| self.db.get(key::part(key, number)))?);
            }
            let all = std::iter::once(&first).chain(&further);
            if let Some(content) = parts::join(all.map(|part| &**part)) {
                return Ok(Value::from(content));
            }
            first = caught(|| self.db.get(key))?.ok_or("an entry of the index is gone while it is read")?;
        }
        Err("an entry of the index is garbled".to_owned())
    }

    /// Takes changes in, and then the frame that they go through.
    ///
    /// Not as one batch: sled holds up everybody for as long as a batch takes. A process that is killed meanwhile
    /// leaves a part of them, and they are put once more when the frames are replayed; so records come last: one that
    /// is there tells the replay that all its other entries are.
    pub(super) fn apply(&self, changes: &[Change], through: u64) -> Result<(), String> {
        let (records, others): (Vec<&Change>, Vec<&Change>) =
            changes.iter().partition(|(key, _)| key.first() == Some(&key::RECORD));
        for (key, value) in others.into_iter().chain(records) {
            caught(|| match value {
                Some(value) if key::may_be_long(key) => self.put_long(key, &value.bytes()),
                Some(value) => self.db.insert(key, &*value.bytes()).map(|_| ()),
                None => self.db.remove(key).map(|_| ()),
            })?;
        }
        caught(|| self.db.insert(APPLIED, &through.to_be_bytes()))?;
        Ok(())
    }

    /// Puts a value of any length: where it takes several parts, all at once.
    fn put_long(&self, key: &[u8], content: &[u8]) -> sled::Result<()> {
        let mut parts_of_it = parts::cut(content);
        let (_, first) = parts_of_it.next().expect("a content has a first part");
        let count = parts::count(&first).expect("a part says of how many it is one");
        let old = if count == 1 {
            self.db.insert(key, first)?
        } else {
            let old = self.db.get(key)?;
            let mut batch = sled::Batch::default();
            batch.insert(key, first);
            parts_of_it.for_each(|(number, part)| batch.insert(key::part(key, number), part));
            self.db.apply_batch(batch)?;
            old
        };
        for superfluous in count..old.as_deref().and_then(parts::count).unwrap_or(0) {
            self.db.remove(key::part(key, superfluous))?;
        }
        Ok(())
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

    /// The body that is kept under a key. What is not whole is no body: a cache may lose one.
    pub(super) fn body(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let values: Vec<sled::IVec> = caught(|| self.bodies()?.scan_prefix(key).values().collect())?;
        Ok(parts::join(values.iter().map(|value| &**value)))
    }

    /// Puts a body, or nothing, in the place of what is under a key, all or nothing.
    pub(super) fn put_body(&self, key: &[u8], body: Option<&[u8]>) -> Result<(), String> {
        caught(|| {
            let (bodies, mut batch) = (self.bodies()?, sled::Batch::default());
            for old in bodies.scan_prefix(key).keys() {
                batch.remove(old?);
            }
            for (number, part) in body.into_iter().flat_map(parts::cut) {
                batch.insert([key, &number.to_be_bytes()].concat(), part);
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
