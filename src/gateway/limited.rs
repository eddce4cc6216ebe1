//! A gateway at an account's pace: so many questions a minute, whoever asks them.
//!
//! Push, pull, probes and the till share one [`Limited`], so that together they keep to what the upstream
//! allows. What must never be here: repeating, dropping or reordering a question. Start reading at
//! [`Limited`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{
    BoxFuture, Capabilities, Checked, Gateway, OrderFilter, OrderPage, PageAt, ReadError, RefundCall, RefundPage,
    RefundSpan,
};
use crate::domain::{Answer, Facts, Finding, GatewayName, Reference};

/// How many questions may follow each other at once after a pause. A refund asks for facts, refunds and
/// asks what became of it: three, with one more for the background's question of the same moment.
const AT_ONCE: u32 = 4;

/// A gateway that asks no more often than agreed, and then in the order in which it was asked.
///
/// Lists, and everything that is asked [in the background](Limited::in_background), take at most half of
/// the turns, so that a customer's refund never waits behind a long list. A refund itself never waits:
/// its attempt is on disk by then, and a wait would be an amount in `sending` with nothing on its way.
/// Its turn is booked all the same, so that the next question waits for both. An attempt asks for facts
/// right before, and that question has waited.
///
/// # Units
/// A turn is one question as the ledger asks it; some gateways make two requests of one. After a pause up
/// to four questions go at once, so that a minute may see four more than the mean.
///
/// A bucket of our own rather than the crate `governor`: that one can neither book a turn without
/// waiting for it nor keep those who wait in order, and brings a clock that tests cannot stop.
#[derive(Clone)]
pub(crate) struct Limited {
    gateway: Arc<dyn Gateway>,
    pace: Arc<Pace>,
    asks: Asks,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    /// Somebody who waits for the answer.
    Now,
    /// Nobody waits: at most half of the turns.
    InBackground,
}

struct Pace {
    all: Bucket,
    background: Bucket,
}

impl Limited {
    /// At most `calls_per_minute` turns a minute, on the mean; zero is read as one.
    pub(crate) fn new(gateway: Arc<dyn Gateway>, calls_per_minute: u32) -> Limited {
        let between = Duration::from_secs(60) / calls_per_minute.max(1);
        let pace = Pace { all: Bucket::new(between, AT_ONCE), background: Bucket::new(between * 2, 1) };
        Limited { gateway, pace: Arc::new(pace), asks: Asks::Now }
    }

    /// The same gateway for those who have time: its questions share their half of the turns with lists.
    pub(crate) fn in_background(&self) -> Limited {
        Limited { asks: Asks::InBackground, ..self.clone() }
    }

    async fn turn(&self, asks: Asks) {
        if asks == Asks::InBackground {
            // Only then a turn of all: what waits here must not stand before a customer.
            sleep_until(self.pace.background.book()).await;
        }
        sleep_until(self.pace.all.book()).await;
    }
}

/// Turns at an even pace, some of them ahead of it after a pause.
struct Bucket {
    between: Duration,
    ahead: Duration,
    /// When the next turn comes if none goes ahead.
    next: Mutex<Option<Instant>>,
}

impl Bucket {
    fn new(between: Duration, at_once: u32) -> Bucket {
        Bucket { between, ahead: between * (at_once - 1), next: Mutex::new(None) }
    }

    /// Books a turn: when it may be used. One whose caller goes away is spent: the pace only gets slower.
    fn book(&self) -> Instant {
        let now = Instant::now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = next.map_or(now, |next| next.max(now));
        *next = Some(at + self.between);
        at.checked_sub(self.ahead).map_or(now, |at| at.max(now))
    }
}

impl Gateway for Limited {
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
            self.turn(self.asks).await;
            self.gateway.fetch_order(wanted).await
        })
    }

    fn list_orders<'a>(&'a self, wanted: &'a OrderFilter, page: PageAt) -> BoxFuture<'a, Result<OrderPage, ReadError>> {
        Box::pin(async move {
            self.turn(Asks::InBackground).await;
            self.gateway.list_orders(wanted, page).await
        })
    }

    fn refund<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            self.pace.all.book(); // not waited for: see above
            self.gateway.refund(call).await
        })
    }

    fn probe<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>> {
        Box::pin(async move {
            self.turn(self.asks).await;
            self.gateway.probe(call).await
        })
    }

    fn fence<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>> {
        Box::pin(async move {
            self.turn(self.asks).await;
            self.gateway.fence(call).await
        })
    }

    fn list_refunds<'a>(&'a self, span: RefundSpan, page: PageAt) -> BoxFuture<'a, Result<RefundPage, ReadError>> {
        Box::pin(async move {
            self.turn(Asks::InBackground).await;
            self.gateway.list_refunds(span, page).await
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<Checked, ReadError>> {
        Box::pin(async move {
            self.turn(self.asks).await;
            self.gateway.check().await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn turns_come_at_an_even_pace_and_some_ahead_of_it_after_a_pause() {
        let bucket = Bucket::new(SECOND, 3);
        let begun = Instant::now();
        let waits = |count: u32| -> Vec<u64> { (0..count).map(|_| (bucket.book() - begun).as_secs()).collect() };
        assert_eq!(waits(6), [0, 0, 0, 1, 2, 3]);
        tokio::time::advance(SECOND * 5).await;
        // Six turns are used up until the sixth second: one is left ahead, hence the two at once.
        assert_eq!(waits(3), [5, 5, 6]);
        tokio::time::advance(SECOND * 3600).await;
        assert_eq!(waits(4), [3605, 3605, 3605, 3606], "a long pause saves up no more than a short one");
    }
}
