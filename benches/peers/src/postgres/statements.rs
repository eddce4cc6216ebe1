//! What a careful user would write in the ledger's place: one statement that holds a refund, or a group of them.
//!
//! It writes the same rows: the refund, the order with what it holds, and an event whose hash goes on from the order's
//! last. A refund's number that was used before changes nothing, for the refund is inserted first and the order's
//! update is driven by what was inserted; and a hold that does not fit breaks the table's own constraint, which takes
//! the refund back too. What it does not do: number events in the order of their commits without gaps, find an order by
//! any of its numbers, tell a replay from another refund of the same key, or weigh anything but the sums.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};

use crate::workload::Hold;

/// The tables of a ledger without what only a ledger needs, and with a sequence that gives events their numbers.
pub const TABLES: &str = "DROP VIEW refunds_by_day, orders_refundable, refunds_to_look_at;
    DROP TABLE ledger, commits, attempts, cursors, bodies;
    ALTER TABLE orders DROP COLUMN record;
    ALTER TABLE refunds DROP COLUMN record, DROP COLUMN place;
    CREATE INDEX refunds_of_order ON refunds (order_id);
    CREATE SEQUENCE events_sequence;
    SELECT setval('events_sequence', (SELECT max(sequence) FROM events));
    ALTER TABLE events ALTER sequence SET DEFAULT nextval('events_sequence')";

const ONE: &str = "WITH added AS (
        INSERT INTO refunds (account, key, order_id, state, since, amount, requested_at, attempts)
        SELECT account, $1, id, 'queued', $3, $4, $3, 0 FROM orders WHERE id = $2 AND status = 'paid'
        ON CONFLICT (account, key) DO NOTHING RETURNING order_id, amount),
    changed AS (
        UPDATE orders SET held = orders.held + added.amount, version = version + 1,
            head = sha256(head || convert_to($5, 'UTF8'))
        FROM added WHERE orders.id = added.order_id RETURNING id, version, head)
    INSERT INTO events (order_id, version, at, device, type, line, hash)
    SELECT id, version, $3, 'till-3', 'refund_held', $5, head FROM changed RETURNING sequence";

/// The same for holds on as many different orders, locked in the order of their names: no two groups wait for each other.
const MANY: &str = "WITH asked AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::text[])
            AS asked (key, order_id, at, amount, line)),
    fits AS MATERIALIZED (
        SELECT asked.*, orders.account FROM orders JOIN asked ON orders.id = asked.order_id
        WHERE status = 'paid' AND refunded + held + asked.amount <= paid ORDER BY orders.id FOR UPDATE OF orders),
    added AS (
        INSERT INTO refunds (account, key, order_id, state, since, amount, requested_at, attempts)
        SELECT account, key, order_id, 'queued', at, amount, at, 0 FROM fits
        ON CONFLICT (account, key) DO NOTHING RETURNING key),
    changed AS (
        UPDATE orders SET held = orders.held + fits.amount, version = version + 1,
            head = sha256(head || convert_to(fits.line, 'UTF8'))
        FROM fits JOIN added USING (key) WHERE orders.id = fits.order_id
        RETURNING id, version, head, fits.at, fits.line),
    told AS (
        INSERT INTO events (order_id, version, at, device, type, line, hash)
        SELECT id, version, at, 'till-3', 'refund_held', line, head FROM changed)
    SELECT key FROM added";

/// One statement a hold, by as many connections as the ledger has.
pub struct Statement {
    pool: Pool,
}

impl Statement {
    pub fn open(url: &str, connections: usize) -> Statement {
        let config: Config = url.parse().expect("an address");
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        Statement { pool: Pool::builder(manager).max_size(connections).build().expect("a pool") }
    }

    pub async fn hold(&self, hold: Hold) -> bool {
        let client = self.pool.get().await.expect("a connection");
        let statement = client.prepare_cached(ONE).await.expect("prepared");
        let (order, line) = (order_id(&hold), line(&hold));
        let held = client.execute(&statement, &[&hold.key, &order, &at(&hold), &hold.amount_fen, &line]).await;
        match held {
            Ok(added) => added == 1,
            Err(error) if error.code() == Some(&SqlState::CHECK_VIOLATION) => false,
            Err(error) => panic!("{error:?}"),
        }
    }
}

type Asked = (Hold, oneshot::Sender<bool>);

/// Holds in one group at most.
const GROUP: usize = 256;

/// One task that takes what waits, as one statement. An order is in a group once: what is held on it needs what was
/// held before.
pub struct Grouped {
    asks: mpsc::Sender<Asked>,
}

impl Grouped {
    pub async fn open(url: &str) -> Grouped {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        let statement = client.prepare(MANY).await.expect("prepared");
        let (asks, mut asked) = mpsc::channel::<Asked>(1_024);
        tokio::spawn(async move {
            let mut waiting: Vec<Asked> = Vec::new();
            loop {
                if waiting.is_empty() {
                    match asked.recv().await {
                        Some(first) => waiting.push(first),
                        None => return,
                    }
                }
                while waiting.len() < GROUP
                    && let Ok(next) = asked.try_recv()
                {
                    waiting.push(next);
                }
                let mut orders = BTreeSet::new();
                let (group, later): (Vec<_>, Vec<_>) =
                    waiting.into_iter().partition(|(hold, _)| orders.insert(hold.number.clone()));
                waiting = later;
                let keys: Vec<&str> = group.iter().map(|(hold, _)| hold.key.as_str()).collect();
                let orders: Vec<String> = group.iter().map(|(hold, _)| order_id(hold)).collect();
                let times: Vec<SystemTime> = group.iter().map(|(hold, _)| at(hold)).collect();
                let amounts: Vec<i64> = group.iter().map(|(hold, _)| hold.amount_fen).collect();
                let lines: Vec<String> = group.iter().map(|(hold, _)| line(hold)).collect();
                let added = client.query(&statement, &[&keys, &orders, &times, &amounts, &lines]).await;
                let added = added.expect("a group is held");
                let added: BTreeSet<String> = added.iter().map(|row| row.get(0)).collect();
                for (hold, caller) in group {
                    let _ = caller.send(added.contains(&hold.key));
                }
            }
        });
        Grouped { asks }
    }

    pub async fn hold(&self, hold: Hold) -> bool {
        let (answer, answered) = oneshot::channel();
        self.asks.send((hold, answer)).await.expect("the task goes on");
        answered.await.expect("the task goes on")
    }
}

/// The name that the ledger gave the order: here it is known without looking.
fn order_id(hold: &Hold) -> String {
    format!("fubei:20170601215348:{}", hold.number)
}

fn at(hold: &Hold) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(hold.at_us.cast_unsigned())
}

/// What the ledger writes of a hold, but for the numbers that only the server knows here.
fn line(hold: &Hold) -> String {
    serde_json::json!({
        "order": order_id(hold), "account": "shop-1", "at": hold.at_us, "device": "till-3",
        "event": { "type": "refund_held", "key": hold.key, "requested": hold.amount_fen, "amount": hold.amount_fen,
            "memo": null, "by": null, "due_at": hold.at_us },
    })
    .to_string()
}
