//! redb: seven tables, one write transaction a group, `Durability::Immediate`.
//!
//! A hold: three reads (refund key, number, balance) and four keys written. Syncs: one fdatasync a group (a commit in
//! one phase, as by default). Quick repair is left off, as by default: it would make each commit slower for an open
//! after a crash that is quicker.
//!
//! One table with a byte before each key was tried: an import wrote 7 % more, and a lookup was as quick.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;

use redb::{
    Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition,
    WriteTransaction,
};

use super::common::{self, Change, Next, Rows, Space, Walk};
use crate::contender::{Engine, Reads};
use crate::workload::{Hold, Order};

type Bytes = &'static [u8];

fn table(space: Space) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(space.name())
}

pub struct Redb {
    pub(super) db: Arc<Database>,
    next: Next,
}

impl Redb {
    /// One transaction that is durable when it returns.
    fn write<T>(&mut self, work: impl FnOnce(&mut Group<'_>, &mut Next) -> T) -> T {
        let transaction = begin(&self.db);
        let mut group = Group { transaction: &transaction, tables: Default::default() };
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
        for space in Space::ALL {
            transaction.open_table(table(space)).expect("a table that readers find");
        }
        transaction.commit().expect("durable");
        let next = Next::after(&picture(&db));
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

pub(super) fn picture(db: &Database) -> Picture {
    Picture { transaction: db.begin_read().expect("reads"), tables: Default::default() }
}

impl Reads for Arc<Database> {
    fn lookup(&self, number: &str) -> Option<i64> {
        common::lookup(&picture(self), number)
    }

    fn day(&self, from_us: i64, to_us: i64) -> u64 {
        common::day(&picture(self), from_us, to_us)
    }
}

/// A reader's transaction, with the tables that it needed so far.
pub(super) struct Picture {
    transaction: ReadTransaction,
    tables: [OnceCell<ReadOnlyTable<Bytes, Bytes>>; 7],
}

impl Picture {
    fn table(&self, space: Space) -> &ReadOnlyTable<Bytes, Bytes> {
        self.tables[space as usize].get_or_init(|| self.transaction.open_table(table(space)).expect("a table"))
    }
}

impl Rows for Picture {
    fn get<T>(&self, space: Space, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let value = self.table(space).get(key).expect("read");
        value.map(|value| read(value.value()))
    }
}

impl Walk for Picture {
    fn range(&self, space: Space, from: &[u8], to: &[u8], mut each: impl FnMut(&[u8], &[u8])) {
        for row in self.table(space).range::<&[u8]>(from..to).expect("read") {
            let (key, value) = row.expect("read");
            each(key.value(), value.value());
        }
    }

    fn last(&self, space: Space) -> Option<u64> {
        let last = self.table(space).last().expect("read")?;
        Some(common::number_of(last.0.value()))
    }
}

/// The writer's transaction, with the tables that it needed so far.
struct Group<'t> {
    transaction: &'t WriteTransaction,
    tables: [OnceCell<Table<'t, Bytes, Bytes>>; 7],
}

impl<'t> Group<'t> {
    fn table(&self, space: Space) -> &Table<'t, Bytes, Bytes> {
        self.tables[space as usize].get_or_init(|| self.transaction.open_table(table(space)).expect("a table"))
    }
}

impl Rows for Group<'_> {
    fn get<T>(&self, space: Space, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let value = self.table(space).get(key).expect("read");
        value.map(|value| read(value.value()))
    }
}

impl Change for Group<'_> {
    fn put(&mut self, space: Space, key: &[u8], value: &[u8]) {
        self.table(space);
        let table = self.tables[space as usize].get_mut().expect("opened just now");
        table.insert(key, value).expect("written");
    }
}
