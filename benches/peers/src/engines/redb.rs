//! redb: one tree, one write transaction a group, `Durability::Immediate`.
//!
//! A hold: three reads (refund key, number, balance) and four keys written. Syncs: one fdatasync a group (a commit in
//! one phase, as by default). Quick repair is left off, as by default: it would make each commit slower for an open
//! after a crash that is quicker.

use std::path::Path;
use std::sync::Arc;

use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction,
};

use super::common::{self, Change, Next, Rows, Space, Walk};
use crate::contender::{Engine, Reads};
use crate::workload::{Hold, Order};

/// One table with a byte before each key: fewer roots to rewrite at each commit and to open for each read.
const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");

pub struct Redb {
    pub(super) db: Arc<Database>,
    next: Next,
}

impl Redb {
    /// One transaction that is durable when it returns.
    fn write<T>(&mut self, work: impl FnOnce(&mut Group<'_>, &mut Next) -> T) -> T {
        let transaction = begin(&self.db);
        let mut group = Picture(transaction.open_table(ROWS).expect("a table"));
        let done = work(&mut group, &mut self.next);
        drop(group);
        transaction.commit().expect("durable");
        done
    }
}

fn begin(db: &Database) -> WriteTransaction {
    let mut transaction = db.begin_write().expect("the writer is alone");
    transaction.set_durability(Durability::Immediate).expect("no savepoint is in the way");
    transaction
}

impl Engine for Redb {
    type Reads = Arc<Database>;

    fn open(directory: &Path, cache_bytes: u64) -> Redb {
        std::fs::create_dir_all(directory).expect("a directory");
        let cache = usize::try_from(cache_bytes).expect("fits into memory");
        let db = Database::builder().set_cache_size(cache).create(directory.join("redb")).expect("opens");
        let transaction = begin(&db);
        let next = Next::after(&Picture(transaction.open_table(ROWS).expect("a table")));
        transaction.commit().expect("durable");
        Redb { db: Arc::new(db), next }
    }

    fn import(&mut self, page: &[Order]) {
        self.write(|group, next| common::import(group, next, page));
    }

    fn hold(&mut self, holds: &[Hold]) -> Vec<bool> {
        self.write(|group, next| common::hold(group, next, holds))
    }

    /// Nothing is put off: a commit writes all pages.
    fn settle(&mut self) {}

    fn reads(&self) -> Arc<Database> {
        Arc::clone(&self.db)
    }
}

pub(super) fn picture(db: &Database) -> Picture<ReadOnlyTable<&'static [u8], &'static [u8]>> {
    Picture(db.begin_read().expect("reads").open_table(ROWS).expect("a table"))
}

impl Reads for Arc<Database> {
    fn lookup(&self, number: &str) -> Option<i64> {
        common::lookup(&picture(self), number)
    }

    fn day(&self, from_us: i64, to_us: i64) -> u64 {
        common::day(&picture(self), from_us, to_us)
    }
}

pub(super) struct Picture<T>(T);

type Group<'t> = Picture<Table<'t, &'static [u8], &'static [u8]>>;

impl<R: ReadableTable<&'static [u8], &'static [u8]>> Rows for Picture<R> {
    fn get<T>(&self, space: Space, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let value = self.0.get(space.prefixed(key).as_slice()).expect("read");
        value.map(|value| read(value.value()))
    }
}

impl<R: ReadableTable<&'static [u8], &'static [u8]>> Walk for Picture<R> {
    fn range(&self, space: Space, from: &[u8], to: &[u8], mut each: impl FnMut(&[u8], &[u8])) {
        let (from, to) = (space.prefixed(from), space.prefixed(to));
        for row in self.0.range(from.as_slice()..to.as_slice()).expect("read") {
            let (key, value) = row.expect("read");
            each(&key.value()[1..], value.value());
        }
    }

    fn last(&self, space: Space) -> Option<u64> {
        let (from, to) = ([space as u8], [space as u8 + 1]);
        let last = self.0.range(from.as_slice()..to.as_slice()).expect("read").next_back()?;
        Some(common::number_of(&last.expect("read").0.value()[1..]))
    }
}

impl Change for Group<'_> {
    fn put(&mut self, space: Space, key: &[u8], value: &[u8]) {
        self.0.insert(space.prefixed(key).as_slice(), value).expect("written");
    }
}
