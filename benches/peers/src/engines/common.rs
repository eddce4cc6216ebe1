//! What the peers have in common: the line of history and its chain, and for those that keep keys and values, the
//! layout and the decisions.
//!
//! An order has a small number of its own. What never changes (its facts) and what every hold changes (its balance) lie
//! under keys of their own, so that a hold rewrites few bytes:
//!
//! | space | key | value |
//! | --- | --- | --- |
//! | facts | order | the facts' text |
//! | balances | order | paid, held, refunded, version, head of the chain |
//! | numbers | a number of the order | order, kind of number |
//! | paid at | time of payment, order | (nothing) |
//! | refunds | refund key | order, amount, state, when due, when held |
//! | queue | state, when due, refund key | (nothing) |
//! | events | sequence | order, version, hash, line |
//!
//! A hold writes four of them: balance, refund, queue, event.

use std::collections::{BTreeMap, HashSet};
use std::hint::black_box;

use serde::{Deserialize, Serialize};

use super::append::LINE;
use crate::workload::{Hold, Order};

/// A hash of the chain.
pub type Hash = [u8; 32];

/// The state of a refund that waits to be sent: the only one that this work knows.
pub const QUEUED: u8 = 0;

/// One line of an order's history and its place in the order's chain.
pub struct Event {
    pub line: String,
    /// Over the hash before it and the line: what is the order's head from now on.
    pub hash: Hash,
}

impl Event {
    /// An order was taken in. Its facts lie with the order and never change, so that the line need not repeat them: the
    /// chain covers them.
    pub fn taken(seq: u64, order: &Order) -> Event {
        let Order { number, facts, paid_at_us, paid_fen, .. } = order;
        let line = format!(
            r#"{{"seq":{seq},"order":"{number}","version":1,"at":{paid_at_us},"device":"till-3","account":"shop-1","event":{{"type":"facts_seen","paid":{paid_fen},"bytes":{}}}}}"#,
            facts.len()
        );
        let hash = chained(&Hash::default(), &[line.as_bytes(), facts.as_bytes()]);
        Event { line, hash }
    }

    /// A refund was held. The line is as long as the floor's and the ledger's.
    pub fn held(seq: u64, version: u64, hold: &Hold, previous: &Hash) -> Event {
        let Hold { number, key, amount_fen, at_us } = hold;
        let line = format!(
            r#"{{"seq":{seq},"order":"{number}","version":{version},"at":{at_us},"device":"till-3","account":"shop-1","event":{{"type":"refund_held","key":"{key}","requested":{amount_fen},"amount":{amount_fen},"memo":null,"by":null,"due_at":{at_us}}}}}"#
        );
        let line = format!("{line:<LINE$}");
        let hash = chained(previous, &[line.as_bytes()]);
        Event { line, hash }
    }
}

/// The hash of a link: over the one before and what it holds.
pub fn chained(previous: &Hash, parts: &[&[u8]]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// What an order has left to give back, and where its chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    pub paid: i64,
    pub held: i64,
    pub refunded: i64,
    pub version: u64,
    pub head: Hash,
}

impl Balance {
    /// Whether so much may be held besides what is held and refunded already.
    pub fn fits(&self, amount: i64) -> bool {
        amount > 0
            && self.held.checked_add(self.refunded).and_then(|given| given.checked_add(amount)) <= Some(self.paid)
    }
}

/// A refund as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    pub order: u64,
    pub amount: i64,
    pub state: u8,
    pub due_at_us: i64,
    pub held_at_us: i64,
}

/// An event as it is kept.
#[derive(Serialize, Deserialize)]
pub struct Link<'a> {
    pub order: u64,
    pub version: u64,
    pub hash: Hash,
    pub line: &'a str,
}

/// Where a key lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    Facts,
    Balances,
    Numbers,
    PaidAt,
    Refunds,
    Queue,
    Events,
}

impl Space {
    pub const ALL: [Space; 7] =
        [Space::Facts, Space::Balances, Space::Numbers, Space::PaidAt, Space::Refunds, Space::Queue, Space::Events];

    pub fn name(self) -> &'static str {
        match self {
            Space::Facts => "facts",
            Space::Balances => "balances",
            Space::Numbers => "numbers",
            Space::PaidAt => "paid_at",
            Space::Refunds => "refunds",
            Space::Queue => "queue",
            Space::Events => "events",
        }
    }

    /// The key behind one byte that tells its space, for an engine where all lie in one tree.
    pub fn prefixed(self, key: &[u8]) -> Vec<u8> {
        let mut prefixed = Vec::with_capacity(1 + key.len());
        prefixed.push(self as u8);
        prefixed.extend_from_slice(key);
        prefixed
    }
}

/// What is kept, to be asked for by key.
pub trait Rows {
    /// Reads the value where it lies.
    fn get<T>(&self, space: Space, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Option<T>;
}

/// What is kept, to be walked as well.
pub trait Walk: Rows {
    /// Visits keys and values with `from <= key < to` in their sequence.
    fn range(&self, space: Space, from: &[u8], to: &[u8], each: impl FnMut(&[u8], &[u8]));

    /// The greatest key of a space whose keys are numbers.
    fn last(&self, space: Space) -> Option<u64>;
}

/// What is kept, and what will be: all of it or nothing.
pub trait Change: Rows {
    /// Writes. [`Rows::get`] need not see it.
    fn put(&mut self, space: Space, key: &[u8], value: &[u8]);
}

/// The numbers to be given out next. The writer is alone, so they are kept in memory.
pub struct Next {
    order: u64,
    seq: u64,
}

impl Next {
    pub fn after(rows: &impl Walk) -> Next {
        let after = |space| rows.last(space).map_or(1, |last| last + 1);
        Next { order: after(Space::Facts), seq: after(Space::Events) }
    }

    fn order(&mut self) -> u64 {
        self.order += 1;
        self.order - 1
    }

    fn seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq - 1
    }
}

/// Writes a page of orders that are new.
pub fn import(rows: &mut impl Change, next: &mut Next, page: &[Order]) {
    let mut new = HashSet::with_capacity(page.len() * 3);
    for order in page {
        let (id, seq) = (next.order(), next.seq());
        for (kind, number) in &order.references {
            let known = rows.get(Space::Numbers, number.as_bytes(), |_| ()).is_some();
            assert!(!known && new.insert(number), "{number} is a number of another order");
            rows.put(Space::Numbers, number.as_bytes(), &encoded(&(id, kind)));
        }
        let event = Event::taken(seq, order);
        let balance = Balance { paid: order.paid_fen, held: 0, refunded: 0, version: 1, head: event.hash };
        rows.put(Space::Facts, &id.to_be_bytes(), order.facts.as_bytes());
        rows.put(Space::Balances, &id.to_be_bytes(), &encoded(&balance));
        rows.put(Space::PaidAt, &paid_at_key(order.paid_at_us, id), &[]);
        append(rows, seq, id, 1, &event);
    }
}

/// Decides holds in their turn, each after those before it, and writes what was granted. A balance that many of them
/// change is written once.
pub fn hold(rows: &mut impl Change, next: &mut Next, group: &[Hold]) -> Vec<bool> {
    let mut balances: BTreeMap<u64, Balance> = BTreeMap::new();
    let mut keys = HashSet::new();
    let mut granted = Vec::with_capacity(group.len());
    for hold in group {
        let known = keys.contains(&hold.key) || rows.get(Space::Refunds, hold.key.as_bytes(), |_| ()).is_some();
        let order = order_of(rows, &hold.number).expect("an order that is held on is known");
        let mut balance = balances.get(&order).copied().unwrap_or_else(|| balance_of(rows, order));
        let fits = !known && balance.fits(hold.amount_fen);
        granted.push(fits);
        if !fits {
            continue;
        }
        let seq = next.seq();
        balance.held += hold.amount_fen;
        balance.version += 1;
        let event = Event::held(seq, balance.version, hold, &balance.head);
        balance.head = event.hash;
        append(rows, seq, order, balance.version, &event);
        let Hold { key, amount_fen: amount, at_us, .. } = hold;
        let refund = Refund { order, amount: *amount, state: QUEUED, due_at_us: *at_us, held_at_us: *at_us };
        rows.put(Space::Refunds, key.as_bytes(), &encoded(&refund));
        rows.put(Space::Queue, &queue_key(&refund, key), &[]);
        keys.insert(key);
        balances.insert(order, balance);
    }
    for (order, balance) in balances {
        rows.put(Space::Balances, &order.to_be_bytes(), &encoded(&balance));
    }
    granted
}

fn append(rows: &mut impl Change, seq: u64, order: u64, version: u64, event: &Event) {
    let link = Link { order, version, hash: event.hash, line: &event.line };
    rows.put(Space::Events, &seq.to_be_bytes(), &encoded(&link));
}

/// What an order paid, with its facts read as well: a reader wants the order, not a figure alone.
pub fn lookup(rows: &impl Rows, number: &str) -> Option<i64> {
    let order = order_of(rows, number)?;
    black_box(facts_of(rows, &order.to_be_bytes()));
    Some(balance_of(rows, order).paid)
}

/// Orders paid in `[from, to)`, the facts of each read.
pub fn day(rows: &impl Walk, from_us: i64, to_us: i64) -> u64 {
    let mut orders = 0;
    rows.range(Space::PaidAt, &paid_at_key(from_us, 0), &paid_at_key(to_us, 0), |key, _| {
        black_box(facts_of(rows, &key[8..]));
        orders += 1;
    });
    orders
}

fn order_of(rows: &impl Rows, number: &str) -> Option<u64> {
    rows.get(Space::Numbers, number.as_bytes(), |value| decoded::<(u64, &str)>(value).0)
}

fn balance_of(rows: &impl Rows, order: u64) -> Balance {
    rows.get(Space::Balances, &order.to_be_bytes(), |value| decoded(value)).expect("an order has a balance")
}

fn facts_of(rows: &impl Rows, order: &[u8]) -> String {
    let text = |facts: &[u8]| str::from_utf8(facts).expect("facts are text").to_owned();
    rows.get(Space::Facts, order, text).expect("an order has facts")
}

fn paid_at_key(paid_at_us: i64, order: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&in_order(paid_at_us));
    key[8..].copy_from_slice(&order.to_be_bytes());
    key
}

fn queue_key(refund: &Refund, key: &str) -> Vec<u8> {
    let mut queue = Vec::with_capacity(9 + key.len());
    queue.push(refund.state);
    queue.extend_from_slice(&in_order(refund.due_at_us));
    queue.extend_from_slice(key.as_bytes());
    queue
}

/// Bytes that sort as the numbers do.
fn in_order(us: i64) -> [u8; 8] {
    (us.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

fn encoded(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("what is kept can be encoded")
}

pub fn decoded<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> T {
    postcard::from_bytes(bytes).expect("what was kept can be decoded")
}

/// The number that a key is.
pub fn number_of(key: &[u8]) -> u64 {
    u64::from_be_bytes(key.try_into().expect("a key of eight bytes"))
}
