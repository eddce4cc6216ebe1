//! sled alone, made durable: one tree, one atomic batch a group.
//!
//! A hold: three reads (refund key, number, balance) and four keys written. Syncs: one fdatasync a group, by ourselves
//! on the engine's own file, for `flush()` is no sync on Linux (it calls sync_file_range, which empties no cache of a
//! drive). `flush_async` hangs with many callers and is not used; the engine's flusher stays on, for it alone frees
//! space. Several trees would need a transaction, which runs under the same lock as a batch and gains nothing.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use sled::{Batch, Db};

use super::common::{self, Change, Next, Rows, Space, Walk};
use crate::contender::{Engine, Reads};
use crate::workload::{Hold, Order};

pub struct Sled {
    pub(super) rows: Tree,
    /// The file that the engine keeps all in.
    file: File,
    next: Next,
}

impl Sled {
    fn write(&self, batch: Batch) {
        self.rows.0.apply_batch(batch).expect("applied");
        self.rows.0.flush().expect("written");
        self.file.sync_data().expect("durable");
    }
}

impl Engine for Sled {
    type Reads = Tree;

    fn open(directory: &Path, cache_bytes: u64) -> Sled {
        let rows = Tree(open(directory, cache_bytes));
        let file = File::open(directory.join("db")).expect("the engine's file");
        file.sync_all().expect("durable");
        // The engine does not make its files' names durable.
        File::open(directory).expect("a directory").sync_all().expect("durable");
        let next = Next::after(&rows);
        Sled { rows, file, next }
    }

    fn import(&mut self, page: &[Order]) {
        let mut group = Group::over(&self.rows);
        common::import(&mut group, &mut self.next, page);
        let batch = group.batch;
        self.write(batch);
    }

    fn hold(&mut self, holds: &[Hold]) -> Vec<bool> {
        let mut group = Group::over(&self.rows);
        let granted = common::hold(&mut group, &mut self.next, holds);
        if granted.contains(&true) {
            let batch = group.batch;
            self.write(batch);
        }
        granted
    }

    /// Nothing is put off: each group was flushed.
    fn settle(&mut self) {}

    fn reads(&self) -> Tree {
        self.rows.clone()
    }
}

/// Opens, and waits for a lock that the one before may hold a little longer than it lives.
fn open(directory: &Path, cache_bytes: u64) -> Db {
    let config = sled::Config::new().path(directory).cache_capacity(cache_bytes);
    let since = Instant::now();
    loop {
        match config.open() {
            Ok(db) => return db,
            Err(sled::Error::Io(_)) if since.elapsed() < Duration::from_secs(2) => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// All rows, one byte before each key. A read sees a batch whole or not at all; facts, numbers and times of payment
/// never change, so several reads of them and one of a balance are one picture.
#[derive(Clone)]
pub struct Tree(Db);

impl Reads for Tree {
    fn lookup(&self, number: &str) -> Option<i64> {
        common::lookup(self, number)
    }

    fn day(&self, from_us: i64, to_us: i64) -> u64 {
        common::day(self, from_us, to_us)
    }
}

impl Rows for Tree {
    fn get<T>(&self, space: Space, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        self.0.get(space.prefixed(key)).expect("read").map(|value| read(&value))
    }
}

impl Walk for Tree {
    fn range(&self, space: Space, from: &[u8], to: &[u8], mut each: impl FnMut(&[u8], &[u8])) {
        for row in self.0.range(space.prefixed(from)..space.prefixed(to)) {
            let (key, value) = row.expect("read");
            each(&key[1..], &value);
        }
    }

    fn last(&self, space: Space) -> Option<u64> {
        let last = self.0.scan_prefix([space as u8]).next_back()?;
        Some(common::number_of(&last.expect("read").0[1..]))
    }
}

struct Group<'a> {
    rows: &'a Tree,
    batch: Batch,
}

impl Group<'_> {
    fn over(rows: &Tree) -> Group<'_> {
        Group { rows, batch: Batch::default() }
    }
}

impl Rows for Group<'_> {
    fn get<T>(&self, space: Space, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        self.rows.get(space, key, read)
    }
}

impl Change for Group<'_> {
    fn put(&mut self, space: Space, key: &[u8], value: &[u8]) {
        self.batch.insert(space.prefixed(key), value);
    }
}
