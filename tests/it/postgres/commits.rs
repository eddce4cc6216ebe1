//! The ids of commits: kept for as long as a lost answer can be asked for, and no longer.

use std::time::{Duration, Instant};

use tillbook::storage::conformance::shop;
use tillbook::storage::postgres::Postgres;
use tillbook::storage::{Storage, TransactError};

use super::load::at_rest;
use super::options;
use super::server::{Server, server};
use super::wire::{Break, Wire};

/// Ids of commits that were made so many minutes ago.
async fn note(server: &Server, count: u32, minutes: u32) {
    let at = format!("now() - interval '{minutes} minutes'");
    let sql = format!("INSERT INTO commits SELECT gen_random_uuid(), {at} FROM generate_series(1, {count})");
    server.run("ledger", &sql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ids_of_commits_go_when_nobody_can_ask_for_them_any_more() {
    let Some(server) = server("ids_of_commits_go_when_nobody_can_ask_for_them_any_more") else { return };
    let url = server.database("ledger").await;
    Postgres::open(&url, &options()).await.expect("opens").close().await.expect("closes");
    note(&server, 25_000, 16).await;
    note(&server, 3, 14).await;
    let one = Postgres::open(&url, &options()).await.expect("opens");
    let other = Postgres::open(&url, &options()).await.expect("opens");
    let (person, connection) = server.connect("ledger").await;
    drop(tokio::spawn(connection));
    let (since, left) = (Instant::now(), "SELECT count(*) FROM commits");
    while person.query_one(left, &[]).await.expect("counted").get::<_, i64>(0) > 3 {
        assert!(since.elapsed() < Duration::from_secs(60), "they stay");
        tokio::task::yield_now().await;
    }
    // Those that can still be asked for stay, and so does what is written now.
    one.transact(shop::see(shop::facts(1))).await.expect("added");
    other.transact(shop::hold(&shop::order(1), "a", 100)).await.expect("held");
    assert_eq!(person.query_one(left, &[]).await.expect("counted").get::<_, i64>(0), 5);
}

/// A process that slept between its commit and the question what became of it: on a server whose clock is ten minutes
/// further whenever it is looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_asks_too_late_what_became_of_a_commit_is_told_that_it_is_not_known() {
    let name = "who_asks_too_late_what_became_of_a_commit_is_told_that_it_is_not_known";
    let Some(server) = server(name) else { return };
    server.database("ledger").await;
    let wire = Wire::to(server.socket()).await;
    let url = format!("{}?options=-c%20search_path%3Dpublic,pg_catalog", wire.url("ledger"));
    let storage = Postgres::open(&url, &options()).await.expect("opens");
    storage.transact(shop::see(shop::facts(1))).await.expect("added");
    server
        .run(
            "ledger",
            "CREATE SEQUENCE looks; CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
             $$ SELECT pg_catalog.clock_timestamp() + nextval('looks') * interval '10 minutes' $$",
        )
        .await;
    // Statements are planned anew on a connection of their own.
    server
        .run("ledger", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tillbook'")
        .await;
    storage.transact(shop::hold(&shop::order(1), "a", 100)).await.expect("nothing is lost, nothing is asked");
    wire.break_at(Break::BeforeCommit);
    let told = storage.transact(shop::hold(&shop::order(1), "b", 100)).await.expect_err("ten minutes went by");
    assert_eq!(wire.broken(), 1);
    let TransactError::Storage(error) = told else { panic!("{told}") };
    assert!(error.to_string().contains("whether it was written is not known"), "{error}");
    assert!(!error.is_final(), "the next one may go on");
    // Asked for again by its key, it is made: once.
    for _ in 0..2 {
        storage.transact(shop::hold(&shop::order(1), "b", 100)).await.expect("granted, or told again");
    }
    at_rest(&storage, 2).await;
}
