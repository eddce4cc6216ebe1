//! No query of the ledger's reads a whole table, or a whole index, however many orders there are: the server itself counts
//! what it read. What is left out: `check` and `state_hash`, whose business it is to read everything, and the tables of a
//! handful of rows (`ledger`, `cursors`).

use std::collections::BTreeMap;
use std::time::Instant;

use tillbook::domain::RefundState;
use tillbook::storage::conformance::shop;
use tillbook::storage::postgres::Postgres;
use tillbook::storage::{OrderQuery, Page, Storage};
use tillbook::{OrderId, RefundKey};

use super::options;
use super::server::{Server, server};
use crate::support::say;

/// Orders that are there already, each with two numbers, a refund and two events.
fn orders() -> u64 {
    if std::env::var_os("TILLBOOK_LONG").is_some() { 1_000_000 } else { 100_000 }
}

/// Fills the tables as a ledger's years do, without going through one: what is counted are the reads.
async fn fill(server: &Server) {
    let orders = orders();
    let statements = format!(
        "INSERT INTO orders SELECT 'fubei:2099:x-' || n, 'shop-1', 2, decode(repeat('00', 32), 'hex'),
             timestamptz '2000-01-01' + n * interval '1 minute', 'paid', 'wechat', 'CNY', false, 8000, 100, 0, 0, 0, 0,
             '{{}}', '{{}}' FROM generate_series(1, {orders}) AS n;
         INSERT INTO order_numbers SELECT 'shop-1', 'x-' || n, 'order_sn', 'fubei:2099:x-' || n
             FROM generate_series(1, {orders}) AS n;
         INSERT INTO order_numbers SELECT 'shop-1', 'y-' || n, 'merchant_order_sn', 'fubei:2099:x-' || n
             FROM generate_series(1, {orders}) AS n;
         INSERT INTO refunds SELECT 'shop-1', 'k-' || n, 'fubei:2099:x-' || n, 'succeeded',
             timestamptz '2000-01-01' + n * interval '1 minute', 100, timestamptz '2017-01-01', NULL, NULL, 1, 0, '{{}}'
             FROM generate_series(1, {orders}) AS n;
         INSERT INTO attempts SELECT 'shop-1', 'k-' || n, 1, 'fubei:2099:x-' || n, 'till-1', timestamptz '2017-01-01',
             'succeeded' FROM generate_series(1, {orders}) AS n;
         INSERT INTO events SELECT 10 + 2 * n + v, 'fubei:2099:x-' || n, v, timestamptz '2017-01-01', 'till-1',
             'facts_seen', '{{}}', decode(repeat('00', 32), 'hex')
             FROM generate_series(1, {orders}) AS n, generate_series(1, 2) AS v;
         INSERT INTO bodies SELECT 'fubei:2099:x-' || n, '{{}}' FROM generate_series(1, {orders} / 10) AS n;
         INSERT INTO commits SELECT gen_random_uuid() FROM generate_series(1, {orders});
         UPDATE ledger SET sequence = 100 + 2 * {orders};
         ANALYZE"
    );
    server.run("ledger", &statements).await;
}

/// How often each table was read whole, and how many entries of its indexes were read.
async fn read_so_far(server: &Server) -> BTreeMap<String, (i64, i64)> {
    let (person, connection) = server.connect("ledger").await;
    let carrier = tokio::spawn(connection);
    let sql = "SELECT relname::text, seq_scan, (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes AS of_it
        WHERE of_it.relid = of.relid) FROM pg_stat_user_tables AS of";
    let rows = person.query(sql, &[]).await.expect("counted");
    drop(person);
    carrier.await.expect("no panic").expect("it ends in order");
    let counted = |row: &tokio_postgres::Row, at| row.get::<_, Option<i64>>(at).unwrap_or(0);
    rows.iter().map(|row| (row.get(0), (counted(row, 1), counted(row, 2)))).collect()
}

/// Rows that all the questions and commands below may read of a table: a few hundred each time.
const FEW: i64 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_query_reads_a_whole_table() {
    let Some(server) = server("no_query_reads_a_whole_table") else { return };
    let began = Instant::now();
    let url = server.database("ledger").await;
    let storage = Postgres::open(&url, &options()).await.expect("opens");
    fill(&server).await;
    // Connections keep their counts to themselves until they have nothing to do for a while, or end.
    storage.close().await.expect("closed");
    let filled = began.elapsed();
    let mut read = BTreeMap::new();
    // A plan for the values at hand, and one for any values, as the server makes after a few times.
    for (day, mode) in (0..).zip(["force_custom_plan", "force_generic_plan"]) {
        let before = read_so_far(&server).await;
        let url = format!("{url}?options=-c%20plan_cache_mode%3D{mode}");
        let storage = Postgres::open(&url, &options()).await.expect("opens");
        every_command(&storage, 100 * day).await;
        every_question(&storage).await;
        storage.close().await.expect("closed");
        let after = read_so_far(&server).await;
        for table in ["orders", "order_numbers", "refunds", "attempts", "events", "bodies", "commits"] {
            let (whole, entries) = (after[table].0 - before[table].0, after[table].1 - before[table].1);
            assert_eq!(whole, 0, "{table} was read whole with a {mode}, with {} orders in it", orders());
            assert!(entries < FEW, "{entries} entries of the indexes of {table} were read with a {mode}");
            *read.entry(table).or_insert(0) += entries;
        }
    }
    say(&format!(
        "every query by its index at {} orders, filled in {filled:?}, asked in {:?}; entries read: {read:?}",
        orders(),
        began.elapsed() - filled
    ));
}

async fn every_question(storage: &Postgres) {
    let account = shop::account();
    for (kind, number) in [(None, "x-77"), (Some("order_sn"), "x-78"), (Some("merchant_order_sn"), "y-79")] {
        assert_eq!(storage.find(&account, kind, number).await.expect("read").len(), 1);
    }
    let key = RefundKey::new("k-77").expect("valid");
    assert!(storage.find_refund(&account, &key).await.expect("read").is_some());
    let order = OrderId::new("fubei:2099:x-77").expect("valid");
    // Its row is not one of ours: it is found, and refused by name.
    assert!(storage.get(&order).await.is_err());
    assert!(storage.events_of(&order).await.is_err());
    assert_eq!(storage.lines(1_000, 10).await.expect("read").len(), 10);
    assert!(storage.refunds_in(RefundState::Queued, Some(shop::at(0)), 10).await.expect("read").is_empty());
    assert_eq!(storage.refunds_in(RefundState::Succeeded, None, 10).await.expect("read").len(), 10);
    for state in [None, Some(RefundState::Succeeded)] {
        let page = storage.refunds_after(state, None, 10).await.expect("read");
        let (after, _) = page.last().expect("ten");
        assert_eq!(storage.refunds_after(state, Some(after), 10).await.expect("read").len(), 10);
    }
    assert!(storage.lost_attempts(10).await.expect("read").is_empty());
    // The newest orders are a shop's own; those that follow are no records of ours.
    let (from, to) = (Some(shop::at(0)), Some(shop::at(3_600)));
    for account in [None, Some(account.clone())] {
        for query in [
            OrderQuery { account: account.clone(), ..OrderQuery::default() },
            OrderQuery { account: account.clone(), from, to, ..OrderQuery::default() },
        ] {
            let first = storage.scan(&query, &Page { after: None, limit: 10 }).await.expect("read");
            assert!(first.next.is_some());
            let second = storage.scan(&query, &Page { after: first.next, limit: 10 }).await.expect("read");
            assert_eq!(second.orders.len(), 10);
        }
    }
    let old = OrderQuery { to: Some(shop::at(-3_600)), ..OrderQuery::default() };
    assert!(storage.scan(&old, &Page { after: None, limit: 10 }).await.is_err(), "no records of ours");
    assert!(storage.body(&order).await.expect("read").is_some());
    assert_eq!(storage.forget_body(&order).await.expect("forgotten"), Some(2));
    storage.keep_body(&order, tillbook::Body::new(b"{}".to_vec()));
    // Whoever forgets it waits for what is kept before.
    let other = OrderId::new("fubei:2099:none").expect("valid");
    assert_eq!(storage.forget_body(&other).await.expect("forgotten"), None);
}

/// A till's day: an order, its refund, what became of it, orders of a page, and two that share a number.
async fn every_command(storage: &Postgres, first: i64) {
    storage.transact(shop::see(shop::facts(first))).await.expect("added");
    let key = format!("day-{first}");
    storage.transact(shop::hold(&shop::order(first), &key, 100)).await.expect("held");
    storage.transact(shop::begin(first, &key)).await.expect("begun");
    let outcome = tillbook::domain::Outcome::Succeeded;
    storage.transact(shop::settle(&shop::order(first), &key, outcome)).await.expect("settled");
    let page = (first + 1..first + 40).map(|number| shop::see(shop::facts(number))).collect();
    storage.transact_many(page).await.expect("a page");
    let mut shares = shop::facts(first + 50);
    shares.references.insert("merchant_order_sn".to_owned(), format!("m-{first}"));
    storage.transact(shop::see(shares)).await.expect("added");
    assert_eq!(storage.find(&shop::account(), None, &format!("m-{first}")).await.expect("read").len(), 2);
    storage.put_cursor("orders", first.to_string()).await.expect("kept");
}
