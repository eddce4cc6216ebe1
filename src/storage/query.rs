//! Questions to a storage.

use std::sync::Arc;

use crate::domain::{
    AccountName, Money, OrderId, OrderRecord, OrderStatus, PaymentMethod, RefundKey, RefundStatus, Timestamp,
};

/// Which orders to give. Nothing set: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderQuery {
    /// Of this account.
    pub account: Option<AccountName>,
    /// In this status.
    pub status: Option<OrderStatus>,
    /// With this refund status.
    pub refund_status: Option<RefundStatus>,
    /// Paid this way.
    pub payment_method: Option<PaymentMethod>,
    /// Paid (made, where unpaid) at or after.
    pub from: Option<Timestamp>,
    /// Paid (made, where unpaid) before.
    pub to: Option<Timestamp>,
    /// Paid exactly this much.
    pub amount: Option<Money>,
}

impl OrderQuery {
    /// The time by which an order is sorted and found: paid, else created, else 1970.
    #[must_use]
    pub fn time_of(record: &OrderRecord) -> Timestamp {
        record.facts.paid_at.or(record.facts.created_at).unwrap_or(Timestamp::EPOCH)
    }

    /// Whether a record is asked for.
    #[must_use]
    pub fn wants(&self, record: &OrderRecord) -> bool {
        let facts = &record.facts;
        let time = OrderQuery::time_of(record);
        self.account.as_ref().is_none_or(|account| *account == record.account)
            && self.status.as_ref().is_none_or(|status| *status == facts.status)
            && self.refund_status.is_none_or(|status| status == record.refund_status())
            && self.payment_method.as_ref().is_none_or(|method| facts.payment_method.as_ref() == Some(method))
            && self.from.is_none_or(|from| time >= from)
            && self.to.is_none_or(|to| time < to)
            && self.amount.is_none_or(|amount| amount == facts.paid)
    }
}

/// Which part of an answer to give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// At most so many; zero means 100.
    pub limit: usize,
    /// Where the page before ended ([`ScanPage::next`]).
    pub after: Option<String>,
}

/// One page of orders.
#[derive(Clone, Debug, Default)]
pub struct ScanPage {
    /// The orders, newest first.
    pub orders: Vec<Arc<OrderRecord>>,
    /// Where the next page begins; `None`: there is none. Stays valid while orders are written.
    pub next: Option<String>,
}

/// A refund found by its state or its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueRefund {
    /// Its account.
    pub account: AccountName,
    /// Its order.
    pub order: OrderId,
    /// Its key.
    pub key: RefundKey,
}

/// An attempt that nobody carries out any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostAttempt {
    /// Of which refund.
    pub refund: DueRefund,
    /// Which one of it, where that can be another by now.
    pub attempt: Option<u32>,
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use super::*;
    use crate::domain::{AccountName, RefundStatus};
    use crate::storage::conformance::shop;

    /// An order of 80.00 yuan, paid by WeChat at second 1, of which nothing was refunded.
    #[test]
    fn an_order_is_asked_for_if_all_that_is_asked_fits_it() {
        let record = shop::first_record(1);
        let wanted = |change: &dyn Fn(&mut OrderQuery)| {
            let mut query = OrderQuery::default();
            change(&mut query);
            query.wants(&record)
        };
        assert!(wanted(&|_| {}));
        let other = AccountName::new("shop-2").expect("valid");
        let (paid, fen) = (record.facts.status.clone(), shop::fen);
        let (wechat, alipay) = (Some(PaymentMethod::Wechat), Some(PaymentMethod::Alipay));
        assert!(wanted(&|query| query.account = Some(shop::account())));
        assert!(!wanted(&|query| query.account = Some(other.clone())));
        assert!(wanted(&|query| query.status = Some(paid.clone())));
        assert!(!wanted(&|query| query.status = Some(OrderStatus::Closed)));
        assert!(wanted(&|query| query.refund_status = Some(RefundStatus::None)));
        assert!(!wanted(&|query| query.refund_status = Some(RefundStatus::Partial)));
        assert!(wanted(&|query| query.payment_method = wechat.clone()));
        assert!(!wanted(&|query| query.payment_method = alipay.clone()));
        assert!(wanted(&|query| query.amount = Some(fen(8000))));
        assert!(!wanted(&|query| query.amount = Some(fen(8001))));
        // From the instant itself, up to the one before the end.
        let times = [0, 1, 2].map(|second| Some(shop::at(second)));
        assert_eq!(times.map(|from| wanted(&|query| query.from = from)), [true, true, false]);
        assert_eq!(times.map(|to| wanted(&|query| query.to = to)), [false, false, true]);
        // One thing that does not fit is enough.
        assert!(!wanted(&|query| (query.amount, query.from) = (Some(fen(8000)), times[2])));
    }

    #[test]
    fn an_order_is_sorted_by_when_it_was_paid_or_made() {
        let mut record = shop::first_record(7);
        Arc::make_mut(&mut record.facts).created_at = Some(shop::at(3));
        assert_eq!(OrderQuery::time_of(&record), shop::at(7));
        Arc::make_mut(&mut record.facts).paid_at = None;
        assert_eq!(OrderQuery::time_of(&record), shop::at(3));
        Arc::make_mut(&mut record.facts).created_at = None;
        assert_eq!(OrderQuery::time_of(&record), Timestamp::EPOCH);
    }
}
