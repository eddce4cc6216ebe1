//! Fubei's order, statistics and bill rows as facts.

use crate::clients::fields::{Details, Numbers, Strange, instant, money, reference, unknown_status};
use crate::clients::wire::{Count, Text, Yuan};
use crate::domain::{Facts, GatewayName, Money, OrderStatus, PaidAtSource, PaymentMethod, Reference, Timestamp};

use super::api::open::{PayType, TradeState};
use super::api::types;

pub(super) fn gateway_name() -> GatewayName {
    GatewayName::new("fubei").expect("the name is within the rule for names")
}

/// The facts of an order, with what the statistics say of its refunds (`None`: they said nothing).
pub(super) fn facts(
    order: types::Order,
    statistics: Option<types::RefundStatistics>,
    merchant: &str,
    asked_at: Timestamp,
) -> Result<Facts, Strange> {
    let state = order.trade_state.as_ref().ok_or_else(|| Strange::missing("data.trade_state"))?;
    let status = status_of(state);
    let native = reference("order_sn", "data.order_sn", order.order_sn.as_ref())?;
    let refunded = match statistics {
        Some(statistics) => refunds_of(statistics, &native)?,
        None => Refunds::default(),
    };
    let mut numbers = Numbers::default();
    numbers.add("order_sn", order.order_sn);
    numbers.add("merchant_order_sn", order.merchant_order_sn);
    numbers.add("trade_no", order.trade_no);
    numbers.add("platform_order_no", order.platform_order_no);
    let total_fee = money("data.total_fee", order.total_fee.map(Yuan::fen))?;
    let paid = match (&status, total_fee) {
        (OrderStatus::Paid, Some(fee)) => fee,
        (OrderStatus::Paid, None) => return Err(Strange::missing("data.total_fee")),
        _ => Money::ZERO,
    };
    let mut details = numbers.strange;
    details.amount("total_fee", order.total_fee);
    details.amount("fee", order.fee);
    details.amount("net_money", order.net_money);
    details.amount("discount_money", order.discount_money);
    details.amount("buyer_pay_amount", order.buyer_pay_amount);
    details.amount("cash_coupon_fee", order.cash_coupon_fee);
    details.amount("no_cash_coupon_fee", order.no_cash_coupon_fee);
    details.amount("can_refund", refunded.left);
    details.text("store_id", order.store_id);
    details.text("cashier_id", order.cashier_id);
    details.text("device_no", order.device_no);
    details.text("body", order.body);
    details.text("attach", order.attach);
    // `user_id` and `user_logon_id` are the payer's: facts hold nothing of a payer.
    Ok(Facts {
        gateway: gateway_name(),
        merchant: merchant.to_owned(),
        native: Some(native),
        references: numbers.good,
        upstream_status: state.as_str().to_owned(),
        status,
        payment_method: order.type_.as_ref().map(method_of),
        currency: "CNY".to_owned(),
        total: money("data.order_price", order.order_price.map(Yuan::fen))?,
        paid,
        refunded: refunded.total,
        refund_count: refunded.count,
        upstream_refund_status: None,
        paid_at: order.pay_time.as_ref().map(instant),
        paid_at_source: PaidAtSource::Upstream,
        created_at: None,
        updated_at: None,
        details: details.0,
        asked_at,
        upstream_time: None,
        body: None,
    })
}

/// A row of the bill. It bears no state, so it is shown and never taken for a paid order.
pub(super) fn bill_row(row: types::BillRow, merchant: &str, asked_at: Timestamp) -> Result<Facts, Strange> {
    let native = reference("order_sn", "order_sn", row.order_sn.as_ref())?;
    let mut numbers = Numbers::default();
    numbers.add("order_sn", row.order_sn);
    numbers.add("merchant_order_sn", row.merchant_order_sn);
    let mut details = numbers.strange;
    details.amount("total_fee", row.total_fee);
    details.amount("fee", row.fee);
    details.amount("income", row.income);
    details.amount("discount_money", row.discount_money);
    details.text("store_id", row.store_id);
    details.text("cashier_id", row.cashier_id);
    Ok(Facts {
        gateway: gateway_name(),
        merchant: merchant.to_owned(),
        native: Some(native),
        references: numbers.good,
        status: unknown_status(),
        upstream_status: String::new(),
        payment_method: row.pay_type.as_ref().map(method_of),
        currency: "CNY".to_owned(),
        total: money("order_price", row.order_price.map(Yuan::fen))?,
        paid: Money::ZERO,
        refunded: None,
        refund_count: None,
        upstream_refund_status: None,
        paid_at: row.pay_time.as_ref().map(instant),
        paid_at_source: PaidAtSource::Upstream,
        created_at: row.create_time.as_ref().map(instant),
        updated_at: None,
        details: details.0,
        asked_at,
        upstream_time: None,
        body: None,
    })
}

/// The statistics alone, for `decode`: what they say of the order, and nothing else. They bear no state, but an order
/// of which something was or may still be refunded was paid.
pub(super) fn statistics_facts(
    statistics: types::RefundStatistics,
    merchant: &str,
    asked_at: Timestamp,
) -> Result<Facts, Strange> {
    let native = reference("order_sn", "data.order_sn", statistics.order_sn.as_ref())?;
    let total_fee = statistics.total_fee;
    let refunds = refunds_of(statistics, &native)?;
    let mut details = Details::default();
    details.amount("total_fee", total_fee);
    details.amount("can_refund", refunds.left);
    let was_paid = refunds.count.is_some_and(|count| count > 0) || refunds.left.is_some_and(|left| left.fen() > 0);
    let paid = money("data.total_fee", total_fee.map(Yuan::fen))?.filter(|_| was_paid);
    Ok(Facts {
        gateway: gateway_name(),
        merchant: merchant.to_owned(),
        references: [(native.kind.clone(), native.number.clone())].into(),
        native: Some(native),
        status: if paid.is_some() { OrderStatus::Paid } else { unknown_status() },
        upstream_status: String::new(),
        payment_method: None,
        currency: "CNY".to_owned(),
        total: None,
        paid: paid.unwrap_or_default(),
        refunded: refunds.total,
        refund_count: refunds.count,
        upstream_refund_status: None,
        paid_at: None,
        paid_at_source: PaidAtSource::Upstream,
        created_at: None,
        updated_at: None,
        details: details.0,
        asked_at,
        upstream_time: None,
        body: None,
    })
}

/// What the statistics say; a figure they leave out stays unknown, which is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Refunds {
    pub(super) total: Option<Money>,
    pub(super) count: Option<u32>,
    left: Option<Yuan>,
}

/// Reads the statistics of the order `native`.
pub(super) fn refunds_of(statistics: types::RefundStatistics, native: &Reference) -> Result<Refunds, Strange> {
    if let Some(other) = statistics.order_sn.as_ref().and_then(Text::non_empty)
        && native.kind == "order_sn"
        && other != native.number
    {
        return Err(Strange(format!("data.order_sn: asked for {}, got {other}", native.number)));
    }
    let total = money("data.total_fee", statistics.total_fee.map(Yuan::fen))?;
    let left = money("data.can_refund", statistics.can_refund.map(Yuan::fen))?;
    let refunded = match (total, left) {
        (Some(total), Some(left)) => Some(
            total
                .checked_sub(left)
                .ok_or_else(|| Strange(format!("data.can_refund: {left} is more than total_fee {total}")))?,
        ),
        _ => None,
    };
    let count = match statistics.refund_num.map(Count::get) {
        Some(count) => {
            Some(u32::try_from(count).map_err(|_| Strange(format!("data.refund_num: {count} is no count")))?)
        }
        None => None,
    };
    Ok(Refunds { total: refunded, count, left: statistics.can_refund })
}

/// DESIGN's table of states; an unknown word is `Other` and never paid.
fn status_of(state: &TradeState) -> OrderStatus {
    match state {
        TradeState::UserPaying => OrderStatus::Pending,
        TradeState::Success => OrderStatus::Paid,
        TradeState::Revoking => OrderStatus::Processing,
        TradeState::Revoked | TradeState::Closed => OrderStatus::Closed,
        TradeState::RevokedError | TradeState::Other(_) => unknown_status(),
    }
}

fn method_of(kind: &PayType) -> PaymentMethod {
    match kind {
        PayType::WeChat => PaymentMethod::Wechat,
        PayType::Alipay => PaymentMethod::Alipay,
        PayType::UnionPay => PaymentMethod::Unionpay,
        PayType::Other(word) => PaymentMethod::Other(word.clone()),
    }
}
