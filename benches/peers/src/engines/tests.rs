//! One script over every peer: what they grant, what readers find, what they keep, and that it is there after a reopen.

use std::collections::BTreeMap;
use std::path::Path;

use super::common::{Balance, Hash, Link, QUEUED, Refund, Space, Walk, chained, decoded, number_of};
use super::{NAMES, append, fjall, open, redb, sled, sqlite};
use crate::contender::{Engine, Mode, Reads};
use crate::workload::{self, HOLD_FEN, Hold, Order, PAID_FEN};

const CACHE_BYTES: u64 = 8 << 20;

/// Orders of the script: two days of them, in pages.
const ORDERS: u64 = 2 * PAGE;
const PAGE: u64 = 20;

/// All that a peer keeps, whatever it keeps it in.
#[derive(Debug, PartialEq)]
struct Kept {
    facts: BTreeMap<u64, String>,
    balances: BTreeMap<u64, Balance>,
    numbers: BTreeMap<String, (u64, String)>,
    refunds: BTreeMap<String, Refund>,
    /// Keys of queued refunds by when they are due.
    queue: Vec<String>,
    events: BTreeMap<u64, (u64, u64, Hash, String)>,
}

/// Something to do with each peer in a directory of its own.
type Each<T> = [(&'static str, fn(&Path) -> T); 4];

trait Peer: Engine {
    fn kept(&self) -> Kept;
}

impl Peer for fjall::Fjall {
    fn kept(&self) -> Kept {
        kept(&self.kept.picture())
    }
}

impl Peer for redb::Redb {
    fn kept(&self) -> Kept {
        kept(&redb::picture(&self.db))
    }
}

impl Peer for sled::Sled {
    fn kept(&self) -> Kept {
        kept(&self.rows)
    }
}

fn kept(rows: &impl Walk) -> Kept {
    let text = |bytes: &[u8]| str::from_utf8(bytes).unwrap().to_owned();
    let mut kept = Kept {
        facts: BTreeMap::new(),
        balances: BTreeMap::new(),
        numbers: BTreeMap::new(),
        refunds: BTreeMap::new(),
        queue: Vec::new(),
        events: BTreeMap::new(),
    };
    let all = |space, each: &mut dyn FnMut(&[u8], &[u8])| rows.range(space, &[], &[0xff; 64], each);
    all(Space::Facts, &mut |key, value| kept.facts.extend([(number_of(key), text(value))]));
    all(Space::Balances, &mut |key, value| kept.balances.extend([(number_of(key), decoded(value))]));
    all(Space::Numbers, &mut |key, value| kept.numbers.extend([(text(key), decoded(value))]));
    all(Space::Refunds, &mut |key, value| kept.refunds.extend([(text(key), decoded(value))]));
    all(Space::Queue, &mut |key, _| kept.queue.push(text(&key[9..])));
    all(Space::Events, &mut |key, value| {
        let Link { order, version, hash, line } = decoded(value);
        kept.events.insert(number_of(key), (order, version, hash, line.to_owned()));
    });
    kept
}

impl Peer for sqlite::Sqlite {
    fn kept(&self) -> Kept {
        let rows = |sql: &str| self.connection.prepare(sql).unwrap();
        let unsigned = |row: &rusqlite::Row<'_>, column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let balance = |row: &rusqlite::Row<'_>| {
            let (paid, held, refunded) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok((unsigned(row, 0)?, Balance { paid, held, refunded, version: unsigned(row, 4)?, head: row.get(5)? }))
        };
        let refund = |row: &rusqlite::Row<'_>| {
            let (amount, state, due_at_us, held_at_us) = (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
            Ok((row.get(0)?, Refund { order: unsigned(row, 1)?, amount, state, due_at_us, held_at_us }))
        };
        let event = |row: &rusqlite::Row<'_>| {
            Ok((unsigned(row, 0)?, (unsigned(row, 1)?, unsigned(row, 2)?, row.get(3)?, row.get(4)?)))
        };
        let facts = |row: &rusqlite::Row<'_>| Ok((unsigned(row, 0)?, row.get(1)?));
        let number = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, (unsigned(row, 2)?, row.get(1)?)));
        let queue = format!("SELECT key FROM refunds WHERE state = {QUEUED} ORDER BY due_at, key");
        Kept {
            facts: rows("SELECT id, facts FROM orders").query_map([], facts).unwrap().map(Result::unwrap).collect(),
            balances: rows("SELECT * FROM balances").query_map([], balance).unwrap().map(Result::unwrap).collect(),
            numbers: rows("SELECT * FROM order_numbers").query_map([], number).unwrap().map(Result::unwrap).collect(),
            refunds: rows("SELECT * FROM refunds").query_map([], refund).unwrap().map(Result::unwrap).collect(),
            queue: rows(&queue).query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect(),
            events: rows("SELECT * FROM events").query_map([], event).unwrap().map(Result::unwrap).collect(),
        }
    }
}

/// The n-th order of the script: the second page is of another day.
fn nth(n: u64) -> u64 {
    n / PAGE * workload::A_DAY + n % PAGE
}

fn page(of: u64) -> Vec<Order> {
    (of * PAGE..(of + 1) * PAGE).map(nth).map(workload::order).collect()
}

fn hold(n: u64, key: &str, amount_fen: i64) -> Hold {
    Hold { number: workload::number(nth(n)), key: key.to_owned(), amount_fen, at_us: workload::day_us(365) }
}

/// Groups of holds and what must become of each.
fn holds() -> [Vec<(Hold, bool)>; 4] {
    [
        vec![(hold(3, "a", HOLD_FEN), true)],
        vec![
            (hold(4, "b", PAID_FEN - 1), true),
            (hold(4, "c", 2), false), // would be more than was paid, for the one before it in the group counts
            (hold(4, "d", 1), true),
            (hold(5, "d", 1), false), // a key that was granted in this group
            (hold(5, "a", 1), false), // a key that was granted in a group before
            (hold(5, "c", 1), true),  // a key that was refused holds nothing
        ],
        vec![(hold(3, "e", PAID_FEN - HOLD_FEN + 1), false), (hold(6, "f", 0), false), (hold(6, "g", -1), false)],
        vec![(hold(3, "h", PAID_FEN - HOLD_FEN), true), (hold(25, "i", PAID_FEN), true)],
    ]
}

/// Runs the script, and looks at what is kept before and after a reopen.
fn script<P: Peer>(directory: &Path) -> Kept {
    let mut peer = P::open(directory, CACHE_BYTES);
    peer.import(&page(0));
    let reads = peer.reads();
    assert_eq!((reads.lookup(&workload::number(nth(3))), reads.lookup("unknown")), (Some(PAID_FEN), None));
    peer.import(&page(1));
    for group in holds() {
        let (group, expected): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        assert_eq!(peer.hold(&group), expected, "{group:?}");
    }
    found(&reads);
    peer.settle();
    let before = peer.kept();
    drop((peer, reads));

    let mut peer = P::open(directory, CACHE_BYTES);
    assert_eq!(peer.kept(), before);
    found(&peer.reads());
    assert_eq!(peer.hold(&[hold(3, "j", 1), hold(7, "a", 1), hold(7, "k", 1)]), [false, false, true]);
    peer.kept()
}

/// Every order is found by each of its numbers and in its day.
fn found(reads: &impl Reads) {
    for order in (0..2).flat_map(page) {
        for (_, number) in &order.references {
            assert_eq!(reads.lookup(number), Some(PAID_FEN), "{number}");
        }
    }
    let first = workload::paid_at_us(0);
    let second = workload::paid_at_us(nth(PAGE));
    let counts = [(first, second), (second, i64::MAX), (first, first + 1), (0, first), (first + 1, i64::MAX)];
    assert_eq!(counts.map(|(from, to)| reads.day(from, to)), [PAGE, PAGE, 1, 0, ORDERS - 1]);
}

/// What the script leaves: granted refunds and nothing else, and chains that hold.
fn is_what_the_script_leaves(kept: &Kept) {
    let orders: Vec<_> = (0..2).flat_map(page).collect();
    assert_eq!(kept.facts.values().collect::<Vec<_>>(), orders.iter().map(|order| &order.facts).collect::<Vec<_>>());
    assert_eq!(kept.numbers.len(), 3 * orders.len());
    let amounts: Vec<_> =
        kept.refunds.iter().map(|(key, refund)| (key.as_str(), refund.order, refund.amount)).collect();
    let granted = [
        ("a", 4, HOLD_FEN),
        ("b", 5, PAID_FEN - 1),
        ("c", 6, 1),
        ("d", 5, 1),
        ("h", 4, PAID_FEN - HOLD_FEN),
        ("i", 26, PAID_FEN),
        ("k", 8, 1),
    ];
    assert_eq!(amounts, granted);
    assert_eq!(kept.queue, ["a", "b", "c", "d", "h", "i", "k"]);
    assert_eq!(kept.events.len(), orders.len() + granted.len());

    let mut heads: BTreeMap<u64, (u64, Hash)> = BTreeMap::new();
    for (order, version, hash, line) in kept.events.values() {
        let (last, head) = heads.remove(order).unwrap_or_default();
        assert_eq!(*version, last + 1);
        let facts = if last == 0 { kept.facts[order].as_bytes() } else { b"" };
        assert_eq!(*hash, chained(&head, &[line.as_bytes(), facts]), "{line}");
        assert_eq!(line.len() == append::LINE, last > 0);
        serde_json::from_str::<serde_json::Value>(line).unwrap();
        heads.insert(*order, (*version, *hash));
    }
    for (order, balance) in &kept.balances {
        let held = granted.iter().filter(|(_, of, _)| of == order).map(|(_, _, amount)| amount).sum();
        let (version, head) = heads[order];
        assert_eq!(*balance, Balance { paid: PAID_FEN, held, refunded: 0, version, head });
    }
}

#[test]
fn every_peer_grants_finds_and_keeps_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let scripts: Each<Kept> = [
        ("sqlite", script::<sqlite::Sqlite>),
        ("redb", script::<redb::Redb>),
        ("fjall", script::<fjall::Fjall>),
        ("sled", script::<sled::Sled>),
    ];
    assert_eq!(scripts.map(|(name, _)| name), NAMES);
    let kept = scripts.map(|(name, script)| script(&directory.path().join(name)));
    is_what_the_script_leaves(&kept[0]);
    for other in &kept[1..] {
        assert_eq!(other, &kept[0]);
    }
}

#[test]
fn a_number_of_another_order_is_refused() {
    fn twice<E: Engine>(directory: &Path) {
        let mut peer = E::open(directory, CACHE_BYTES);
        let [one, mut other] = [0, 1].map(workload::order);
        other.references[0].1.clone_from(&one.references[0].1);
        peer.import(&[one]);
        peer.import(&[other]);
    }
    let directory = tempfile::tempdir().unwrap();
    let twice: Each<()> = [
        ("sqlite", twice::<sqlite::Sqlite>),
        ("redb", twice::<redb::Redb>),
        ("fjall", twice::<fjall::Fjall>),
        ("sled", twice::<sled::Sled>),
    ];
    for (name, twice) in twice {
        let directory = directory.path().join(name);
        assert!(std::panic::catch_unwind(|| twice(&directory)).is_err(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_peer_never_gives_back_more_than_was_paid_to_many_callers() {
    let directory = tempfile::tempdir().unwrap();
    for mode in [Mode::Direct, Mode::Grouped] {
        for name in NAMES {
            let peer = open(name, &directory.path().join(format!("{name}-{mode:?}")), CACHE_BYTES, mode);
            peer.import(vec![0, 1]).await;
            let callers: Vec<_> = (0..8)
                .map(|caller| {
                    let peer = std::sync::Arc::clone(&peer);
                    tokio::spawn(async move {
                        let mut granted = 0;
                        for n in 0..10 {
                            let hold = hold(n % 2, &format!("{caller}-{n}"), PAID_FEN / 10);
                            granted += u64::from(peer.hold(hold).await);
                            assert_eq!(peer.lookup(&workload::receipt(n % 2)).await, Some(PAID_FEN));
                        }
                        granted
                    })
                })
                .collect();
            let mut granted = 0;
            for caller in callers {
                granted += caller.await.unwrap();
            }
            peer.settle().await;
            assert_eq!(granted, 20, "{name} {mode:?}: ten of each order's fit");
        }
    }
}
