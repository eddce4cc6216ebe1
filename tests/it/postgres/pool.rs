//! Connections that are all in use: who waits is told so in time, nothing is lost, and it goes on afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tillbook::storage::Storage;
use tillbook::storage::conformance::shop;
use tillbook::storage::postgres::{Postgres, PostgresOptions};

use super::load::at_rest;
use super::options;
use super::server::{Server, server};

/// A person's session that has what others wait for, until it is dropped.
struct Person {
    client: tokio_postgres::Client,
}

impl Person {
    async fn at(server: &Server, database: &str) -> Person {
        let (client, connection) = server.connect(database).await;
        // It ends with the client.
        drop(tokio::spawn(connection));
        Person { client }
    }

    async fn does(&self, statements: &str) {
        self.client.batch_execute(statements).await.expect(statements);
    }

    /// Waits until there are so many.
    async fn sees(&self, wanted: i64, what: &str) {
        let (since, sql) = (Instant::now(), format!("SELECT count(*) FROM {what}"));
        loop {
            let seen: i64 = self.client.query_one(&sql, &[]).await.expect(what).get(0);
            if seen == wanted {
                return;
            }
            assert!(since.elapsed() < Duration::from_secs(60), "{seen} and not {wanted}: {what}");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_that_finds_no_connection_free_says_so_and_commands_go_on() {
    let Some(server) = server("a_read_that_finds_no_connection_free_says_so_and_commands_go_on") else { return };
    let url = server.database("ledger").await;
    let wait = Duration::from_millis(300);
    let few = PostgresOptions { connections: 2, poll: Duration::from_secs(60), wait, ..options() };
    let storage = Arc::new(Postgres::open(&url, &few).await.expect("opens"));
    storage.transact(shop::see(shop::facts(1))).await.expect("added");
    // Reads of bodies wait for a person, and with them all the connections that there are.
    let person = Person::at(&server, "ledger").await;
    person.does("BEGIN; LOCK TABLE bodies IN ACCESS EXCLUSIVE MODE").await;
    let said = "could not read from the server: all 2 connections for reading were in use for 300ms";
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let storage = Arc::clone(&storage);
            tokio::spawn(async move {
                // On a busy machine it may take longer than is waited here until there is a second connection.
                loop {
                    match storage.body(&shop::order(1)).await {
                        Err(refused) if refused.to_string() == said => {}
                        answer => return answer,
                    }
                }
            })
        })
        .collect();
    person.sees(2, "pg_locks WHERE NOT granted").await;
    let asked = Instant::now();
    let refused = storage.get(&shop::order(1)).await.expect_err("no connection is free");
    assert_eq!(refused.to_string(), said);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    storage.transact(shop::hold(&shop::order(1), "a", 100)).await.expect("commands have their own connection");
    person.does("COMMIT").await;
    for read in waiting {
        assert_eq!(read.await.expect("no panic").expect("read"), None);
    }
    assert!(storage.get(&shop::order(1)).await.expect("read").is_some());
    at_rest(&*storage, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_without_a_free_connection_is_waited_for_and_a_command_is_made_once() {
    let name = "a_server_without_a_free_connection_is_waited_for_and_a_command_is_made_once";
    let Some(mut server) = server(name) else { return };
    let url = server.database("ledger").await;
    server.kill();
    server.go_on(&["max_connections=8", "superuser_reserved_connections=0"]);
    server.run("ledger", "SELECT 1").await;
    let few = PostgresOptions { connections: 1, poll: Duration::from_secs(60), ..options() };
    let storage = Arc::new(Postgres::open(&url, &few).await.expect("opens"));
    storage.transact(shop::see(shop::facts(1))).await.expect("added");
    let mut people = vec![Person::at(&server, "ledger").await];
    // The writer's connection is ended, and its place taken before it comes back.
    let ours = "pg_stat_activity WHERE application_name = 'tillbook'";
    people[0].does(&format!("SELECT pg_terminate_backend(pid) FROM {ours}")).await;
    people[0].sees(0, ours).await;
    while let Ok((client, connection)) = tokio_postgres::connect(&server.url("ledger"), tokio_postgres::NoTls).await {
        drop(tokio::spawn(connection));
        people.push(Person { client });
    }
    let holding = tokio::spawn({
        let storage = Arc::clone(&storage);
        async move { storage.transact(shop::hold(&shop::order(1), "a", 100)).await }
    });
    // It asks, and is turned away, for as long as this takes.
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(300) {
        assert!(!holding.is_finished(), "it was granted through no connection");
        tokio::task::yield_now().await;
    }
    people.truncate(1);
    let committed = holding.await.expect("no panic").expect("granted");
    assert_eq!(committed.entries.len(), 1);
    drop(people);
    at_rest(&*storage, 1).await;
}
