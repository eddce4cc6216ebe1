//! A till killed at random while it refunds over a real wire: the sandbox, which lives on, is the judge.

#![expect(clippy::print_stdout, reason = "the child tells its parent what was acknowledged")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use tillbook::sandbox::{NewOrder, OrderHandle, Sandbox, Upstream};
use tillbook::{AccountSettings, Error, Ledger, Money, RefundRequest, RefundState, Rejection, Requested, Wanted};

use crate::support::kill::{ACKNOWLEDGED, Random, run_and_kill};
use crate::support::say;
use crate::support::shop::{account, fubei_at, key};

/// Where the child finds the ledger, the upstream and the orders; without it the child's test does nothing.
const CHILD: &str = "TILLBOOK_TILL_CHILD";
const URL: &str = "TILLBOOK_TILL_URL";
const ORDERS: &str = "TILLBOOK_TILL_ORDERS";

/// The test that the child runs.
const TILL: &str = "ledger_kill::till_that_refunds_until_it_is_killed";

/// Enough for all lives of a till, at ten refunds an order.
const STOCK: usize = 400;

/// How often one till is killed.
const LIVES: u64 = 5;

async fn open(directory: &Path, url: &str) -> Ledger {
    let builder = Ledger::builder().lock_wait(Duration::from_secs(10));
    let ledger = builder.open(directory).await.expect("opens");
    let settings = AccountSettings { refund_interval: Some(Duration::ZERO), ..AccountSettings::default() };
    ledger.connect(account(), fubei_at(url), settings).expect("connects");
    ledger
}

/// Not a test of its own: what the child of the test below does until it is killed.
#[test]
fn till_that_refunds_until_it_is_killed() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let url = std::env::var(URL).expect("the upstream's address");
    let orders: Vec<String> = std::env::var(ORDERS).expect("orders").split(',').map(str::to_owned).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("starts");
    runtime.block_on(async {
        let ledger = open(Path::new(&directory), &url).await;
        let tasks: Vec<_> = orders
            .chunks(orders.len() / 8)
            .map(|mine| {
                let (ledger, mine) = (ledger.clone(), mine.to_vec());
                tokio::spawn(async move {
                    for order in mine {
                        let order: Wanted = order.parse().expect("a number");
                        while refund_one(&ledger, &order).await {}
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("refunds until it is killed");
        }
    });
}

/// Refunds a fen; `false`: the order has had all the refunds that Fubei allows.
async fn refund_one(ledger: &Ledger, order: &Wanted) -> bool {
    let amount = Requested::Exactly(Money::from_fen(1).expect("valid"));
    let request = RefundRequest::new(account(), order.clone(), amount, ledger.make_key());
    match ledger.refund(request).await {
        Ok(refunded) => {
            assert_eq!(refunded.refund.state, RefundState::Succeeded);
            println!("{ACKNOWLEDGED}{}", refunded.refund.key);
            true
        }
        Err(Error::Rejected(Rejection::TooManyRefunds { .. })) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn whatever_moment_a_till_is_killed_at_each_refund_went_out_once_or_is_held_in_doubt() {
    let kills = if std::env::var_os("TILLBOOK_LONG").is_some() { 1_000 } else { 30 };
    let mut random = Random::of_this_run();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("starts");
    let mut acknowledged = 0;
    for _till in 0..kills / LIVES {
        let (sandbox, orders) = runtime.block_on(stocked());
        let directory = tempfile::tempdir().expect("a temporary directory");
        let numbers = orders.iter().map(|order| order.id.as_str()).collect::<Vec<_>>().join(",");
        let url = sandbox.base_url();
        let mut keys = BTreeSet::new();
        for _life in 0..LIVES {
            let variables =
                [(CHILD, directory.path().as_os_str()), (URL, OsStr::new(&url)), (ORDERS, OsStr::new(&numbers))];
            keys.extend(run_and_kill(TILL, &variables, random.moment()));
            runtime.block_on(agrees(directory.path(), &sandbox, &orders, &keys));
        }
        acknowledged += keys.len();
    }
    say(&format!("{kills} kills under refund load, {acknowledged} acknowledged refunds looked for, 0 violations"));
    assert!(acknowledged > 100, "only {acknowledged} refunds were acknowledged: the kills came too early");
}

async fn stocked() -> (Sandbox, Vec<OrderHandle>) {
    let sandbox = Sandbox::start().await.expect("listens");
    let orders =
        (0..STOCK).map(|_| sandbox.add_order(Upstream::Fubei, NewOrder::paid(100_000)).expect("added")).collect();
    (sandbox, orders)
}

/// The ledger that the till left, held against the sandbox's books.
async fn agrees(directory: &Path, sandbox: &Sandbox, orders: &[OrderHandle], acknowledged: &BTreeSet<String>) {
    let ledger = open(directory, &sandbox.base_url()).await;
    let books = sandbox.books();
    let mut here = BTreeSet::new();
    for order in orders {
        let wanted: Wanted = order.id.parse().expect("a number");
        let Some(record) = ledger.known_order(&account(), &wanted).await.expect("reads") else { continue };
        for refund in &record.refunds {
            here.insert(refund.key.to_string());
            let executed = books.by_client_no(refund.key.as_str()).len();
            match refund.state {
                RefundState::Succeeded => assert_eq!(executed, 1, "{}", refund.key),
                // Being sent, or accepted and not asked about yet, when the till died: held, whatever became of it.
                RefundState::InDoubt | RefundState::Accepted => assert!(executed <= 1, "{}", refund.key),
                other => panic!("refund {} is {other}", refund.key),
            }
        }
        let book = books.order(Upstream::Fubei, &order.id).expect("the sandbox's own order");
        assert!(
            record.refunded().saturating_add(record.held()).fen() >= book.money_out_fen,
            "{}: money out unseen",
            order.id
        );
    }
    let gone: Vec<_> = acknowledged.difference(&here).collect();
    assert!(gone.is_empty(), "acknowledged and gone: {gone:?}");
    for name in acknowledged {
        assert_eq!(books.by_client_no(key(name).as_str()).len(), 1, "{name} was acknowledged as done");
    }
    assert!(books.overpaid().is_empty());
    assert_eq!(ledger.verify().await.expect("reads").differences, []);
    ledger.close().await.expect("closes");
}
