//! The ledger that is measured: orders as an upstream tells them, and callers who hold refunds on them as a till does
//! without network. Nobody is ever asked over it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tillbook::clients::credential::StaticSecret;
use tillbook::clients::fubei::{FubeiGateway, FubeiSettings};
use tillbook::clients::http::HttpSettings;
use tillbook::domain::decide::{self, Context, Seen};
use tillbook::domain::{GatewayName, PaidAtSource, PaymentMethod, Rules};
use tillbook::storage::embedded::{Embedded, EmbeddedOptions};
use tillbook::storage::{Claims, Storage, Transaction};
use tillbook::{
    AccountName, AccountSettings, DeviceName, Facts, Ledger, Money, OrderId, OrderStatus, Reference, RefundRequest,
    Requested, Sending, Timestamp, Wanted,
};
use tokio::task::JoinSet;

use super::Turn;
use super::figures::Slice;
use crate::cli::exit::Failure;

/// A frame's bytes before its lines, by the journal's format, which is for ever.
const FRAME_HEADER: usize = 64;

/// How many orders are taken in with one write.
const PAGE: u64 = 100;

/// The merchant of the orders.
const MERCHANT: &str = "2099";

/// By which the n-th hold finds its order: a prime that divides no number of orders, so that each gets its share and
/// neighbours in time are none on disk.
const STRIDE: u64 = 7_919;

/// The ledger with its storage.
pub(super) struct Subject {
    ledger: Ledger,
    storage: Arc<Embedded>,
    account: AccountName,
    orders: AtomicU64,
    /// The number of the next hold.
    next: Arc<AtomicU64>,
}

impl Subject {
    /// Makes the ledger in a new directory, with one account whose upstream nobody can reach.
    pub(super) async fn open(directory: &Path) -> Result<Subject, Failure> {
        let device = DeviceName::new("bench").map_err(internal)?;
        let (path, options) = (directory.to_owned(), EmbeddedOptions::new(device.clone()));
        let opened = tokio::task::spawn_blocking(move || Embedded::open(&path, &options)).await.map_err(internal)?;
        let storage = Arc::new(opened?);
        let ledger = Ledger::builder().device(device).storage(storage.clone()).await?;
        let account = AccountName::new("bench").map_err(internal)?;
        // Held only, never sent.
        let nowhere = HttpSettings::new("http://127.0.0.1:9");
        let settings = FubeiSettings::new(nowhere, MERCHANT, Arc::new(StaticSecret::new("none")));
        let gateway = FubeiGateway::new(settings).map_err(internal)?;
        let no_limit = AccountSettings { refunds_per_order: Some(u32::MAX), ..AccountSettings::default() };
        ledger.connect(account.clone(), Arc::new(gateway), no_limit)?;
        Ok(Subject { ledger, storage, account, orders: AtomicU64::new(0), next: Arc::default() })
    }

    /// Takes so many orders in, and answers with the bytes of one hold in the journal.
    pub(super) async fn fill(&self, orders: u64) -> Result<usize, Failure> {
        for from in (0..orders).step_by(usize::try_from(PAGE).unwrap_or(1)) {
            let page = (from..orders.min(from + PAGE)).map(|number| self.take_in(number));
            let page = page.collect::<Result<Vec<_>, Failure>>()?;
            for taken in self.storage.transact_many(page).await? {
                taken.map_err(|refusal| Failure::of("internal", &refusal))?;
            }
        }
        self.orders.store(orders, Ordering::Relaxed);
        let before = *self.storage.newest().borrow();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        self.ledger.refund(request(&self.ledger, &self.account, first)?).await?;
        self.settle().await?;
        let lines = self.storage.lines(before, usize::MAX).await?;
        Ok(FRAME_HEADER + lines.iter().map(|line| line.len() + 1).sum::<usize>())
    }

    /// Has so many callers hold refunds for a turn, each one after the other. What the index still owes at its end is
    /// part of the turn.
    pub(super) async fn hold(&self, callers: usize, turn: Turn) -> Result<Slice, Failure> {
        let since = Instant::now();
        let begun = Arc::new(AtomicU64::new(0));
        let mut working = JoinSet::new();
        for _ in 0..callers {
            let (ledger, begun, next) = (self.ledger.clone(), Arc::clone(&begun), Arc::clone(&self.next));
            let (account, orders) = (self.account.clone(), self.orders.load(Ordering::Relaxed));
            working.spawn(async move {
                let mut waits = Vec::new();
                while turn.may_begin(begun.fetch_add(1, Ordering::Relaxed), waits.len()) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let request = request(&ledger, &account, at * STRIDE % orders)?;
                    let asked = Instant::now();
                    ledger.refund(request).await?;
                    waits.push(asked.elapsed());
                }
                Ok::<Vec<Duration>, Failure>(waits)
            });
        }
        let mut waits = Vec::new();
        while let Some(done) = working.join_next().await {
            waits.extend(done.map_err(internal)??);
        }
        self.settle().await?;
        Ok(Slice { waits, elapsed: since.elapsed() })
    }

    /// Closes the ledger, so that its files can be removed.
    pub(super) async fn close(self) -> Result<(), Failure> {
        Ok(self.ledger.close().await?)
    }

    /// Waits until the index has caught up: else the disk's next turn would pay for it.
    async fn settle(&self) -> Result<(), Failure> {
        let storage = Arc::clone(&self.storage);
        tokio::task::spawn_blocking(move || storage.wait_for_index()).await.map_err(internal)
    }

    /// The command that takes an order in.
    fn take_in(&self, number: u64) -> Result<Transaction, Failure> {
        let facts = facts(number)?;
        let order = OrderId::of_native(&facts.gateway, &facts.merchant, &order_sn(number)).map_err(internal)?;
        let (account, device, now) = (self.account.clone(), self.ledger.device().clone(), facts.asked_at);
        let context = Context { account: account.clone(), order: order.clone(), device, now, adopted_at: None };
        let claims = Claims { references: facts.all_references().collect(), refund_key: None };
        let seen = Seen { facts: Arc::new(facts), rules: Rules::default() };
        Ok(Transaction {
            order,
            account,
            claims,
            now,
            decide: Box::new(move |found| decide::facts(&context, found, &seen)),
        })
    }
}

/// A refund of one fen, as a till without network asks for it.
fn request(ledger: &Ledger, account: &AccountName, number: u64) -> Result<RefundRequest, Failure> {
    let order = Wanted::from(Reference::new("order_sn", &order_sn(number)).map_err(internal)?);
    let amount = Requested::Exactly(Money::from_fen(1).map_err(internal)?);
    let request = RefundRequest::new(account.clone(), order, amount, ledger.make_key());
    Ok(RefundRequest { by: Some("cashier-7".to_owned()), sending: Sending::QueueOnly, ..request })
}

/// The upstream's number of an order.
fn order_sn(number: u64) -> String {
    format!("2017060121534{number:07}")
}

/// An order of 80.00 yuan with what an upstream tells beside the money: about 1 KB as it is kept.
fn facts(number: u64) -> Result<Facts, Failure> {
    let now = Timestamp::from(jiff::Timestamp::now());
    let paid = Money::from_fen(8_000).map_err(internal)?;
    let native = Reference::new("order_sn", &order_sn(number)).map_err(internal)?;
    let references = [
        (native.kind.clone(), native.number.clone()),
        ("merchant_order_sn".to_owned(), format!("M20170601{number:010}")),
        ("platform_order_no".to_owned(), format!("42000000{number:020}")),
    ];
    let details = [
        ("body", "a cup of tea with milk, half the sugar, less ice, and a paper straw beside it"),
        ("attach", "table 12, window side; called twice; the guest waits outside with a small dog"),
        ("store_id", "25249"),
        ("cashier_id", "1007"),
        ("device_no", "P9-20170601-000000000042"),
        ("fee", "0.30"),
        ("net_money", "79.70"),
        ("discount_money", "20.00"),
        ("buyer_pay_amount", "80.00"),
        ("coupon", "a second cup at half price, on weekdays before noon, not with other offers"),
    ];
    let details = details.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
    Ok(Facts {
        gateway: GatewayName::new("fubei").map_err(internal)?,
        merchant: MERCHANT.to_owned(),
        native: Some(native),
        references: BTreeMap::from(references),
        status: OrderStatus::Paid,
        upstream_status: "SUCCESS".to_owned(),
        payment_method: Some(PaymentMethod::Wechat),
        currency: "CNY".to_owned(),
        total: Some(paid),
        paid,
        refunded: Some(Money::ZERO),
        refund_count: Some(0),
        upstream_refund_status: None,
        paid_at: Some(now),
        paid_at_source: PaidAtSource::Upstream,
        created_at: Some(now),
        updated_at: None,
        details: details.collect(),
        asked_at: now,
        upstream_time: None,
        body: None,
    })
}

/// What cannot happen with names and amounts of our own.
fn internal(error: impl std::error::Error) -> Failure {
    Failure::of("internal", &error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_about_a_thousand_bytes() {
        let Ok(facts) = facts(7) else { panic!("names and amounts of our own") };
        let bytes = serde_json::to_vec(&facts).expect("facts are JSON").len();
        assert!((900..1_300).contains(&bytes), "{bytes}");
    }
}
