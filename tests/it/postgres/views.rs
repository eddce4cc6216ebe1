//! The views for people say what the ledger says.

use std::time::Duration;

use tillbook::domain::Outcome;
use tillbook::storage::conformance::{self, shop};
use tillbook::storage::postgres::{Postgres, PostgresOptions};
use tillbook::storage::{OrderQuery, Page, Storage};

use super::server::{Server, server};

/// All rows of a question, each as one text.
async fn rows(server: &Server, question: &str) -> Vec<String> {
    let (person, connection) = server.connect("ledger").await;
    let carrier = tokio::spawn(connection);
    let rows = person.query(&format!("SELECT v::text FROM ({question}) AS v"), &[]).await.expect(question);
    drop(person);
    carrier.await.expect("no panic").expect("it ends in order");
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_views_say_what_the_ledger_says() {
    let Some(server) = server("the_views_say_what_the_ledger_says") else { return };
    let url = server.database("ledger").await;
    // Over at once: whoever sends is gone in the eyes of all others.
    let options = PostgresOptions { lease: Duration::ZERO, ..PostgresOptions::new(conformance::device()) };
    let storage = Postgres::open(&url, &options).await.expect("opens");
    for number in 1..=5 {
        storage.transact(shop::see(shop::facts(number))).await.expect("added");
        storage.transact(shop::hold(&shop::order(number), &format!("k-{number}"), 100 * number)).await.expect("held");
    }
    for (number, outcome) in [(1, Outcome::Succeeded), (2, Outcome::InDoubt)] {
        storage.transact(shop::begin(number, &format!("k-{number}"))).await.expect("begun");
        let settled = shop::settle(&shop::order(number), &format!("k-{number}"), outcome);
        storage.transact(settled).await.expect("settled");
    }
    storage.transact(shop::begin(3, "k-3")).await.expect("begun");

    let page = Page { after: None, limit: 10 };
    let all = storage.scan(&OrderQuery::default(), &page).await.expect("read").orders;
    let mut said: Vec<String> = all
        .iter()
        .map(|order| {
            format!("({},{},{},{})", order.id, order.refunded().fen(), order.held().fen(), order.refundable().fen())
        })
        .collect();
    said.sort();
    let seen = rows(&server, "SELECT id, refunded, held, refundable FROM orders_refundable ORDER BY id").await;
    assert_eq!(seen.iter().map(|row| row.replace('"', "")).collect::<Vec<_>>(), said);

    let by_day = rows(&server, "SELECT state, refunds, amount, yuan FROM refunds_by_day ORDER BY state").await;
    assert_eq!(
        by_day,
        ["(in_doubt,1,200,2.00)", "(queued,2,900,9.00)", "(sending,1,300,3.00)", "(succeeded,1,100,1.00)"]
    );

    let to_look_at = rows(&server, "SELECT key, why FROM refunds_to_look_at ORDER BY key").await;
    assert_eq!(to_look_at, ["(k-2,\"nobody knows whether it was paid\")", "(k-3,\"whoever sent it is gone\")"]);
    storage.close().await.expect("closes");
}
