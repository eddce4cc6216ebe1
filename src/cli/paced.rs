//! A gateway that asks no more often than an account's `rate_per_second` allows.

use std::sync::Arc;
use std::time::Duration;

use tillbook::domain::{Answer, Facts, Finding, GatewayName, Reference};
use tillbook::gateway::{
    BoxFuture, Capabilities, Checked, Gateway, OrderFilter, OrderPage, PageAt, ReadError, RefundCall, RefundPage,
    RefundSpan,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// A gateway at a pace. Calls wait for their turn in the order in which they came; none is dropped or repeated.
///
/// # Units
/// A turn is one question to the upstream as the ledger asks it; some gateways make two requests of one.
pub(crate) struct Paced {
    gateway: Arc<dyn Gateway>,
    between: Duration,
    next: Mutex<Option<Instant>>,
}

impl Paced {
    /// At most `rate` turns a second.
    pub(crate) fn new(gateway: Arc<dyn Gateway>, rate_per_second: u32) -> Paced {
        Paced { gateway, between: Duration::from_secs(1) / rate_per_second.max(1), next: Mutex::new(None) }
    }

    async fn turn(&self) {
        let at = {
            let mut next = self.next.lock().await;
            let at = next.unwrap_or_else(Instant::now).max(Instant::now());
            *next = Some(at + self.between);
            at
        };
        sleep_until(at).await;
    }
}

impl Gateway for Paced {
    fn name(&self) -> GatewayName {
        self.gateway.name()
    }

    fn merchant(&self) -> Option<String> {
        self.gateway.merchant()
    }

    fn capabilities(&self) -> Capabilities {
        self.gateway.capabilities()
    }

    fn fetch_order<'a>(&'a self, wanted: &'a [Reference]) -> BoxFuture<'a, Result<Option<Facts>, ReadError>> {
        Box::pin(async move {
            self.turn().await;
            self.gateway.fetch_order(wanted).await
        })
    }

    fn list_orders<'a>(&'a self, wanted: &'a OrderFilter, page: PageAt) -> BoxFuture<'a, Result<OrderPage, ReadError>> {
        Box::pin(async move {
            self.turn().await;
            self.gateway.list_orders(wanted, page).await
        })
    }

    fn refund<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            self.turn().await;
            self.gateway.refund(call).await
        })
    }

    fn probe<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>> {
        Box::pin(async move {
            self.turn().await;
            self.gateway.probe(call).await
        })
    }

    fn fence<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>> {
        Box::pin(async move {
            self.turn().await;
            self.gateway.fence(call).await
        })
    }

    fn list_refunds<'a>(&'a self, span: RefundSpan, page: PageAt) -> BoxFuture<'a, Result<RefundPage, ReadError>> {
        Box::pin(async move {
            self.turn().await;
            self.gateway.list_refunds(span, page).await
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<Checked, ReadError>> {
        Box::pin(async move {
            self.turn().await;
            self.gateway.check().await
        })
    }
}
