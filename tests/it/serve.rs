//! Beside a running till, from within: what clients hear, and what clients that misbehave cannot do.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tillbook::sandbox::{Fault, FaultKind, Operation, Upstream};
use tillbook::serve::{Client, Failed};
use tillbook::{AccountSettings, Error, Ledger, RecordOrder, RefundState, Refunded};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::support::shop::{Shop, account, key, wanted, yuan};

const PATIENCE: Duration = Duration::from_secs(30);

/// A shop that answers others, until it is told to stop.
struct Served {
    shop: Shop,
    stop: Arc<Notify>,
    serving: JoinHandle<()>,
}

impl Served {
    async fn open(upstream: Upstream) -> Served {
        let shop = Shop::open(upstream).await;
        let server = shop.ledger.listen(shop.dir.path()).await.expect("listens");
        let stop = Arc::new(Notify::new());
        let told = stop.clone();
        let serving = tokio::spawn(async move { server.answer(told.notified()).await });
        Served { shop, stop, serving }
    }

    async fn client(&self) -> Client {
        Client::connect(self.shop.dir.path(), PATIENCE).await.expect("ours").expect("somebody answers")
    }

    async fn raw(&self) -> BufReader<UnixStream> {
        BufReader::new(UnixStream::connect(self.shop.dir.path().join("SOCKET")).await.expect("connects"))
    }

    async fn stopped(self) -> Shop {
        self.stop.notify_one();
        self.serving.await.expect("ends well");
        self.shop
    }
}

async fn line(stream: &mut BufReader<UnixStream>) -> Value {
    let mut line = String::new();
    stream.read_line(&mut line).await.expect("read");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

/// What an answer and an error say, so that two ways to them can be compared.
fn words(answer: Result<Refunded, Failed>) -> Result<(Value, u64, bool, Option<String>), Failed> {
    let Refunded { refund, order, replayed, waiting } = answer?;
    Ok((serde_json::to_value(refund).expect("serializable"), order.version, replayed, waiting))
}

fn alone(answer: Result<Refunded, Error>) -> Result<Refunded, Failed> {
    answer.map_err(|error| Failed::from(&error))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_hears_what_the_ledgers_own_caller_hears() {
    let till = Served::open(Upstream::Fubei).await;
    let shop = &till.shop;
    let order = shop.order("80.00");
    let fetched = till.client().await.fetch(&account(), &wanted(&order)).await.expect("fetched");
    assert_eq!(*fetched, *shop.record(&order).await);
    let asked = shop.request(&order, "k", "12.50");
    let beside = till.client().await.refund(asked.clone()).await.expect("refunded");
    assert_eq!((beside.refund.state, &*beside.order), (RefundState::Succeeded, &*shop.record(&order).await));
    for request in [asked, shop.request(&order, "k", "13"), shop.request(&order, "more", "67.51")] {
        let beside = till.client().await.refund(request.clone()).await;
        assert_eq!(words(beside), words(alone(shop.ledger.refund(request).await)));
    }
    let beside = till.client().await.cancel(&account(), &key("k"), None).await;
    assert_eq!(words(beside), words(alone(shop.ledger.cancel(&account(), &key("k"), None).await)));
    let nothing = RecordOrder { account: account(), references: vec![], paid: yuan("1"), paid_at: None, by: None };
    let refused = till.client().await.record_order(nothing).await.expect_err("no reference");
    assert_eq!(refused.kind, "malformed");
    let report = till.client().await.sync(&tillbook::SyncOptions::default()).await.expect("synced");
    assert_eq!(report.accounts.keys().collect::<Vec<_>>(), [&account()]);
    assert!(till.client().await.make_key().as_str().starts_with("till-"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_above_the_limit_is_approved_from_beside() {
    let till = Served::open(Upstream::Fubei).await;
    till.shop.connect(AccountSettings { hold_above: Some(yuan("50")), ..AccountSettings::default() });
    let order = till.shop.order("80.00");
    let held = till.client().await.refund(till.shop.request(&order, "k", "60")).await.expect("held");
    assert_eq!((held.refund.state, held.refund.awaits_approval), (RefundState::Queued, true));
    let approved = till.client().await.approve(&account(), &key("k"), "boss".to_owned()).await.expect("approved");
    assert_eq!(approved.refund.approved_by.as_deref(), Some("boss"));
    till.shop.sync().await;
    assert_eq!(till.shop.money_out(&order), yuan("60"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_half_lines_and_crowds_of_silent_clients_hold_up_nobody() {
    let till = Served::open(Upstream::Fubei).await;
    let order = till.shop.order("80.00");
    for (garbage, kind) in [
        ("GET / HTTP/1.1\n".to_owned(), "malformed"),
        (json!({"protocol": 1, "request": {"obey": {}}}).to_string() + "\n", "malformed"),
        (json!({"protocol": 2, "request": {"sync": {"accounts": null}}}).to_string() + "\n", "other_version"),
        (" ".repeat(100_000) + "{}\n", "malformed"),
        (
            json!({"protocol": 1, "request": {"fetch": {"account": "shop-1", "order": {"kind": null, "number": ""}}}})
                .to_string()
                + "\n",
            "malformed",
        ),
    ] {
        let mut client = till.raw().await;
        assert_eq!(line(&mut client).await["protocol"], 1);
        // The till may have answered and hung up before it was told all.
        let _ = client.write_all(garbage.as_bytes()).await;
        assert_eq!(line(&mut client).await["failed"]["kind"], kind, "{}", &garbage[..garbage.len().min(80)]);
    }
    let mut crowd = Vec::new();
    for number in 0..200 {
        let mut client = till.raw().await;
        line(&mut client).await;
        if number % 2 == 0 {
            client.write_all(b"{\"protocol\":1,").await.expect("half a line");
        }
        crowd.push(client);
        if number % 50 == 49 {
            let amount = till.client().await.refund(till.shop.request(&order, &format!("k-{number}"), "1")).await;
            assert_eq!(amount.expect("refunded").refund.state, RefundState::Succeeded);
        }
    }
    assert_eq!(line(&mut crowd[0]).await["failed"]["kind"], "busy", "the oldest gave way");
    drop(crowd);
    assert_eq!(till.shop.money_out(&order), yuan("4"));
    till.stopped().await.ledger.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_at_once_are_each_answered_and_the_cap_holds() {
    let till = Arc::new(Served::open(Upstream::Fubei).await);
    let order = till.shop.order("80.00");
    let asked = (0..200).map(|number| {
        let (till, request) = (till.clone(), till.shop.request(&order, &format!("k-{number}"), "1"));
        tokio::spawn(async move { till.client().await.refund(request).await })
    });
    let mut ends = std::collections::BTreeMap::new();
    for asked in asked.collect::<Vec<_>>() {
        let end = match asked.await.expect("no panic") {
            Ok(refunded) => refunded.refund.state.as_str().to_owned(),
            Err(failed) => failed.kind,
        };
        *ends.entry(end).or_insert(0) += 1;
    }
    // Fubei allows ten refunds of one order.
    assert_eq!(ends.values().sum::<i32>(), 200);
    assert_eq!((ends.remove("succeeded"), ends.remove("too_many_refunds")), (Some(10), Some(190)), "{ends:?}");
    assert_eq!(till.shop.money_out(&order), yuan("10"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_after_asking_changes_nothing_about_the_refund() {
    let till = Served::open(Upstream::Fubei).await;
    let order = till.shop.order("80.00");
    till.shop.fetch(&order).await;
    let slow = Fault::new(Operation::FubeiRefund, FaultKind::DelayBefore(Duration::from_millis(300)));
    till.shop.sandbox.set_fault(slow).expect("set");
    let mut client = till.raw().await;
    line(&mut client).await;
    let asked = json!({"protocol": 1, "request": {"refund": till.shop.request(&order, "k", "5")}});
    client.write_all(format!("{asked}\n").as_bytes()).await.expect("asked");
    drop(client);
    till.shop.sandbox.until(|books| books.total_money_out_fen() == 500).await;
    // Stopping waits for what was asked, also where nobody hears the answer.
    let shop = till.stopped().await;
    shop.ledger.close().await.expect("closes");
    assert_eq!(shop.reopen().await.state(&order, "k").await, RefundState::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_has_one_server_and_none_after_it_is_told_to_stop() {
    let till = Served::open(Upstream::Hydrogen).await;
    let second = till.shop.ledger.listen(till.shop.dir.path()).await.expect_err("one is enough");
    assert_eq!(second.kind(), "io");
    let said = Failed::from(&second).message;
    assert!(said.ends_with(&format!("process {} answers there already", std::process::id())), "{said}");
    let mut waiting = till.raw().await;
    line(&mut waiting).await;
    let shop = till.stopped().await;
    assert_eq!(line(&mut waiting).await["failed"]["kind"], "busy", "who has not asked yet is told");
    assert!(Client::connect(shop.dir.path(), PATIENCE).await.expect("looked").is_none());
    shop.ledger.serve(shop.dir.path(), async {}).await.expect("serves again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_tells_another_version_and_a_till_that_died_under_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let listener = UnixListener::bind(dir.path().join("SOCKET")).expect("binds");
    let says = async |words: Option<&str>| {
        let (stream, _) = listener.accept().await.expect("a client");
        let mut stream = BufReader::new(stream);
        if let Some(words) = words {
            stream.write_all(words.as_bytes()).await.expect("said");
            stream.read_line(&mut String::new()).await.expect("heard");
        }
    };
    let connect = async |dir: &Path| Client::connect(dir, PATIENCE).await;
    let (client, ()) = tokio::join!(connect(dir.path()), says(None));
    assert!(client.expect("looked").is_none(), "nothing was asked of one that did not greet");
    let (client, ()) = tokio::join!(connect(dir.path()), says(Some("{\"protocol\":2,\"news\":true}\n")));
    assert_eq!(client.expect_err("refused").kind, "other_version");
    let greeting = "{\"protocol\":1,\"device\":\"till-3\",\"process\":7}\n";
    let cancel = async {
        let client = connect(dir.path()).await.expect("greeted").expect("there");
        client.cancel(&account(), &key("k"), None).await
    };
    let (answer, ()) = tokio::join!(cancel, says(Some(greeting)));
    let failed = answer.expect_err("no answer");
    assert_eq!((failed.kind.as_str(), &failed.facts["process"]), ("unanswered", &json!(7)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_in_a_deep_directory_is_served_like_any_other() {
    let root = tempfile::tempdir().expect("a directory");
    let deep = root.path().join("a".repeat(100)).join("b".repeat(100));
    let ledger = Ledger::builder().open(&deep).await.expect("opens");
    let server = ledger.listen(&deep).await.expect("listens");
    let serving = tokio::spawn(server.answer(std::future::pending()));
    let client = Client::connect(&deep, PATIENCE).await.expect("ours").expect("answers");
    let refused = client.cancel(&account(), &key("k"), None).await.expect_err("an empty ledger");
    assert_eq!(refused.kind, "unknown_refund");
    serving.abort();
    assert!(serving.await.expect_err("aborted").is_cancelled());
    assert!(!deep.join("SOCKET").exists(), "a server that is dropped takes its socket away");
}
