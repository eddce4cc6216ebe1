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
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fresh::Fresh;
use super::seen::Seen;
use super::{os, parts};
use crate::storage::group::words_of;
use crate::storage::key::{self, APPLIED, Change, Key};
use crate::storage::value::Value;
use crate::storage::view::Chunk;

/// A sled database in its own directory.
pub(super) struct Tree {
    db: sled::Db,
    pub(super) fresh: Fresh,
    /// The keys that it may have, of the kinds that are asked for before they are made; `None` where it held some before
    /// it was opened.
    seen: Option<Seen>,
    path: PathBuf,
    pub(super) generation: u32,
}

/// How often a long value is read whose parts did not fit together: an update may have come between them. More often
/// it is not an update.
pub(super) const READS: usize = 8;

/// What is wrong with values that are not what was written.
pub(super) const GARBLED: &str = "an entry of the index is garbled";

/// A content that was put together.
pub(super) enum Whole {
    Value(sled::IVec),
    Joined(Vec<u8>),
    /// A page that is at hand.
    Fresh(Arc<[u8]>),
}

impl Whole {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Whole::Value(value) => parts::content_of_only(value),
            Whole::Joined(content) => content,
            Whole::Fresh(content) => content,
        }
    }
}

/// sled gives its lock back a moment after it is dropped, and a child that this process is just starting holds it until it
/// runs. Another process cannot have it: the ledger's own lock comes first.
const LOCK_WAIT: Duration = Duration::from_secs(10);

impl Tree {
    /// Opens the index of a generation, or makes it.
    pub(super) fn open(path: PathBuf, generation: u32, cache_bytes: u64) -> Result<Tree, String> {
        let config = sled::Config::new().path(&path).cache_capacity(cache_bytes);
        let config = config.flush_every_ms(Some(order_every_ms(cache_bytes)));
        let since = Instant::now();
        loop {
            match caught(|| config.open()) {
                Ok(db) => {
                    let seen = (!db.was_recovered()).then(|| Seen::nothing(cache_bytes));
                    return Ok(Tree { db, fresh: Fresh::default(), seen, path, generation });
                }
                Err(why) if why.contains("WouldBlock") && since.elapsed() < LOCK_WAIT => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(why) => return Err(why),
            }
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Value>, String> {
        if is_asked_for(key) && self.seen.as_ref().is_some_and(|seen| !seen.may_have(key)) {
            return Ok(None);
        }
        if key::shares_a_page(key) {
            return self.get_in_page(key);
        }
        caught(|| self.db.get(key))?.map(|first| self.value(key, first)).transpose()
    }

    /// About `limit` entries of one kind.
    pub(super) fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Chunk, String> {
        if key::shares_a_page(from) {
            return self.range_in_pages(from, to, limit);
        }
        let mut chunk = Chunk::default();
        let firsts: Vec<_> = caught(|| self.db.range(from..to).take(limit.saturating_add(1)).collect())?;
        for (key, first) in firsts {
            if chunk.entries.len() == limit {
                chunk.next = Some(Key::from(&*key));
                break;
            }
            chunk.entries.push((Key::from(&*key), self.value(&key, first)?));
        }
        Ok(chunk)
    }

    /// The value that begins with `first`, where nobody removes what lies under its key.
    fn value(&self, key: &[u8], first: sled::IVec) -> Result<Value, String> {
        let whole = self.whole(key, first)?.ok_or("an entry of the index is gone while it is read")?;
        Ok(Value::from(whole.bytes()))
    }

    /// Puts the content together that begins with `first`, which lies under `key`; `None`: it was removed meanwhile.
    pub(super) fn whole(&self, key: &[u8], mut first: sled::IVec) -> Result<Option<Whole>, String> {
        for _ in 0..READS {
            if parts::is_only(&first) {
                return Ok(Some(Whole::Value(first)));
            }
            let count = parts::count(&first).ok_or(GARBLED)?;
            let mut further = Vec::new();
            for number in 1..count {
                further.extend(caught(|| self.db.get(key::part(key, number)))?);
            }
            let all = std::iter::once(&first).chain(&further);
            if let Some(content) = parts::join(all.map(|part| &**part)) {
                return Ok(Some(Whole::Joined(content)));
            }
            match caught(|| self.db.get(key))? {
                Some(again) => first = again,
                None => return Ok(None),
            }
        }
        Err(GARBLED.to_owned())
    }

    /// Takes changes in, and then the frame that they go through.
    ///
    /// Not as one batch: sled holds up everybody for as long as a batch takes. A process that is killed meanwhile
    /// leaves a part of them, and they are put once more when the frames are replayed; so records come last: one that
    /// is there tells the replay that all its other entries are.
    pub(super) fn apply(&self, changes: &[Change], through: u64) -> Result<(), String> {
        if let Some(seen) = &self.seen {
            changes.iter().filter(|(key, _)| is_asked_for(key)).for_each(|(key, _)| seen.put(key));
        }
        let (in_pages, alone): (Vec<&Change>, Vec<&Change>) =
            changes.iter().partition(|(key, _)| key::shares_a_page(key));
        self.apply_in_pages(in_pages)?;
        for (key, value) in alone {
            match value {
                Some(value) => self.put(key, &value.bytes())?,
                None => self.remove(key)?,
            }
        }
        caught(|| self.db.insert(APPLIED, &through.to_be_bytes()))?;
        Ok(())
    }

    /// Puts a content of any length.
    pub(super) fn put(&self, key: &[u8], content: &[u8]) -> Result<(), String> {
        self.put_at_once(&[(key, content)], None)
    }

    fn remove(&self, key: &[u8]) -> Result<(), String> {
        let old = caught(|| self.db.remove(key))?;
        self.remove_parts(key, 1, old)
    }

    /// Puts contents of any length and removes one, all at once.
    pub(super) fn put_at_once(&self, contents: &[(&[u8], &[u8])], gone: Option<&[u8]>) -> Result<(), String> {
        if let ([(key, content)], None) = (contents, gone)
            && parts::is_short(content)
        {
            let (_, value) = parts::cut(content).next().expect("a content has a first part");
            let old = caught(|| self.db.insert(key, value))?;
            return self.remove_parts(key, 1, old);
        }
        let mut batch = sled::Batch::default();
        let mut superfluous = Vec::new();
        for (key, content) in contents {
            let mut count = 0;
            for (number, part) in parts::cut(content) {
                match number {
                    0 => batch.insert(*key, part),
                    _ => batch.insert(key::part(key, number), part),
                }
                count = number + 1;
            }
            superfluous.push((*key, count, caught(|| self.db.get(key))?));
        }
        if let Some(gone) = gone {
            batch.remove(gone);
            superfluous.push((gone, 1, caught(|| self.db.get(gone))?));
        }
        caught(|| self.db.apply_batch(batch))?;
        superfluous.into_iter().try_for_each(|(key, count, old)| self.remove_parts(key, count, old))
    }

    /// Removes the parts from `count` on that a value had which is no longer there.
    fn remove_parts(&self, key: &[u8], count: u16, old: Option<sled::IVec>) -> Result<(), String> {
        for superfluous in count..old.as_deref().and_then(parts::count).unwrap_or(0) {
            caught(|| self.db.remove(key::part(key, superfluous)))?;
        }
        Ok(())
    }

    /// The value under the last key up to this one.
    pub(super) fn last_up_to(&self, key: &[u8]) -> Result<Option<(sled::IVec, sled::IVec)>, String> {
        caught(|| self.db.range::<&[u8], _>(..=key).next_back().transpose())
    }

    /// The value under the last key before this one.
    pub(super) fn last_before(&self, key: &[u8]) -> Result<Option<(sled::IVec, sled::IVec)>, String> {
        caught(|| self.db.get_lt(key))
    }

    /// How many keys of sled begin with that byte.
    #[cfg(test)]
    pub(super) fn keys_from(&self, kind: u8) -> usize {
        self.db.scan_prefix([kind]).count()
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

/// How often sled puts its file in order. Each time that it moves one page it fills up half a MiB with nothing, and that is
/// what it moves the next time: an index that once had something to be put in order is written so for ever, 3.7 GB an
/// hour at twice a second. Where memory is scarce there is flash that wears out, and little to put in order.
fn order_every_ms(cache_bytes: u64) -> u64 {
    if cache_bytes <= SMALL_CACHE { 60_000 } else { 500 }
}

/// A device with no more than this for its index, in bytes, is a small one.
const SMALL_CACHE: u64 = 16 << 20;

/// Whether keys of that kind are looked for before they are there.
fn is_asked_for(key: &[u8]) -> bool {
    matches!(key.first(), Some(&(key::RECORD | key::REFERENCE | key::REFUND)))
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
