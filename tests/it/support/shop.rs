//! A shop: a ledger on disk with one account, over a real wire to the sandbox.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tillbook::clients::credential::StaticSecret;
use tillbook::clients::fubei;
use tillbook::clients::http::HttpSettings;
use tillbook::gateway::Gateway;
use tillbook::sandbox::{Credentials, NewOrder, OrderHandle, Sandbox, Upstream};
use tillbook::{
    AccountName, AccountSettings, Error, Ledger, Money, OrderRecord, RefundKey, RefundRequest, RefundState, Refunded,
    Repeat, Requested, Sending, SyncOptions, SyncReport, Wanted,
};

use super::gateways::gateway_over;
pub(crate) use super::gateways::{UPSTREAMS, refund_of};

pub(crate) struct Shop {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) upstream: Upstream,
    pub(crate) ledger: Ledger,
    pub(crate) dir: Arc<TempDir>,
}

impl Shop {
    pub(crate) async fn open(upstream: Upstream) -> Shop {
        let sandbox = Arc::new(Sandbox::start().await.expect("the sandbox listens"));
        let dir = Arc::new(tempfile::tempdir().expect("a directory"));
        let ledger = Ledger::builder().open(dir.path()).await.expect("opens");
        let shop = Shop { sandbox, upstream, ledger, dir };
        shop.connect(at_once());
        shop
    }

    pub(crate) fn connect(&self, settings: AccountSettings) {
        self.ledger.connect(account(), gateway(&self.sandbox, self.upstream), settings).expect("connects");
    }

    /// The same shop after its process has ended and begun again.
    pub(crate) async fn reopen(self) -> Shop {
        self.ledger.close().await.expect("closes");
        let Shop { sandbox, upstream, ledger, dir } = self;
        drop(ledger);
        let ledger = Ledger::builder().open(dir.path()).await.expect("opens again");
        let shop = Shop { sandbox, upstream, ledger, dir };
        shop.connect(at_once());
        shop
    }

    pub(crate) fn order(&self, paid: &str) -> OrderHandle {
        let order = NewOrder::paid(yuan(paid).fen());
        self.sandbox.add_order(self.upstream, order).expect("the sandbox takes it")
    }

    pub(crate) fn request(&self, order: &OrderHandle, name: &str, amount: &str) -> RefundRequest {
        RefundRequest {
            account: account(),
            order: wanted(order),
            requested: if amount == "all" { Requested::All } else { Requested::Exactly(yuan(amount)) },
            key: key(name),
            memo: None,
            by: None,
            expect_refundable: None,
            repeat: Repeat::Allowed,
            sending: Sending::Now,
        }
    }

    pub(crate) async fn refund(&self, order: &OrderHandle, name: &str, amount: &str) -> Result<Refunded, Error> {
        self.ledger.refund(self.request(order, name, amount)).await
    }

    pub(crate) async fn record(&self, order: &OrderHandle) -> Arc<OrderRecord> {
        self.ledger.known_order(&account(), &wanted(order)).await.expect("reads").expect("known here")
    }

    pub(crate) async fn fetch(&self, order: &OrderHandle) -> Arc<OrderRecord> {
        self.ledger.fetch(&account(), &wanted(order)).await.expect("fetched")
    }

    pub(crate) async fn state(&self, order: &OrderHandle, name: &str) -> RefundState {
        self.record(order).await.refund(&key(name)).expect("there").state
    }

    pub(crate) async fn sync(&self) -> SyncReport {
        self.ledger.sync(&SyncOptions::default(), &|_| ()).await.expect("syncs")
    }

    /// What the sandbox paid out for the order.
    pub(crate) fn money_out(&self, order: &OrderHandle) -> Money {
        let fen = self.sandbox.books().money_out_fen(self.upstream, &order.id).expect("the sandbox's own order");
        Money::from_fen(fen).expect("never negative")
    }
}

/// No wait between refunds, and none between calls that is worth a test's time.
pub(crate) fn at_once() -> AccountSettings {
    let calls_per_minute = Some(60_000);
    AccountSettings { refund_interval: Some(Duration::ZERO), calls_per_minute, ..AccountSettings::default() }
}

/// The adapter for that upstream, with the sandbox's credentials of this moment.
pub(crate) fn gateway(sandbox: &Sandbox, upstream: Upstream) -> Arc<dyn Gateway> {
    gateway_within(sandbox, upstream, Duration::from_millis(1500))
}

/// The same, which waits so long for an answer.
pub(crate) fn gateway_within(sandbox: &Sandbox, upstream: Upstream, timeout: Duration) -> Arc<dyn Gateway> {
    let http = HttpSettings { timeout, connect_timeout: timeout / 3, ..HttpSettings::new(sandbox.base_url()) };
    gateway_over(http, sandbox.credentials(), upstream)
}

/// Fubei at that address, with the credentials that every new sandbox knows.
pub(crate) fn fubei_at(base_url: &str) -> Arc<dyn Gateway> {
    let known = Credentials::default();
    let secret = Arc::new(StaticSecret::new(known.fubei_secret));
    let settings = fubei::FubeiSettings::new(HttpSettings::new(base_url), known.fubei_app_id, secret);
    Arc::new(fubei::FubeiGateway::new(settings).expect("usable settings"))
}

pub(crate) fn account() -> AccountName {
    AccountName::new("shop-1").expect("a name")
}

pub(crate) fn key(text: &str) -> RefundKey {
    RefundKey::new(text).expect("a key")
}

pub(crate) fn yuan(text: &str) -> Money {
    text.parse().expect("an amount")
}

pub(crate) fn wanted(order: &OrderHandle) -> Wanted {
    order.id.parse().expect("a number")
}
