//! Orders and refunds for the storage tests, made by the rules themselves.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tillbook::domain::decide::{self, Attempt, Context, RefundCommand, Repeat, Seen, Settle};
use tillbook::domain::{
    AccountName, Answer, DeviceName, Facts, GatewayName, Interval, Money, OrderId, OrderStatus, Outcome, PaidAtSource,
    PaymentMethod, Reference, RefundKey, Requested, Rules, Timestamp,
};
use tillbook::storage::embedded::{Embedded, EmbeddedOptions};
use tillbook::storage::{Adoption, Claims, Committed, Storage, TransactError, Transaction};

pub(crate) fn device() -> DeviceName {
    DeviceName::new("till-3").expect("valid")
}

pub(crate) fn account() -> AccountName {
    AccountName::new("shop-1").expect("valid")
}

pub(crate) fn key(name: &str) -> RefundKey {
    RefundKey::new(name).expect("valid")
}

pub(crate) fn fen(fen: i64) -> Money {
    Money::from_fen(fen).expect("valid")
}

/// So many seconds after the test's beginning of time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_496_325_236 + seconds).expect("in range")
}

/// The order with this number of the upstream's.
pub(crate) fn order(number: i64) -> OrderId {
    OrderId::of_native(&gateway(), "2099", &order_sn(number)).expect("valid")
}

pub(crate) fn order_sn(number: i64) -> String {
    format!("2017060{number:08}")
}

fn gateway() -> GatewayName {
    GatewayName::new("fubei").expect("valid")
}

fn native(number: i64) -> Reference {
    Reference::new("order_sn", &order_sn(number)).expect("valid")
}

/// What the upstream says of an order of 80.00 yuan, paid `number` seconds after the beginning of time.
pub(crate) fn facts(number: i64) -> Facts {
    let merchant_order_sn = format!("m-{number}");
    Facts {
        gateway: gateway(),
        merchant: "2099".to_owned(),
        native: Some(native(number)),
        references: BTreeMap::from([
            ("order_sn".to_owned(), order_sn(number)),
            ("merchant_order_sn".to_owned(), merchant_order_sn),
        ]),
        status: OrderStatus::Paid,
        upstream_status: "SUCCESS".to_owned(),
        payment_method: Some(PaymentMethod::Wechat),
        currency: "CNY".to_owned(),
        total: Some(fen(8000)),
        paid: fen(8000),
        refunded: Some(Money::ZERO),
        refund_count: Some(0),
        upstream_refund_status: None,
        paid_at: Some(at(number)),
        paid_at_source: PaidAtSource::Upstream,
        created_at: Some(at(number)),
        updated_at: None,
        details: BTreeMap::new(),
        asked_at: at(0),
        upstream_time: None,
        body: None,
    }
}

/// The same with a note of so many bytes.
pub(crate) fn big(number: i64, bytes: usize) -> Facts {
    let mut facts = facts(number);
    facts.details.insert("note".to_owned(), "n".repeat(bytes).into());
    facts
}

fn rules() -> Rules {
    Rules { refund_interval: Interval::Fixed(Duration::ZERO), ..Rules::default() }
}

fn context(order: &OrderId) -> Context {
    Context { account: account(), order: order.clone(), device: device(), now: at(0), adopted_at: None }
}

fn transaction(order: &OrderId, claims: Claims, decide: tillbook::storage::Decide) -> Transaction {
    Transaction { order: order.clone(), account: account(), claims, now: at(0), decide }
}

/// Takes facts in.
pub(crate) fn see(facts: Facts) -> Transaction {
    let native = facts.native.as_ref().expect("facts of an upstream");
    let order = OrderId::of_native(&facts.gateway, &facts.merchant, &native.number).expect("valid");
    let claims = Claims { references: facts.all_references().collect(), refund_key: None };
    let (context, seen) = (context(&order), Seen { facts: Arc::new(facts), rules: rules() });
    transaction(&order, claims, Box::new(move |found| decide::facts(&context, found, &seen)))
}

/// Holds an amount for a refund.
pub(crate) fn hold(order: &OrderId, name: &str, amount: i64) -> Transaction {
    refund(order, refund_command(name, amount))
}

fn refund_command(name: &str, amount: i64) -> RefundCommand {
    RefundCommand {
        key: key(name),
        requested: Requested::Exactly(fen(amount)),
        memo: None,
        by: None,
        expect_refundable: None,
        repeat: Repeat::Allowed,
        fresh: None,
        rules: rules(),
    }
}

fn refund(order: &OrderId, command: RefundCommand) -> Transaction {
    let claims = Claims { references: Vec::new(), refund_key: Some(command.key.clone()) };
    let context = context(order);
    transaction(order, claims, Box::new(move |found| decide::refund(&context, found, &command)))
}

/// Refunds at once: facts that say something new, a hold and an attempt in one write.
pub(crate) fn refund_now(number: i64, name: &str, amount: i64) -> Transaction {
    let order = order(number);
    let mut facts = facts(number);
    facts.upstream_refund_status = Some("asked again".to_owned());
    let command =
        RefundCommand { fresh: Some(Seen { facts: Arc::new(facts), rules: rules() }), ..refund_command(name, amount) };
    refund(&order, command)
}

/// Begins an attempt at a queued refund of an order.
pub(crate) fn begin(number: i64, name: &str) -> Transaction {
    let (order, facts) = (order(number), facts(number));
    let command = Attempt { key: key(name), fresh: Seen { facts: Arc::new(facts), rules: rules() } };
    let context = context(&order);
    transaction(&order, Claims::default(), Box::new(move |found| decide::attempt(&context, found, &command)))
}

/// Records what the first attempt told.
pub(crate) fn settle(order: &OrderId, name: &str, outcome: Outcome) -> Transaction {
    let answer = Answer::new(outcome, at(1));
    let settle = Settle { key: key(name), attempt: 1, answer, rules: rules() };
    let context = context(order);
    transaction(order, Claims::default(), Box::new(move |found| decide::answer(&context, found, &settle)))
}

/// Reads a crash while sending as what it is.
pub(crate) fn lost(order: &OrderId, name: &str) -> Transaction {
    let (context, key) = (context(order), key(name));
    transaction(order, Claims::default(), Box::new(move |found| decide::lost(&context, found, &key)))
}

/// Takes in an order that must be new.
pub(crate) async fn add(storage: &dyn Storage, number: i64) -> Committed {
    must(storage, see(facts(number))).await
}

/// A write that has to succeed.
pub(crate) async fn must(storage: &dyn Storage, transaction: Transaction) -> Committed {
    storage.transact(transaction).await.expect("the command is in order")
}

/// What a write was refused or failed with, in words.
pub(crate) async fn refused(storage: &dyn Storage, transaction: Transaction) -> String {
    match storage.transact(transaction).await {
        Ok(committed) => panic!("written: {committed:?}"),
        Err(TransactError::Refused(refusal)) => refusal.to_string(),
        Err(TransactError::Storage(error)) => panic!("failed: {error}"),
    }
}

/// Small segments, so that tests see many of them.
pub(crate) fn options() -> EmbeddedOptions {
    let mut options = EmbeddedOptions::new(device());
    options.cache_bytes = Some(4 << 20);
    options.segment_bytes = 64 << 10;
    // The storage before may be giving its lock back still.
    options.lock_wait = Duration::from_secs(10);
    options
}

pub(crate) fn open(directory: &Path) -> Embedded {
    Embedded::open(directory, &options()).expect("the ledger opens")
}

/// A copy of a ledger, adopted: it goes on as if it were the original.
pub(crate) async fn open_copy(directory: &Path) -> Embedded {
    let ledger = open(directory);
    assert!(ledger.quarantine().is_some(), "it is no copy");
    let adoption = Adoption { transactions: Vec::new(), cursor: ("adopted".to_owned(), "by a test".to_owned()) };
    ledger.adopt(adoption).await.expect("adopted");
    ledger
}
