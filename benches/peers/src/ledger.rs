//! The ledger as a contender: its public handle, with all its rules.

use std::path::Path;
use std::sync::Arc;

use tillbook::domain::{Answer, Facts, Finding, GatewayName};
use tillbook::gateway::{
    Capabilities, Checked, Gateway, OrderFilter, OrderPage, PageAt, ReadError, ReadErrorKind, RefundCall,
};
use tillbook::storage::Storage;
use tillbook::storage::embedded::{Embedded, EmbeddedOptions, Profile};
use tillbook::{
    AccountName, AccountSettings, Error, Ledger, Money, OrderQuery, Page, RefundKey, RefundRequest, Rejection,
    Requested, Sending, Wanted,
};

use crate::contender::{BoxFuture, Contender};
use crate::workload::{self, Hold};

/// The ledger over its embedded storage.
pub struct Tillbook {
    ledger: Ledger,
    storage: Arc<Embedded>,
    account: AccountName,
}

impl Tillbook {
    /// Opens the directory, or begins anew there.
    pub async fn open(directory: &Path, profile: Profile) -> Tillbook {
        let mut options = EmbeddedOptions::new("till-3".parse().expect("a name"));
        options.profile = profile;
        let storage = tokio::task::block_in_place(|| Embedded::open(directory, &options)).expect("opens");
        let storage = Arc::new(storage);
        let builder = Ledger::builder().device(options.device.clone());
        let ledger = builder.storage(Arc::clone(&storage) as Arc<dyn Storage>).await.expect("opens");
        let account = connect(&ledger);
        Tillbook { ledger, storage, account }
    }

    /// Ends in order: what is opened next need not read the journal.
    pub async fn close(&self) {
        self.ledger.close().await.expect("closes");
    }
}

/// The shop of the work, with a gateway that reaches nobody.
pub fn connect(ledger: &Ledger) -> AccountName {
    let account: AccountName = "shop-1".parse().expect("a name");
    ledger.connect(account.clone(), Arc::new(Nobody), AccountSettings::default()).expect("connects");
    account
}

/// Takes a page of new orders in.
pub async fn import(ledger: &Ledger, account: &AccountName, page: Vec<u64>) {
    let length = page.len() as u64;
    let page = page.into_iter().map(workload::facts).collect();
    let imported = ledger.import(account, page).await.expect("imported");
    assert_eq!(imported.new, length, "{imported:?}");
}

/// Holds a refund; tells whether it was granted.
pub async fn hold(ledger: &Ledger, account: &AccountName, hold: Hold) -> bool {
    let amount = Requested::Exactly(Money::from_fen(hold.amount_fen).expect("an amount"));
    let wanted = Wanted { kind: Some("order_sn".to_owned()), number: hold.number };
    let key = RefundKey::new(&hold.key).expect("a key");
    let request =
        RefundRequest { sending: Sending::QueueOnly, ..RefundRequest::new(account.clone(), wanted, amount, key) };
    match ledger.refund(request).await {
        Ok(held) => !held.replayed,
        Err(Error::Rejected(Rejection::OverRefundable { .. })) => false,
        Err(error) => panic!("{error:?}"),
    }
}

impl Contender for Tillbook {
    fn import(&self, page: Vec<u64>) -> BoxFuture<'_, ()> {
        Box::pin(import(&self.ledger, &self.account, page))
    }

    fn hold(&self, refund: Hold) -> BoxFuture<'_, bool> {
        Box::pin(hold(&self.ledger, &self.account, refund))
    }

    fn lookup<'a>(&'a self, number: &'a str) -> BoxFuture<'a, Option<i64>> {
        Box::pin(async move {
            let wanted = Wanted { kind: None, number: number.to_owned() };
            let order = self.ledger.known_order(&self.account, &wanted).await.expect("read");
            order.map(|order| order.paid().fen())
        })
    }

    fn day(&self, from_us: i64, to_us: i64) -> BoxFuture<'_, u64> {
        Box::pin(async move {
            let query = OrderQuery {
                from: Some(workload::timestamp(from_us)),
                to: Some(workload::timestamp(to_us)),
                ..OrderQuery::default()
            };
            let mut page = Page { limit: 1_000, ..Page::default() };
            let mut orders = 0;
            loop {
                let read = self.ledger.orders(&query, &page).await.expect("read");
                orders += read.orders.len() as u64;
                match read.next {
                    Some(next) => page.after = Some(next),
                    None => return orders,
                }
            }
        })
    }

    fn settle(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move { tokio::task::block_in_place(|| self.storage.wait_for_index()) })
    }
}

/// No network: what is held waits in the queue.
struct Nobody;

fn nobody() -> ReadError {
    ReadError::new(ReadErrorKind::Unreachable, "there is no network in a bench")
}

impl Gateway for Nobody {
    fn name(&self) -> GatewayName {
        GatewayName::new("fubei").expect("a name")
    }

    fn merchant(&self) -> Option<String> {
        Some("20170601215348".to_owned())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            refunds: true,
            lists_orders: false,
            lists_by_time: false,
            lists_every_order: false,
            client_refund_number: true,
            totals_count_pending: false,
            fence: false,
            lists_refunds: false,
            fetch_by: &["order_sn", "merchant_order_sn", "channel_order_sn"],
            refund_window: None,
            refunds_per_order: None,
            calls_per_minute: None,
        }
    }

    fn fetch_order<'a>(&'a self, _: &'a [tillbook::Reference]) -> BoxFuture<'a, Result<Option<Facts>, ReadError>> {
        Box::pin(std::future::ready(Err(nobody())))
    }

    fn list_orders<'a>(&'a self, _: &'a OrderFilter, _: PageAt) -> BoxFuture<'a, Result<OrderPage, ReadError>> {
        Box::pin(std::future::ready(Err(nobody())))
    }

    fn refund<'a>(&'a self, _: &'a RefundCall) -> BoxFuture<'a, Answer> {
        unreachable!("a queued refund is sent by a sync, and nothing syncs here")
    }

    fn probe<'a>(&'a self, _: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>> {
        Box::pin(std::future::ready(Err(nobody())))
    }

    fn check(&self) -> BoxFuture<'_, Result<Checked, ReadError>> {
        Box::pin(std::future::ready(Err(nobody())))
    }
}
