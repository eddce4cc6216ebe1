//! The server of a run, with a database for each contender.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tillbook::Ledger;
use tokio::runtime::Runtime;
use tokio_postgres::SimpleQueryMessage;

use super::server::Server;
use super::statements;
use crate::ledger;

/// Memory and checkpoints as for a server of this size; what makes a commit durable is as it comes.
const SETTINGS: [&str; 4] =
    ["shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=30min", "max_connections=100"];

/// The database that all begin with.
const LOADED: &str = "tillbook";

/// Orders of one page of the load.
const PAGE: u64 = 1_000;

pub struct Arena {
    server: Server,
    runtime: Runtime,
}

/// What the server has spent so far.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    pub cpu: Duration,
    /// Bytes of its log.
    pub log: u64,
}

impl Arena {
    /// A server with the same orders for all.
    pub fn make(who: &[String], orders: u64) -> Arena {
        let runtime = Runtime::new().expect("a runtime");
        let arena = Arena { server: Server::start(&SETTINGS), runtime };
        arena.run("postgres", &format!("CREATE DATABASE {LOADED}"));
        arena.runtime.block_on(arena.load(orders));
        for name in who.iter().filter(|name| *name != LOADED) {
            arena.run("postgres", &format!("CREATE DATABASE {name} TEMPLATE {LOADED}"));
            arena.run(name, statements::TABLES);
        }
        for name in who {
            arena.run(name, "VACUUM (ANALYZE)");
        }
        arena.run("postgres", "CHECKPOINT");
        arena
    }

    async fn load(&self, orders: u64) {
        let since = Instant::now();
        let builder = Ledger::builder().device("loader".parse().expect("a name"));
        let ledger = builder.open(self.url(LOADED)).await.expect("opens");
        let account = ledger::connect(&ledger);
        for from in (0..orders).step_by(usize::try_from(PAGE).expect("small")) {
            ledger::import(&ledger, &account, (from..orders.min(from + PAGE)).collect()).await;
        }
        ledger.close().await.expect("closes");
        eprintln!("loaded in {:.0?}", since.elapsed());
    }

    /// Runs statements as a person would; tells the first column of the first row.
    fn run(&self, database: &str, statements: &str) -> Option<String> {
        self.runtime.block_on(async {
            // It listens a moment before it lets anybody in.
            let since = Instant::now();
            let (client, connection) = loop {
                match tokio_postgres::connect(&self.url(database), tokio_postgres::NoTls).await {
                    Ok(connected) => break connected,
                    Err(error) => assert!(since.elapsed() < Duration::from_secs(60), "{error}"),
                }
            };
            let carrier = tokio::spawn(connection);
            let rows = client.simple_query(statements).await.expect(statements);
            drop(client);
            carrier.await.expect("no panic").expect("it ends in order");
            rows.iter().find_map(|row| match row {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
        })
    }

    pub fn url(&self, database: &str) -> String {
        self.server.url(database)
    }

    fn ask(&self, database: &str, question: &str) -> String {
        self.run(database, question).expect("a row")
    }

    pub fn version(&self) -> String {
        self.ask("postgres", "SHOW server_version")
    }

    pub fn spent(&self) -> Spent {
        let log = self.ask("postgres", "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint");
        Spent { cpu: self.cpu(), log: log.parse().expect("a number") }
    }

    /// CPU time of the server's processes, those that have ended included.
    fn cpu(&self) -> Duration {
        let postmaster = self.server.process();
        let processes = fs::read_dir("/proc").expect("Linux").flatten().map(|entry| entry.path());
        let ticks: u64 = processes.filter_map(|path| ticks(&path, postmaster)).sum();
        Duration::from_millis(ticks * 10)
    }

    /// What a contender's tables come to in the end: panics where more was granted than was paid.
    pub fn audit(&self, database: &str) -> String {
        let over = self.ask(
            database,
            "SELECT count(*) FROM orders o LEFT JOIN (SELECT order_id, sum(amount) AS held FROM refunds GROUP BY 1) r
                 ON r.order_id = o.id
             WHERE o.held <> coalesce(r.held, 0) OR o.refunded + o.held > o.paid",
        );
        assert_eq!(over, "0", "{database} has orders whose refunds do not add up");
        let told = self.ask(
            database,
            "SELECT (SELECT count(*) FROM refunds) || ' refunds held, ' ||
                 (SELECT count(*) FROM events WHERE type = 'refund_held') || ' events of them, ' ||
                 (SELECT max(n) FROM (SELECT count(*) AS n FROM refunds GROUP BY order_id) c) || ' of one order at most'",
        );
        format!("{database}: {told}, none above what was paid")
    }
}

/// The CPU time of one of the server's processes, in ticks of 10 ms.
fn ticks(process: &Path, postmaster: u32) -> Option<u64> {
    let stat = fs::read_to_string(PathBuf::from(process).join("stat")).ok()?;
    let (pid, rest) = stat.split_once(' ')?;
    // The name may hold anything but ends with the last parenthesis.
    let fields: Vec<&str> = rest.rsplit_once(") ")?.1.split(' ').collect();
    let field = |number: usize| fields.get(number).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    let (parent, own, ended) = (field(1), field(11) + field(12), field(13) + field(14));
    if pid == postmaster.to_string() {
        return Some(own + ended);
    }
    (parent == u64::from(postmaster)).then_some(own)
}
