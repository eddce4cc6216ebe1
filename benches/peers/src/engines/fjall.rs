//! fjall: seven keyspaces, one atomic batch and one fdatasync of its journal a group.
//!
//! A hold: three reads (refund key, number, balance) and four keys written. Syncs: one fdatasync a group, and those of
//! the worker threads, which write memtables out and compact beside it. Keyspaces have the engine's own defaults, which
//! are made for speed; only filters that would never say no are left out.

use std::path::Path;
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable, Snapshot};

use super::common::{self, Change, Next, Rows, Space, Walk};
use crate::contender::{Engine, Reads};
use crate::workload::{Hold, Order};

pub struct Fjall {
    pub(super) kept: Kept,
    next: Next,
}

/// The database with its keyspaces at hand.
#[derive(Clone)]
pub struct Kept {
    db: Database,
    spaces: [Keyspace; 7],
}

impl Engine for Fjall {
    type Reads = Kept;

    fn open(directory: &Path, cache_bytes: u64) -> Fjall {
        let db = Database::builder(directory).cache_size(cache_bytes).open().expect("opens");
        let spaces = Space::ALL.map(|space| {
            let options = KeyspaceCreateOptions::default().expect_point_read_hits(always_found(space));
            db.keyspace(space.name(), || options).expect("a keyspace")
        });
        let kept = Kept { db, spaces };
        let next = Next::after(&kept.picture());
        Fjall { kept, next }
    }

    fn import(&mut self, page: &[Order]) {
        let mut change = self.kept.change();
        common::import(&mut change, &mut self.next, page);
        change.batch.commit().expect("durable");
    }

    fn hold(&mut self, group: &[Hold]) -> Vec<bool> {
        let mut change = self.kept.change();
        let granted = common::hold(&mut change, &mut self.next, group);
        change.batch.commit().expect("durable");
        granted
    }

    /// Memtables are written out, so that the journal is not needed, and compactions that follow come to their end. The
    /// engine tells nobody when: it is asked each millisecond.
    fn settle(&mut self) {
        let Kept { db, spaces } = &self.kept;
        for space in spaces {
            space.rotate_memtable().expect("the journal is there");
        }
        let sealed = || spaces.iter().any(|space| space.sealed_memtable_count() > 0);
        while sealed() || db.outstanding_flushes() > 0 || db.active_compactions() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn reads(&self) -> Kept {
        self.kept.clone()
    }
}

/// Whether whoever asks for a key of this space knows that it is there.
fn always_found(space: Space) -> bool {
    matches!(space, Space::Facts | Space::Balances)
}

impl Kept {
    pub(super) fn picture(&self) -> Picture<'_> {
        Picture { spaces: &self.spaces, snapshot: self.db.snapshot() }
    }

    fn change(&self) -> Group<'_> {
        let batch = self.db.batch().durability(Some(PersistMode::SyncData));
        Group { picture: self.picture(), batch }
    }
}

impl Reads for Kept {
    fn lookup(&self, number: &str) -> Option<i64> {
        common::lookup(&self.picture(), number)
    }

    fn day(&self, from_us: i64, to_us: i64) -> u64 {
        common::day(&self.picture(), from_us, to_us)
    }
}

pub(super) struct Picture<'a> {
    spaces: &'a [Keyspace; 7],
    snapshot: Snapshot,
}

impl Rows for Picture<'_> {
    fn get<T>(&self, space: Space, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let value = self.snapshot.get(&self.spaces[space as usize], key).expect("read");
        value.map(|value| read(&value))
    }
}

impl Walk for Picture<'_> {
    fn range(&self, space: Space, from: &[u8], to: &[u8], mut each: impl FnMut(&[u8], &[u8])) {
        for row in self.snapshot.range(&self.spaces[space as usize], from..to) {
            let (key, value) = row.into_inner().expect("read");
            each(&key, &value);
        }
    }

    fn last(&self, space: Space) -> Option<u64> {
        let last = self.snapshot.last_key_value(&self.spaces[space as usize])?;
        Some(common::number_of(&last.key().expect("read")))
    }
}

struct Group<'a> {
    picture: Picture<'a>,
    batch: OwnedWriteBatch,
}

impl Rows for Group<'_> {
    fn get<T>(&self, space: Space, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        self.picture.get(space, key, read)
    }
}

impl Change for Group<'_> {
    fn put(&mut self, space: Space, key: &[u8], value: &[u8]) {
        self.batch.insert(&self.picture.spaces[space as usize], key, value);
    }
}
