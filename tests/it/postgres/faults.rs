//! What goes wrong between a ledger and its server, for real: each time nothing is granted twice, nothing that was
//! acknowledged is lost, and what the tables hold is what the events say.

use std::sync::Arc;

use tillbook::storage::conformance::shop;
use tillbook::storage::postgres::Postgres;
use tillbook::storage::{Storage, StorageError, TransactError};

use super::load::{ASKED, GRANTED, Load, at_rest};
use super::options;
use super::server::server;
use super::wire::{Break, Wire};
use crate::support::say;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_that_never_arrived_is_made_and_one_whose_answer_was_lost_is_not_made_again() {
    let name = "a_commit_that_never_arrived_is_made_and_one_whose_answer_was_lost_is_not_made_again";
    let Some(server) = server(name) else { return };
    server.database("ledger").await;
    let wire = Wire::to(server.socket()).await;
    let storage = Postgres::open(&wire.url("ledger"), &options()).await.expect("opens");
    storage.transact(shop::see(shop::facts(1))).await.expect("added");
    let mut events = 1;
    for turn in 0..20 {
        let place = if turn % 2 == 0 { Break::BeforeCommit } else { Break::AfterCommit };
        wire.break_at(place);
        let key = format!("k-{turn}");
        let committed = storage.transact(shop::hold(&shop::order(1), &key, 100)).await.expect("granted");
        assert_eq!(wire.broken(), turn + 1, "{place:?}: the wire did not break");
        events += 1;
        assert_eq!(committed.entries.len(), 1, "{place:?}");
        assert_eq!(committed.entries[0].sequence, events, "{place:?}: it was made twice, or not at all");
        assert_eq!(storage.events(0, 1_000).await.expect("read").len() as u64, events);
    }
    at_rest(&storage, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_killed_under_load_loses_nothing_that_was_acknowledged() {
    let name = "a_server_that_is_killed_under_load_loses_nothing_that_was_acknowledged";
    let Some(mut server) = server(name) else { return };
    let url = server.database("ledger").await;
    let load = Load::begin(&url).await;
    let mut newest = load.newest();
    for kill in 1..=5_u64 {
        // Some are committed since the last one, so that it is killed at work.
        newest.wait_for(|newest| *newest >= 4 + 40 * kill).await.expect("open");
        server.kill();
        server.go_on(&[]);
    }
    load.ends().await;
    say(&format!(
        "5 kills of the server under load: {ASKED} refunds asked for, {GRANTED} granted and found again, 0 over, 0 doubles"
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_that_is_ended_and_a_lock_that_is_held_are_waited_out() {
    let name = "a_connection_that_is_ended_and_a_lock_that_is_held_are_waited_out";
    let Some(server) = server(name) else { return };
    let url = server.database("ledger").await;
    let storage = Arc::new(Postgres::open(&url, &options()).await.expect("opens"));
    storage.transact(shop::see(shop::facts(1))).await.expect("added");
    let ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tillbook'";
    server.run("ledger", ours).await;
    storage.transact(shop::hold(&shop::order(1), "a", 100)).await.expect("by a connection of its own");
    // Somebody's report holds the orders for a while.
    let (person, connection) = server.connect("ledger").await;
    let carrier = tokio::spawn(connection);
    person.batch_execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.expect("locked");
    let waiting = tokio::spawn({
        let storage = Arc::clone(&storage);
        async move { storage.transact(shop::hold(&shop::order(1), "b", 100)).await }
    });
    let blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    while person.query_one(blocked, &[]).await.expect("read").get::<_, i64>(0) == 0 {
        tokio::task::yield_now().await;
    }
    person.batch_execute("COMMIT").await.expect("given back");
    waiting.await.expect("no panic").expect("granted");
    at_rest(&*storage, 2).await;
    drop(person);
    carrier.await.expect("no panic").expect("it ends in order");
}

/// What a server says that cannot serialize, found a deadlock, or has no room.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_server_takes_back_is_tried_again_and_a_full_one_says_so() {
    let name = "what_the_server_takes_back_is_tried_again_and_a_full_one_says_so";
    let Some(server) = server(name) else { return };
    let url = server.database("ledger").await;
    let storage = Postgres::open(&url, &options()).await.expect("opens");
    storage.transact(shop::see(shop::facts(1))).await.expect("added");
    // A sequence counts although its transaction is taken back.
    server
        .run(
            "ledger",
            "CREATE SEQUENCE fails; CREATE TABLE failing (code text);
             CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF nextval('fails') % 3 <> 0 OR (SELECT code FROM failing) = '53100' THEN
                     RAISE EXCEPTION 'so it goes' USING ERRCODE = (SELECT code FROM failing);
                 END IF;
                 RETURN NEW; END $$;
             CREATE TRIGGER fails BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION fail()",
        )
        .await;
    for (turn, code) in ["40001", "40P01"].into_iter().enumerate() {
        server.run("ledger", &format!("DELETE FROM failing; INSERT INTO failing VALUES ('{code}')")).await;
        let key = format!("k-{turn}");
        storage.transact(shop::hold(&shop::order(1), &key, 100)).await.expect("granted at the third try");
    }
    server.run("ledger", "DELETE FROM failing; INSERT INTO failing VALUES ('53100')").await;
    let full = storage.transact(shop::hold(&shop::order(1), "full", 100)).await.expect_err("no room");
    assert!(matches!(full, TransactError::Storage(StorageError::DiskFull { .. })), "{full}");
    server.run("ledger", "DROP TRIGGER fails ON events").await;
    storage.transact(shop::hold(&shop::order(1), "full", 100)).await.expect("there is room again");
    at_rest(&storage, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_order_whose_row_was_changed_by_hand_is_refused_and_the_others_go_on() {
    let name = "an_order_whose_row_was_changed_by_hand_is_refused_and_the_others_go_on";
    let Some(server) = server(name) else { return };
    let url = server.database("ledger").await;
    let storage = Postgres::open(&url, &options()).await.expect("opens");
    for number in 1..3 {
        storage.transact(shop::see(shop::facts(number))).await.expect("added");
    }
    let spoiled = format!("UPDATE orders SET record = '{{}}' WHERE id = '{}'", shop::order(1));
    server.run("ledger", &spoiled).await;
    let refused = storage.transact(shop::hold(&shop::order(1), "a", 100)).await.expect_err("nothing to decide on");
    assert!(refused.to_string().contains(&format!("the row of order {}", shop::order(1))), "{refused}");
    storage.transact(shop::hold(&shop::order(2), "b", 100)).await.expect("the other goes on");
    let report = storage.check().await.expect("read");
    let named: Vec<_> = report.differences.iter().map(|found| found.order.clone()).collect();
    assert_eq!(named, [Some(shop::order(1))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_attempt_is_lost_when_its_lease_is_over_and_not_before() {
    let name = "an_attempt_is_lost_when_its_lease_is_over_and_not_before";
    let Some(server) = server(name) else { return };
    let url = server.database("ledger").await;
    let one = Postgres::open(&url, &options()).await.expect("opens");
    let other = Postgres::open(&url, &options()).await.expect("opens");
    one.transact(shop::see(shop::facts(1))).await.expect("added");
    one.transact(shop::refund_now(1, "a", 100)).await.expect("begun");
    assert_eq!(other.lost_attempts(10).await.expect("read"), []);
    server.run("ledger", "UPDATE attempts SET lease_until = now() - interval '1 second'").await;
    let lost = other.lost_attempts(10).await.expect("read");
    assert_eq!(lost.iter().map(|lost| (lost.refund.key.as_str(), lost.attempt)).collect::<Vec<_>>(), [("a", Some(1))]);
    other.transact(shop::lost(&shop::order(1), "a")).await.expect("in doubt");
    assert_eq!(other.lost_attempts(10).await.expect("read"), []);
    // Nothing stale can be recorded.
    let late = one
        .transact(shop::settle(&shop::order(1), "a", tillbook::domain::Outcome::Succeeded))
        .await
        .expect_err("too late");
    assert!(matches!(late, TransactError::Refused(_)), "{late}");
    at_rest(&one, 1).await;
}
