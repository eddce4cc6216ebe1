//! Answers kept as they came (`keep_bodies`): with which commands they come, what they hold that nothing else does, and
//! that they are nowhere but where they were asked for.

use std::path::Path;

use serde_json::Value;
use tillbook::sandbox::Upstream;
use tillbook::{AccountSettings, Body, Error, Rejection};

use crate::support::shop::{Shop, UPSTREAMS, account, at_once, wanted};

fn keeping() -> AccountSettings {
    AccountSettings { keep_bodies: Some(true), ..at_once() }
}

/// What only the upstream's own answer says of an order: a field that facts leave behind.
fn of_the_payer(upstream: Upstream) -> &'static str {
    match upstream {
        Upstream::Fubei => "\"user_id\"",
        Upstream::TradeOrder => "\"userId\"",
        Upstream::Hydrogen => "\"ip_address\"",
    }
}

fn text(body: &Body) -> &str {
    std::str::from_utf8(body.expose()).expect("an answer is text")
}

/// Whether a text lies in any file under a directory.
fn holds(directory: &Path, text: &str) -> bool {
    std::fs::read_dir(directory).expect("readable").any(|entry| {
        let path = entry.expect("readable").path();
        match path.is_dir() {
            true => holds(&path, text),
            false => std::fs::read(&path).is_ok_and(|bytes| bytes.windows(text.len()).any(|at| at == text.as_bytes())),
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_kept_as_it_came_and_lies_nowhere_else() {
    for upstream in UPSTREAMS {
        let shop = Shop::open(upstream).await;
        shop.connect(keeping());
        let order = shop.order("80.00");
        let record = shop.fetch(&order).await;
        let body = shop.ledger.body(&account(), &wanted(&order)).await.expect("readable").expect("kept");
        let answer: Value = serde_json::from_slice(body.expose()).expect("JSON as it came");
        assert!(answer.is_object() && text(&body).contains(&order.id), "{upstream}: {}", text(&body));
        let payers = of_the_payer(upstream);
        assert!(text(&body).contains(payers), "{upstream}: {}", text(&body));

        let shown = format!("{record:?} {body:?} {}", serde_json::to_string(&*record).expect("JSON"));
        assert!(!shown.contains(payers), "{upstream}");
        assert_eq!(record.facts.body, None, "{upstream}: it is no part of the record");
        let events = shop.ledger.events(0, 100).await.expect("readable");
        assert!(!events.is_empty() && !format!("{events:?}").contains(payers), "{upstream}");
        // A refund's fresh facts bring a newer one.
        shop.refund(&order, "part", "12.50").await.expect("refunded");
        shop.refund(&order, "more", "10").await.expect("refunded");
        let newer = shop.ledger.body(&account(), &wanted(&order)).await.expect("readable").expect("kept");
        if upstream != Upstream::Fubei {
            assert_ne!(newer, body, "{upstream}: the total of refunds is in it");
        }
        shop.ledger.close().await.expect("closed");
        assert!(!holds(&shop.dir.path().join("journal"), payers), "{upstream}");
        assert!(holds(shop.dir.path(), payers), "{upstream}: not even the index has it: the test proves nothing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_list_the_order_s_own_row_is_kept() {
    for upstream in UPSTREAMS {
        let shop = Shop::open(upstream).await;
        shop.connect(keeping());
        let orders = [shop.order("80.00"), shop.order("70.00"), shop.order("60.00")];
        shop.sync().await;
        for order in &orders {
            let body = shop.ledger.body(&account(), &wanted(order)).await.expect("readable").expect("kept");
            let others = orders.iter().filter(|other| other.id != order.id);
            assert!(text(&body).contains(&order.id), "{upstream}");
            assert!(others.clone().all(|other| !text(&body).contains(&other.id)), "{upstream}: {}", text(&body));
            let _: Value = serde_json::from_slice(body.expose()).expect("JSON as it came");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_kept_unless_it_is_asked_for_and_what_was_kept_stays_until_it_is_forgotten() {
    let shop = Shop::open(Upstream::TradeOrder).await;
    let (order, other) = (shop.order("80.00"), shop.order("70.00"));
    shop.fetch(&order).await;
    assert_eq!(shop.ledger.body(&account(), &wanted(&order)).await.expect("readable"), None);

    shop.connect(keeping());
    shop.fetch(&order).await;
    let kept = shop.ledger.body(&account(), &wanted(&order)).await.expect("readable");
    assert!(kept.is_some());
    // Reopening connects without the setting.
    let shop = shop.reopen().await;
    shop.refund(&order, "part", "10").await.expect("refunded");
    shop.fetch(&order).await;
    shop.fetch(&other).await;
    assert_eq!(shop.ledger.body(&account(), &wanted(&order)).await.expect("readable"), kept, "the old one stays");
    assert_eq!(shop.ledger.body(&account(), &wanted(&other)).await.expect("readable"), None);

    let forgotten = shop.ledger.forget(&account(), &wanted(&order)).await.expect("erased");
    assert_eq!(
        (forgotten.order, forgotten.bytes),
        (shop.record(&order).await.id.clone(), kept.map(|b| b.size_bytes()))
    );
    assert_eq!(shop.ledger.body(&account(), &wanted(&order)).await.expect("readable"), None);
    assert_eq!(shop.ledger.forget(&account(), &wanted(&order)).await.expect("nothing to erase").bytes, None);
    let unknown = shop.ledger.forget(&account(), &"none".parse().expect("a number")).await;
    assert!(matches!(unknown, Err(Error::Rejected(Rejection::UnknownOrder { .. }))), "{unknown:?}");
    assert_eq!(shop.ledger.verify().await.expect("checked").differences, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_above_the_limit_is_not_kept_and_the_facts_are() {
    let shop = Shop::open(Upstream::TradeOrder).await;
    shop.connect(keeping());
    let order = shop.order("80.00");
    let mut facts = shop.fetch(&order).await.facts.as_ref().clone();
    for (bytes, kept) in [(Body::LIMIT_BYTES, true), (Body::LIMIT_BYTES + 1, false)] {
        shop.ledger.forget(&account(), &wanted(&order)).await.expect("erased");
        facts.body = Some(Body::new(vec![b'x'; bytes]));
        let imported = shop.ledger.import(&account(), vec![facts.clone()]).await.expect("taken in");
        assert_eq!(imported.refused, []);
        let found = shop.ledger.body(&account(), &wanted(&order)).await.expect("readable");
        assert_eq!(found.map(|body| body.size_bytes()), kept.then_some(bytes));
    }
}
