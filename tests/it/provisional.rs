//! Orders recorded offline: their refunds go out only once the upstream has confirmed the order, by what it says was
//! paid; each through a restart.

use std::time::Duration;

use tillbook::domain::Rejection;
use tillbook::sandbox::{NewOrder, OrderHandle, Upstream};
use tillbook::{Error, Money, RecordOrder, Reference, Refund, RefundState};

use crate::support::life::Life;
use crate::support::shop::{UPSTREAMS, account, at_once, key, yuan};

const HOUR: Duration = Duration::from_secs(3_600);
const NUMBER: &str = "20990101120000000001";

/// The kind of number that a receipt of that upstream shows.
fn kind_of(upstream: Upstream) -> &'static str {
    match upstream {
        Upstream::Fubei => "order_sn",
        Upstream::TradeOrder => "tradeOrderId",
        Upstream::Hydrogen => "transaction_no",
    }
}

/// A till that recorded an order of 80.00 and a refund of it, and was restarted.
struct Recorded {
    life: Life,
    order: OrderHandle,
}

impl Recorded {
    async fn refund_of(upstream: Upstream, amount: &str) -> Recorded {
        let mut life = Life::begin(upstream, at_once(), Duration::from_secs(5)).await;
        let reference = Reference::new(kind_of(upstream), NUMBER).expect("a number");
        let order =
            RecordOrder { account: account(), references: vec![reference], paid: yuan("80"), paid_at: None, by: None };
        life.shop.ledger.record_order(order).await.expect("recorded");
        let id = NUMBER.to_owned();
        let order = OrderHandle { upstream, id, references: Default::default(), total_fen: 8_000, paid_fen: 8_000 };
        // The upstream answers that it does not know the order: the refund waits.
        let refunded = life.shop.refund(&order, "k", amount).await.expect("held");
        assert_eq!((refunded.refund.state, refunded.order.provisional), (RefundState::Queued, true), "{upstream}");
        life.shop.sync().await;
        life.kill().await;
        Recorded { life, order }
    }

    /// The upstream learns of the order, paid so much.
    async fn confirmed(&mut self, paid_fen: i64) {
        let (sandbox, upstream) = (&self.life.shop.sandbox, self.life.shop.upstream);
        let order = NewOrder::paid(paid_fen).reference(kind_of(upstream), NUMBER);
        sandbox.add_order(upstream, order).expect("a number of its own");
        self.life.shop.sync().await;
        self.life.kill().await;
        self.life.shop.sync().await;
    }

    async fn refund(&self) -> Refund {
        self.life.shop.record(&self.order).await.refund(&key("k")).expect("never lost").clone()
    }

    /// Refund calls, and money that went out.
    fn out(&self) -> (u64, i64) {
        let books = self.life.shop.sandbox.books();
        (books.calls.refunds, books.total_money_out_fen())
    }
}

#[tokio::test]
async fn an_order_confirmed_as_recorded_is_refunded_once() {
    for upstream in UPSTREAMS {
        let mut recorded = Recorded::refund_of(upstream, "30").await;
        recorded.confirmed(8_000).await;
        assert_eq!(recorded.refund().await.state, RefundState::Succeeded, "{upstream}");
        assert_eq!(recorded.out(), (1, 3_000), "{upstream}");
        let record = recorded.life.shop.fetch(&recorded.order).await;
        let amounts = (record.provisional, record.paid(), record.refunded(), record.held(), record.refundable());
        assert_eq!(amounts, (false, yuan("80"), yuan("30"), Money::ZERO, yuan("50")), "{upstream}");
        assert_eq!(recorded.life.shop.ledger.verify().await.expect("reads").differences, [], "{upstream}");
    }
}

#[tokio::test]
async fn of_an_order_confirmed_with_less_the_facts_win_and_what_no_longer_fits_goes_to_a_person() {
    for upstream in UPSTREAMS {
        let mut recorded = Recorded::refund_of(upstream, "60").await;
        recorded.confirmed(5_000).await;
        let refund = recorded.refund().await;
        let words = "60.00 no longer fits: 50.00 is left of 50.00 paid, 0.00 of it refunded elsewhere";
        assert_eq!((refund.state, refund.message.as_deref()), (RefundState::Review, Some(words)), "{upstream}");
        assert_eq!(recorded.out(), (0, 0), "{upstream}");
        let record = recorded.life.shop.record(&recorded.order).await;
        let amounts = (record.paid(), record.held(), record.refundable(), record.excess());
        assert_eq!(amounts, (yuan("50"), yuan("60"), Money::ZERO, yuan("10")), "{upstream}");
        // It was never sent, so a person may take it back, and a smaller one fits.
        let canceled = recorded.life.shop.ledger.cancel(&account(), &key("k"), None).await.expect("withdrawn");
        assert_eq!(canceled.order.refundable(), yuan("50"), "{upstream}");
        let smaller = recorded.life.shop.refund(&recorded.order, "smaller", "50").await.expect("refunded");
        assert_eq!((smaller.refund.state, recorded.out()), (RefundState::Succeeded, (1, 5_000)), "{upstream}");
    }
}

#[tokio::test]
async fn of_an_order_confirmed_with_less_what_still_fits_is_refunded_once() {
    for upstream in UPSTREAMS {
        let mut recorded = Recorded::refund_of(upstream, "30").await;
        recorded.confirmed(5_000).await;
        assert_eq!(recorded.refund().await.state, RefundState::Succeeded, "{upstream}");
        assert_eq!(recorded.out(), (1, 3_000), "{upstream}");
        let more = recorded.life.shop.refund(&recorded.order, "more", "20.01").await;
        assert!(matches!(more, Err(Error::Rejected(Rejection::OverRefundable { .. }))), "{upstream}: {more:?}");
    }
}

#[tokio::test]
async fn an_order_that_is_never_confirmed_is_put_before_a_person_after_a_day_and_never_sent() {
    for upstream in UPSTREAMS {
        let Recorded { mut life, order } = Recorded::refund_of(upstream, "30").await;
        for (pass, state) in [(23 * HOUR, RefundState::Queued), (2 * HOUR, RefundState::Review)] {
            life.clock.pass(pass);
            life.kill().await;
            life.shop.sync().await;
            assert_eq!(life.shop.state(&order, "k").await, state, "{upstream}");
        }
        let record = life.shop.record(&order).await;
        let message = record.refund(&key("k")).and_then(|refund| refund.message.clone());
        let words = "the upstream does not know the order, 25 h after it was recorded here";
        assert_eq!((message.as_deref(), record.held()), (Some(words), yuan("30")), "{upstream}");
        life.kill().await;
        life.shop.sync().await;
        assert_eq!(life.shop.sandbox.calls().refunds, 0, "{upstream}");
    }
}
