//! A ledger on a PostgreSQL server: the facts of a storage, several processes on it, and what goes wrong on the way.

mod cli;
mod commits;
mod failover;
mod faults;
mod following;
mod load;
mod matrix;
mod migrate;
mod paused;
mod plans;
mod pool;
mod server;
mod views;
mod wire;

use std::sync::Arc;

use tillbook::BoxFuture;
use tillbook::storage::conformance::{self, Bench, BenchError, Checked, FACTS, Seed, shop};
use tillbook::storage::memory::Memory;
use tillbook::storage::postgres::{Postgres, PostgresOptions};
use tillbook::storage::{Storage, StorageError};

use crate::support::say;
use server::{Server, server};

/// Makes ledgers, each in a database of its own.
struct OnServer<'a> {
    server: &'a Server,
    databases: u32,
    url: String,
    ledger: Option<Arc<Postgres>>,
}

fn options() -> PostgresOptions {
    PostgresOptions::new(conformance::device())
}

impl<'a> OnServer<'a> {
    fn new(server: &'a Server) -> OnServer<'a> {
        OnServer { server, databases: 0, url: String::new(), ledger: None }
    }

    async fn open(&mut self) -> Result<Arc<dyn Storage>, BenchError> {
        let ledger = Arc::new(Postgres::open(&self.url, &options()).await?);
        self.ledger = Some(Arc::clone(&ledger));
        Ok(ledger)
    }
}

impl Bench for OnServer<'_> {
    fn empty(&mut self) -> BoxFuture<'_, Result<Arc<dyn Storage>, BenchError>> {
        Box::pin(async move {
            if let Some(before) = self.ledger.take() {
                before.close().await?;
            }
            self.databases += 1;
            self.url = self.server.database(&format!("ledger_{}", self.databases)).await;
            self.open().await
        })
    }

    fn crash(&mut self) -> BoxFuture<'_, Result<Option<Arc<dyn Storage>>, BenchError>> {
        Box::pin(async move {
            self.ledger.take().ok_or("no ledger was made")?.abandon();
            self.open().await.map(Some)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_ledger_on_a_server_conforms() {
    let Some(server) = server("a_ledger_on_a_server_conforms") else { return };
    let mut bench = OnServer::new(&server);
    let (mut left_out, mut violations) = (Vec::new(), Vec::new());
    for fact in FACTS {
        match fact.check(&mut bench).await {
            Ok(Checked::Holds) => {}
            Ok(Checked::LeftOut(_)) => left_out.push(fact.name),
            Err(violation) => violations.push(violation.to_string()),
        }
    }
    assert_eq!(violations, Vec::<String>::new());
    assert_eq!(left_out, ["every_read_says_the_same_with_the_index_stalled_and_caught_up"]);
}

struct InMemory;

impl Bench for InMemory {
    fn empty(&mut self) -> BoxFuture<'_, Result<Arc<dyn Storage>, BenchError>> {
        Box::pin(async { Ok(Arc::new(Memory::new(conformance::device())) as Arc<dyn Storage>) })
    }

    fn crash(&mut self) -> BoxFuture<'_, Result<Option<Arc<dyn Storage>>, BenchError>> {
        Box::pin(async { Ok(None) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_random_commands_leave_the_same_history_on_a_server() {
    let Some(server) = server("the_same_random_commands_leave_the_same_history_on_a_server") else { return };
    let mut on_server = OnServer::new(&server);
    let seed = Seed::of_this_run();
    say(&format!("TILLBOOK_SEED={}", seed.0));
    let benches: &mut [&mut dyn Bench] = &mut [&mut InMemory, &mut on_server];
    let commands =
        conformance::same_commands(benches, seed, 400).await.unwrap_or_else(|violation| panic!("{violation}"));
    assert!(commands > 300, "{commands} commands are too few to compare");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tables_of_a_newer_version_and_a_server_that_keeps_no_commit_are_refused() {
    let name = "tables_of_a_newer_version_and_a_server_that_keeps_no_commit_are_refused";
    let Some(mut server) = server(name) else { return };
    let url = server.database("ledger").await;
    Postgres::open(&url, &options()).await.expect("opens").close().await.expect("closes");
    server.run("ledger", "UPDATE schema_version SET version = 99").await;
    let newer = Postgres::open(&url, &options()).await.expect_err("a newer version's");
    assert!(matches!(newer, StorageError::NewerSchema { found: 99, .. }), "{newer}");
    server.run("ledger", "UPDATE schema_version SET version = 1").await;
    server.kill();
    server.go_on(&["fsync=off"]);
    server.run("ledger", "SELECT 1").await;
    let careless = Postgres::open(&url, &options()).await.expect_err("it keeps nothing");
    assert!(careless.to_string().contains("fsync = off"), "{careless}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_with_64_callers_each_never_grant_more_than_was_paid() {
    let name = "two_processes_with_64_callers_each_never_grant_more_than_was_paid";
    let Some(server) = server(name) else { return };
    let url = server.database("ledger").await;
    // Both begin at once: one of them makes the tables.
    let options = options();
    let (one, other) = tokio::join!(Postgres::open(&url, &options), Postgres::open(&url, &options));
    let processes: [Arc<dyn Storage>; 2] = [Arc::new(one.expect("opens")), Arc::new(other.expect("opens"))];
    for number in 0..4 {
        processes[0].transact(shop::see(shop::facts(number))).await.expect("added");
    }
    // 80.00 yuan each: of 256 refunds of 1.00 on an order, eighty fit.
    let mut callers = Vec::new();
    for caller in 0..128_i64 {
        let storage = Arc::clone(&processes[usize::try_from(caller % 2).expect("small")]);
        callers.push(tokio::spawn(async move {
            let mut granted = 0;
            for turn in 0..8 {
                let hold = shop::hold(&shop::order(turn % 4), &format!("k-{caller}-{turn}"), 100);
                granted += i64::from(storage.transact(hold).await.is_ok());
            }
            granted
        }));
    }
    let mut granted = 0;
    for caller in callers {
        granted += caller.await.expect("no caller panics");
    }
    assert_eq!(granted, 4 * 80);
    for storage in &processes {
        let report = storage.check().await.expect("read");
        assert_eq!(report.differences, []);
        assert_eq!((report.refunds, report.events), (320, 324));
        assert_eq!(Some(storage.state_hash().await.expect("read")), report.state);
    }
}
