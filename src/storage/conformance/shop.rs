//! The orders of a small shop and the commands on them, made by the ledger's own rules: what the facts write.
//!
//! What must never be here: a storage. All times are given, so that two storages can be handed the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::fact::Stop;
use crate::domain::decide::{
    self, Attempt, Context, Found, RecordOffline, RefundCommand, Refusal, Repeat, Seen, Settle,
};
use crate::domain::{
    AccountName, Answer, DeviceName, Entry, Event, Facts, GatewayName, Interval, Money, OrderId, OrderStatus, Outcome,
    PaidAtSource, PaymentMethod, Reference, RefundKey, Requested, Rules, Timestamp,
};
use crate::storage::{Claims, Committed, Storage, TransactError, Transaction};

/// The device whose name all entries must bear: what a storage under test is made with.
#[must_use]
pub fn device() -> DeviceName {
    DeviceName::new("till-3").expect("a plain name")
}

/// The shop's account.
#[must_use]
pub fn account() -> AccountName {
    AccountName::new("shop-1").expect("a plain name")
}

/// A refund key of that name, of plain characters.
#[must_use]
pub fn key(name: &str) -> RefundKey {
    RefundKey::new(name).expect("plain names are keys")
}

/// So many fen, not negative.
#[must_use]
pub fn fen(fen: i64) -> Money {
    Money::from_fen(fen).expect("small amounts of no sign are money")
}

/// So many seconds after the shop's beginning of time.
#[must_use]
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_496_325_236 + seconds).expect("some years around 2017 are in range")
}

/// The order with this number of the upstream's.
#[must_use]
pub fn order(number: i64) -> OrderId {
    OrderId::of_native(&gateway(), "2099", &order_sn(number)).expect("plain numbers name orders")
}

/// The upstream's number of it.
#[must_use]
pub fn order_sn(number: i64) -> String {
    format!("2017060{number:08}")
}

fn gateway() -> GatewayName {
    GatewayName::new("fubei").expect("a plain name")
}

fn reference(kind: &str, number: &str) -> Reference {
    Reference::new(kind, number).expect("plain words are references")
}

/// What the upstream says of an order of 80.00 yuan, paid `number` seconds after the beginning of time.
#[must_use]
pub fn facts(number: i64) -> Facts {
    let merchant_order_sn = format!("m-{number}");
    Facts {
        gateway: gateway(),
        merchant: "2099".to_owned(),
        native: Some(reference("order_sn", &order_sn(number))),
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
#[must_use]
pub fn big(number: i64, bytes: usize) -> Facts {
    let mut facts = facts(number);
    facts.details.insert("note".to_owned(), "n".repeat(bytes).into());
    facts
}

/// The rules of the account: none that makes a refund wait.
#[must_use]
pub fn rules() -> Rules {
    Rules { refund_interval: Interval::Fixed(Duration::ZERO), ..Rules::default() }
}

/// The facts with the rules.
#[must_use]
pub fn seen(facts: Facts) -> Seen {
    Seen { facts: Arc::new(facts), rules: rules() }
}

/// A transaction of the shop's account at a time.
#[must_use]
pub fn transaction(
    order: &OrderId,
    now: Timestamp,
    claims: Claims,
    mut rule: impl FnMut(&Context, &Found) -> Result<Vec<Event>, Refusal> + Send + 'static,
) -> Transaction {
    let context = Context { account: account(), order: order.clone(), device: device(), now, adopted_at: None };
    let decide = Box::new(move |found: &Found| rule(&context, found));
    Transaction { order: order.clone(), account: account(), claims, now, decide }
}

/// Takes facts in.
#[must_use]
pub fn see(facts: Facts) -> Transaction {
    let native = facts.native.as_ref().map_or("none", |native| &native.number);
    let order = OrderId::of_native(&facts.gateway, &facts.merchant, native).expect("plain numbers name orders");
    let claims = Claims { references: facts.all_references().collect(), refund_key: None };
    let seen = seen(facts);
    transaction(&order, at(0), claims, move |context, found| decide::facts(context, found, &seen))
}

/// Records an order that a device was paid for offline, under a name of the device's own, with a receipt's number.
#[must_use]
pub fn record(name: &str, receipt: &str) -> Transaction {
    let order = OrderId::new(format!("offline:{name}")).expect("plain names name orders");
    let receipt = reference("merchant_order_sn", receipt);
    let references = BTreeMap::from([(receipt.kind.clone(), receipt.number.clone())]);
    let facts = Facts { native: None, references, paid_at_source: PaidAtSource::Device, ..facts(0) };
    let command = RecordOffline { facts, by: None };
    let claims = Claims { references: vec![receipt], refund_key: None };
    transaction(&order, at(0), claims, move |context, found| decide::record_offline(context, found, &command))
}

/// Holds an amount for a refund.
#[must_use]
pub fn hold(order: &OrderId, name: &str, amount: i64) -> Transaction {
    refund(order, refund_command(name, Requested::Exactly(fen(amount))))
}

/// A refund as a till asks for it.
#[must_use]
pub fn refund_command(name: &str, requested: Requested) -> RefundCommand {
    RefundCommand {
        key: key(name),
        requested,
        memo: None,
        by: None,
        expect_refundable: None,
        repeat: Repeat::Allowed,
        fresh: None,
        rules: rules(),
    }
}

/// Asks for a refund.
#[must_use]
pub fn refund(order: &OrderId, command: RefundCommand) -> Transaction {
    refund_at(order, at(0), command)
}

/// Asks for a refund at a time, from which on it is due.
#[must_use]
pub fn refund_at(order: &OrderId, now: Timestamp, command: RefundCommand) -> Transaction {
    let claims = Claims { references: Vec::new(), refund_key: Some(command.key.clone()) };
    transaction(order, now, claims, move |context, found| decide::refund(context, found, &command))
}

/// Refunds at once: facts that say something new, a hold and an attempt in one write.
#[must_use]
pub fn refund_now(number: i64, name: &str, amount: i64) -> Transaction {
    let mut facts = facts(number);
    facts.upstream_refund_status = Some("asked again".to_owned());
    let command = refund_command(name, Requested::Exactly(fen(amount)));
    refund(&order(number), RefundCommand { fresh: Some(seen(facts)), ..command })
}

/// Begins an attempt at a queued refund of an order.
#[must_use]
pub fn begin(number: i64, name: &str) -> Transaction {
    let command = Attempt { key: key(name), fresh: seen(facts(number)) };
    transaction(&order(number), at(0), Claims::default(), move |context, found| {
        decide::attempt(context, found, &command)
    })
}

/// Records what the first attempt told.
#[must_use]
pub fn settle(order: &OrderId, name: &str, outcome: Outcome) -> Transaction {
    let settle = Settle { key: key(name), attempt: 1, answer: Answer::new(outcome, at(1)), rules: rules() };
    transaction(order, at(0), Claims::default(), move |context, found| decide::answer(context, found, &settle))
}

/// Reads a crash while sending as what it is.
#[must_use]
pub fn lost(order: &OrderId, name: &str) -> Transaction {
    let key = key(name);
    transaction(order, at(0), Claims::default(), move |context, found| decide::lost(context, found, &key, None))
}

/// Takes in an order that must be new.
pub(super) async fn add(storage: &dyn Storage, number: i64) -> Result<Committed, Stop> {
    must(storage, see(facts(number))).await
}

/// A write that has to succeed.
pub(super) async fn must(storage: &dyn Storage, transaction: Transaction) -> Result<Committed, Stop> {
    Ok(storage.transact(transaction).await?)
}

/// What a write was refused with, in words.
pub(super) async fn refused(storage: &dyn Storage, transaction: Transaction) -> Result<String, Stop> {
    match storage.transact(transaction).await {
        Ok(committed) => Err(Stop::wrong(format!("what must be refused was answered with {:?}", committed.entries))),
        Err(TransactError::Refused(refusal)) => Ok(refusal.to_string()),
        Err(TransactError::Storage(error)) => Err(error.into()),
    }
}

/// The whole history.
pub(super) async fn all_events(storage: &dyn Storage) -> Result<Vec<Arc<Entry>>, Stop> {
    Ok(storage.events(0, usize::MAX).await?)
}

/// The record of the shop's order of that number once its facts were seen, for tests of what is made of records.
#[cfg(test)]
pub(crate) fn first_record(number: i64) -> crate::domain::OrderRecord {
    let event = Event::FactsSeen { facts: Arc::new(facts(number)), external: Money::ZERO, unsettled: Money::ZERO };
    let (order, account, device) = (order(number), account(), device());
    let entry = Entry { sequence: 1, order, account, version: 1, at: at(0), device, event };
    crate::domain::OrderRecord::apply(None, &entry, crate::domain::ChainHash::START).expect("a first event")
}
