//! SQLite: WAL, `synchronous=FULL`, one connection that writes and one for each reader.
//!
//! A hold: two statements read (number with balance, refund key by its insert) and three write (refund with its place
//! in the queue, balance, event), all prepared once. Syncs: one a group, of the log; a checkpoint adds two each time
//! the log has grown by [`CHECKPOINT_PAGES`].
//!
//! Balances have a table of their own, so that a hold rewrites none of the pages that facts fill: the log and its
//! checkpoints stay small.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection, OpenFlags, OptionalExtension, params};

use super::common::{Balance, Event, QUEUED};
use crate::contender::{Engine, Reads};
use crate::workload::{Hold, Order};

/// Pages of the log at which it is written back: more than the default of 1,000, which a few groups fill.
const CHECKPOINT_PAGES: u32 = 8_000;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS orders (
        id INTEGER PRIMARY KEY,
        number TEXT NOT NULL,
        paid_at INTEGER NOT NULL,
        facts TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS orders_by_paid_at ON orders (paid_at);
    CREATE TABLE IF NOT EXISTS balances (
        order_id INTEGER PRIMARY KEY,
        paid INTEGER NOT NULL,
        held INTEGER NOT NULL,
        refunded INTEGER NOT NULL,
        version INTEGER NOT NULL,
        head BLOB NOT NULL
    );
    CREATE TABLE IF NOT EXISTS order_numbers (
        number TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        order_id INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS refunds (
        key TEXT PRIMARY KEY,
        order_id INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        state INTEGER NOT NULL,
        due_at INTEGER NOT NULL,
        held_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS refunds_by_state ON refunds (state, due_at);
    CREATE TABLE IF NOT EXISTS events (
        seq INTEGER PRIMARY KEY,
        order_id INTEGER NOT NULL,
        version INTEGER NOT NULL,
        hash BLOB NOT NULL,
        line TEXT NOT NULL
    );
";

const ADD_ORDER: &str = "INSERT INTO orders (number, paid_at, facts) VALUES (?1, ?2, ?3)";
const ADD_NUMBER: &str = "INSERT INTO order_numbers (number, kind, order_id) VALUES (?1, ?2, ?3)";
const ADD_BALANCE: &str =
    "INSERT INTO balances (order_id, paid, held, refunded, version, head) VALUES (?1, ?2, 0, 0, 1, ?3)";
const ADD_EVENT: &str = "INSERT INTO events (seq, order_id, version, hash, line) VALUES (?1, ?2, ?3, ?4, ?5)";
const BALANCE: &str = "SELECT b.order_id, b.paid, b.held, b.refunded, b.version, b.head
    FROM order_numbers n JOIN balances b ON b.order_id = n.order_id WHERE n.number = ?1";
const SET_BALANCE: &str = "UPDATE balances SET held = ?2, version = ?3, head = ?4 WHERE order_id = ?1";
const ADD_REFUND: &str = "INSERT INTO refunds (key, order_id, amount, state, due_at, held_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
const LOOKUP: &str = "SELECT b.paid, o.facts FROM order_numbers n
    JOIN balances b ON b.order_id = n.order_id JOIN orders o ON o.id = n.order_id WHERE n.number = ?1";
const DAY: &str = "SELECT facts FROM orders WHERE paid_at >= ?1 AND paid_at < ?2";

pub struct Sqlite {
    pub(super) connection: Connection,
    file: PathBuf,
    cache_bytes: u64,
    /// The next event's number.
    seq: i64,
}

impl Sqlite {
    /// One transaction that is durable when it returns.
    fn write<T>(&mut self, work: impl FnOnce(&mut Group<'_>) -> T) -> T {
        let run = |sql| self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        run("BEGIN IMMEDIATE").expect("the writer is alone");
        let mut group = Group::of(&self.connection, self.seq);
        let done = work(&mut group);
        let seq = group.seq;
        drop(group);
        run("COMMIT").expect("durable");
        self.seq = seq;
        done
    }
}

impl Engine for Sqlite {
    type Reads = Readers;

    fn open(directory: &Path, cache_bytes: u64) -> Sqlite {
        std::fs::create_dir_all(directory).expect("a directory");
        let file = directory.join("sqlite");
        let connection = connect(&file, OpenFlags::default(), cache_bytes);
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).expect("set");
        connection.execute_batch(TABLES).expect("tables");
        let seq = connection.query_one("SELECT coalesce(max(seq), 0) + 1 FROM events", [], |row| row.get(0));
        Sqlite { seq: seq.expect("read"), connection, file, cache_bytes }
    }

    fn import(&mut self, page: &[Order]) {
        self.write(|group| page.iter().for_each(|order| group.import(order)));
    }

    fn hold(&mut self, holds: &[Hold]) -> Vec<bool> {
        self.write(|group| holds.iter().map(|hold| group.hold(hold)).collect())
    }

    /// The log is written back and emptied.
    fn settle(&mut self) {
        let busy: i64 =
            self.connection.query_one("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).expect("written back");
        assert_eq!(busy, 0, "a reader kept the log from being emptied");
    }

    fn reads(&self) -> Readers {
        Readers { file: self.file.clone(), cache_bytes: self.cache_bytes, idle: Mutex::default() }
    }
}

fn connect(file: &Path, flags: OpenFlags, cache_bytes: u64) -> Connection {
    let connection = Connection::open_with_flags(file, flags).expect("opens");
    connection.busy_timeout(Duration::from_secs(60)).expect("set");
    connection.set_prepared_statement_cache_capacity(32);
    // The bundled library plans a statement anew at each binding (it has STAT4) unless it is told that plans are stable.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).expect("set");
    let cache_kib = i64::try_from(cache_bytes / 1024).expect("fits into memory");
    connection.pragma_update(None, "cache_size", -cache_kib).expect("set");
    connection.pragma_update(None, "journal_mode", "WAL").expect("set");
    connection.pragma_update(None, "synchronous", "FULL").expect("set");
    connection
}

/// A transaction's statements, taken out of the connection's cache once.
struct Group<'c> {
    connection: &'c Connection,
    seq: i64,
    balance: CachedStatement<'c>,
    set_balance: CachedStatement<'c>,
    add_refund: CachedStatement<'c>,
    add_event: CachedStatement<'c>,
}

impl Group<'_> {
    fn of(connection: &Connection, seq: i64) -> Group<'_> {
        let prepared = |sql| connection.prepare_cached(sql).expect("a statement");
        Group {
            connection,
            seq,
            balance: prepared(BALANCE),
            set_balance: prepared(SET_BALANCE),
            add_refund: prepared(ADD_REFUND),
            add_event: prepared(ADD_EVENT),
        }
    }

    fn import(&mut self, order: &Order) {
        let Order { number, facts, references, paid_at_us, paid_fen } = order;
        let event = Event::taken(self.seq.cast_unsigned(), order);
        let prepared = |sql| self.connection.prepare_cached(sql).expect("a statement");
        prepared(ADD_ORDER).execute(params![number, paid_at_us, facts]).expect("written");
        let id = self.connection.last_insert_rowid();
        let mut add_number = prepared(ADD_NUMBER);
        for (kind, number) in references {
            add_number.execute(params![number, kind, id]).expect("a number of no other order");
        }
        prepared(ADD_BALANCE).execute(params![id, paid_fen, event.hash]).expect("written");
        self.append(id, 1, &event);
    }

    fn hold(&mut self, hold: &Hold) -> bool {
        let Hold { number, key, amount_fen, at_us } = hold;
        let (order, mut balance) = self.balance_of(number);
        if !balance.fits(*amount_fen) {
            return false;
        }
        let refund = params![key, order, amount_fen, QUEUED, at_us, at_us];
        if self.add_refund.execute(refund).expect("written") == 0 {
            return false;
        }
        balance.held += amount_fen;
        balance.version += 1;
        let event = Event::held(self.seq.cast_unsigned(), balance.version, hold, &balance.head);
        let changed = params![order, balance.held, balance.version.cast_signed(), event.hash];
        self.set_balance.execute(changed).expect("written");
        self.append(order, balance.version.cast_signed(), &event);
        true
    }

    fn balance_of(&mut self, number: &str) -> (i64, Balance) {
        let read = self.balance.query_row([number], |row| {
            let version: i64 = row.get(4)?;
            let balance = Balance {
                paid: row.get(1)?,
                held: row.get(2)?,
                refunded: row.get(3)?,
                version: version.cast_unsigned(),
                head: row.get(5)?,
            };
            Ok((row.get(0)?, balance))
        });
        read.expect("an order that is held on is known")
    }

    fn append(&mut self, order: i64, version: i64, event: &Event) {
        self.add_event.execute(params![self.seq, order, version, event.hash, event.line]).expect("written");
        self.seq += 1;
    }
}

/// Connections for readers: as many as read at the same time.
pub struct Readers {
    file: PathBuf,
    cache_bytes: u64,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    fn with<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> T {
        let idle = self.idle.lock().expect("no reader panics here").pop();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = idle.unwrap_or_else(|| connect(&self.file, flags, self.cache_bytes));
        let done = read(&connection).expect("read");
        self.idle.lock().expect("no reader panics here").push(connection);
        done
    }
}

impl Reads for Readers {
    fn lookup(&self, number: &str) -> Option<i64> {
        self.with(|connection| {
            let mut lookup = connection.prepare_cached(LOOKUP)?;
            let row = lookup.query_row([number], |row| Ok((row.get(0)?, black_box(row.get::<_, String>(1)?))));
            Ok(row.optional()?.map(|(paid, _)| paid))
        })
    }

    fn day(&self, from_us: i64, to_us: i64) -> u64 {
        self.with(|connection| {
            let mut day = connection.prepare_cached(DAY)?;
            let mut rows = day.query([from_us, to_us])?;
            let mut orders = 0;
            while let Some(row) = rows.next()? {
                black_box(row.get::<_, String>(0)?);
                orders += 1;
            }
            Ok(orders)
        })
    }
}
