//! The refund rows of trade_order's gateway: what `refund_order/list` knows, and what it never sees.

use super::bookkeeping::Refund;
use super::books::RefundState;
use super::fault::Upstream;
use super::inside::Desk;
use super::json::{Json, Object};
use super::numbers::{beijing_second, clock_number};
use super::order::{Method, Order};
use super::server::Answer;
use super::trade_order::{Parameters, exception, product_id, refund_status};
use super::trade_order_rows::{MERCHANT_ID, Origin, fen, number_or_text, page, time};

/// `refund_order/list`: the gateway's refund rows, newest first. Only five filters are known; any other, `payOrderId`
/// included, is silently ignored. Cash and member refunds never came through the gateway, so they are not here.
pub(crate) fn refund_list(desk: &Desk<'_>, parameters: &Parameters) -> Answer {
    let bound = |name, none| parameters.get(name).map_or(Some(none), beijing_second);
    let (Some(from_s), Some(to_s)) = (bound("createTimeStart", i64::MIN), bound("createTimeEnd", i64::MAX)) else {
        return exception("java.text.ParseException");
    };
    let wanted = |refund: &&Refund| {
        let order = &desk.books.orders[refund.order];
        let is = |name, own: &str| parameters.get(name).is_none_or(|asked| asked == own);
        order.upstream == Upstream::TradeOrder
            && product_id(order).is_some()
            && is("refundOrderId", &refund_order_id(refund))
            && is("mchRefundNo", &refund.server_no)
            && is("channelOrderNo", &channel_refund_no(refund))
            && parameters
                .get("status")
                .filter(|asked| *asked != "-99")
                .is_none_or(|asked| asked == gateway_status(refund).to_string())
            && (from_s..=to_s).contains(&refund.at_s)
    };
    let mut rows: Vec<&Refund> = desk.books.refunds.iter().filter(wanted).collect();
    rows.sort_by_key(|refund| std::cmp::Reverse((refund.at_s, refund.serial)));
    page(parameters, &rows, |refund| refund_row(&desk.books.orders[refund.order], refund).into())
}

fn refund_order_id(refund: &Refund) -> String {
    clock_number("R01", refund.at_s, refund.serial)
}

fn channel_refund_no(refund: &Refund) -> String {
    format!("50000{:024}", refund.serial)
}

/// The gateway knows that the money moved even where the merchant's own row was never written.
fn gateway_status(refund: &Refund) -> i64 {
    if refund.money_moved { refund_status(RefundState::Succeeded) } else { refund_status(refund.state) }
}

fn refund_row(order: &Order, refund: &Refund) -> Object {
    let (channel_type, channel_id) = match order.method {
        Method::Alipay => ("alipay", "alipay_bar"),
        Method::Unionpay => ("unionpay", "unionpay_bar"),
        _ => ("wxpay", "wxpay_bar"),
    };
    let finished = refund.finished_at_s.or(refund.money_moved.then_some(refund.at_s));
    Object::new()
        .with("refundOrderId", refund_order_id(refund))
        .with("payOrderId", order.number("payOrderId"))
        .with("channelPayOrderNo", order.number("channelOrderNo"))
        .with("mchId", number_or_text(order, "mchId", MERCHANT_ID))
        .with("mchType", 1_i64)
        .with("appId", "")
        .with("mchRefundNo", refund.server_no.as_str())
        .with("channelType", channel_type)
        .with("channelId", channel_id)
        .with("passageId", 1_i64)
        .with("payAmount", fen(order, order.paid_fen))
        .with("refundAmount", fen(order, refund.amount_fen))
        .with("currency", "cny")
        .with("status", number_or_text(order, "refund status", gateway_status(refund)))
        .with("result", if gateway_status(refund) == 1 { 0_i64 } else { gateway_status(refund) })
        .with("clientIp", "127.0.0.1")
        .with("device", "")
        .with("remarkInfo", refund.memo.as_str())
        .with("channelUser", "")
        .with("userName", Json::Null)
        .with("channelMchId", Json::Null)
        .with("channelOrderNo", channel_refund_no(refund))
        .with("channelErrCode", Json::Null)
        .with("channelErrMsg", Json::Null)
        .with("extra", Json::Null)
        .with("notifyUrl", "")
        .with("param1", Json::Null)
        .with("param2", Json::Null)
        .with("expireTime", Json::Null)
        .with("refundSuccTime", finished.map(|at| time(order, at, Origin::Java)))
        .with("createTime", time(order, refund.at_s, Origin::Database))
        .with("updateTime", time(order, finished.unwrap_or(refund.at_s), Origin::Database))
}
