//! Fubei's rows: an order, a refund's numbers and state, what is left of an order, a page of the bill.

use super::bookkeeping::{Bookkeeping, Refund};
use super::books::RefundState;
use super::codes::FUBEI_SUB_REFUND_NOT_EXIST;
use super::fault::Upstream;
use super::fubei::{refusal, success, success_with};
use super::inside::Desk;
use super::json::{Fields, Json, Object, YuanStyle, yuan};
use super::numbers::beijing_second;
use super::order::{Method, Order};
use super::server::Answer;

fn amount_style(order: &Order) -> YuanStyle {
    match order.vary("yuan", 5) {
        0 => YuanStyle::Shortest,
        1 => YuanStyle::Float,
        2 => YuanStyle::TwoPlaces,
        3 => YuanStyle::Text,
        _ => YuanStyle::ShortText,
    }
}

fn fee_fen(order: &Order) -> i64 {
    order.paid_fen / 80
}

fn pay_type(order: &Order) -> i64 {
    match order.method {
        Method::Alipay => 2,
        Method::Unionpay => 5,
        _ => 1,
    }
}

/// A number that some builds write as text; `text_first` says which is the seed's form.
fn number_or_text(order: &Order, aspect: &str, number: i64, text_first: Seed) -> Json {
    match (order.vary(aspect, 2), text_first) {
        (0, Seed::Text) | (1, Seed::Number) => Json::Text(number.to_string()),
        _ => Json::Int(number),
    }
}

#[derive(Clone, Copy)]
enum Seed {
    Text,
    Number,
}

pub(crate) fn order_row(order: &Order) -> Object {
    let style = amount_style(order);
    let place = i64::try_from(order.serial % 7).expect("less than 7");
    let absent_null_or = |aspect, value: Json| match order.vary(aspect, 3) {
        0 => None,
        1 => Some(Json::Null),
        _ => Some(value),
    };
    let paid_at = order.paid_at_s.map(|at| number_or_text(order, "pay_time", at, Seed::Number));
    let nothing = || {
        if order.vary("nothing", 2) == 0 { Json::from("") } else { Json::Null }
    };
    Object::new()
        .with("trade_no", order.number("trade_no"))
        .with("merchant_order_sn", order.number("merchant_order_sn"))
        .with("platform_order_no", order.number("platform_order_no"))
        .with("order_sn", order.number("order_sn"))
        .with("total_fee", yuan(order.paid_fen, style))
        .with("fee", yuan(fee_fen(order), style))
        .with("net_money", yuan(order.paid_fen - fee_fen(order), style))
        .maybe("order_price", absent_null_or("order_price", yuan(order.total_fen(), style)))
        .maybe("pay_time", paid_at)
        .with("store_id", number_or_text(order, "store_id", 25_249 + place, Seed::Text))
        .with("cashier_id", number_or_text(order, "cashier_id", place, Seed::Text))
        .maybe("device_no", absent_null_or("device_no", Json::from("SN0000000000000001")))
        .maybe("body", absent_null_or("body", Json::from(order.subject.as_str())))
        .with("trade_state", order.status.as_str())
        .with("type", number_or_text(order, "type", pay_type(order), Seed::Number))
        .with("discount_money", yuan(order.discount_fen, YuanStyle::Text))
        .with("buyer_pay_amount", yuan(order.paid_fen, YuanStyle::Text))
        .with("attach", nothing())
        .with("user_id", nothing())
        .with("user_logon_id", nothing())
        .maybe("cash_coupon_fee", absent_null_or("cash_coupon_fee", yuan(0, style)))
        .with("no_cash_coupon_fee", yuan(1, style))
}

pub(crate) fn refund_numbers(order: &Order, refund: &Refund) -> Object {
    Object::new()
        .with("refund_sn", refund.server_no.as_str())
        .with("merchant_refund_sn", refund.client_no.as_deref())
        .with("trade_no", order.number("trade_no"))
        .with("order_sn", order.number("order_sn"))
        .with("merchant_order_sn", order.number("merchant_order_sn"))
}

pub(crate) fn refund_query(books: &Bookkeeping, place: usize, biz: &Fields) -> Answer {
    let (server_no, client_no) = (biz.filled("refund_sn"), biz.filled("merchant_refund_sn"));
    let asked = |refund: &&Refund| match (&server_no, &client_no) {
        (Some(number), _) => refund.server_no == *number,
        (None, Some(number)) => refund.client_no.as_ref() == Some(number),
        (None, None) => false,
    };
    let Some(refund) = books.refunds_of(place).find(asked) else {
        return refusal(400, "退款单不存在", Some(FUBEI_SUB_REFUND_NOT_EXIST));
    };
    let order = &books.orders[place];
    let status = match refund.state {
        RefundState::Processing => "REFUND_PROCESSING",
        RefundState::Succeeded => "REFUND_SUCCESS",
        // As spelled by the upstream.
        RefundState::Failed => "REFUND_FAILER",
    };
    let row = refund_numbers(order, refund)
        .with("refund_status", status)
        .with("refund_time", refund.finished_at_s.unwrap_or(refund.at_s))
        .with("refund_money", yuan(refund.amount_fen, amount_style(order)));
    // The SDK knows the fields above, the document four more.
    let row = match order.vary("refund.query", 2) {
        0 => row,
        _ => row
            .with("refunder_name", "店长")
            .with("refund_fee", yuan(refund.amount_fen, YuanStyle::Text))
            .with("buyer_refund_money", yuan(refund.amount_fen, YuanStyle::Text))
            .with("device_no", ""),
    };
    success(order, row)
}

pub(crate) fn statistics(books: &Bookkeeping, place: usize) -> Answer {
    let order = &books.orders[place];
    let style = match order.variation {
        0 => YuanStyle::Float,
        _ => amount_style(order),
    };
    let taken = books.refunds_of(place).filter(|refund| refund.state != RefundState::Failed).count();
    let row = Object::new()
        .with("order_sn", order.number("order_sn"))
        .with("total_fee", yuan(order.paid_fen, style))
        .with("refund_num", i64::try_from(taken).expect("at most MOST_ROWS"))
        .with("can_refund", yuan(books.left_fen(place), style));
    success(order, row)
}

/// The most rows of one page of `order.bill`.
const BILL_LIMIT: usize = 100;

pub(crate) fn bill(desk: &Desk<'_>, biz: &Fields) -> Answer {
    let time = |name| biz.filled(name).as_deref().and_then(beijing_second);
    let (Some(start_s), Some(end_s)) = (time("start_time"), time("end_time")) else {
        return refusal(400, "时间格式有误", Some("ERROR_CODE"));
    };
    let count = |name, default| biz.filled(name).map_or(Some(default), |text| text.parse::<usize>().ok());
    let (Some(page @ 1..), Some(limit @ 1..)) = (count("page", 1), count("limit", 10)) else {
        return refusal(400, "分页参数有误", Some("ERROR_CODE"));
    };
    let limit = limit.min(BILL_LIMIT);
    let store = biz.filled("store_id");
    let in_bill = |order: &&Order| {
        let store_id = (25_249 + order.serial % 7).to_string();
        order.upstream == Upstream::Fubei
            && order.is_paid()
            && order.paid_at_s.is_some_and(|at| (start_s..=end_s).contains(&at))
            && store.as_ref().is_none_or(|store| *store == store_id)
    };
    let rows: Vec<(usize, &Order)> = desk.books.orders.iter().enumerate().filter(|(_, order)| in_bill(order)).collect();
    let refunds = rows.iter().flat_map(|(place, _)| desk.books.refunds_of(*place));
    let done: Vec<&Refund> = refunds.filter(|refund| refund.state == RefundState::Succeeded).collect();
    let list = rows.iter().skip((page - 1).saturating_mul(limit)).take(limit);
    let data = Object::new()
        .with("summary_num", i64::try_from(rows.len()).expect("at most MOST_ROWS"))
        .with("summary_total_fee", yuan(rows.iter().map(|(_, order)| order.paid_fen).sum(), YuanStyle::Float))
        .with("refund_num", i64::try_from(done.len()).expect("at most MOST_ROWS"))
        .with("refund_money", yuan(done.iter().map(|refund| refund.amount_fen).sum(), YuanStyle::Float))
        .with("list", Json::List(list.map(|(_, order)| bill_row(order).into()).collect()));
    success_with(false, data)
}

fn bill_row(order: &Order) -> Object {
    let style = amount_style(order);
    let place = i64::try_from(order.serial % 7).expect("less than 7");
    Object::new()
        .with("order_sn", order.number("order_sn"))
        .with("merchant_order_sn", order.number("merchant_order_sn"))
        .with("create_time", order.created_at_s)
        .with("order_price", yuan(order.total_fen(), style))
        .with("total_fee", yuan(order.paid_fen, style))
        .with("fee", yuan(fee_fen(order), style))
        .with("income", yuan(order.paid_fen - fee_fen(order), style))
        .with("store_id", number_or_text(order, "store_id", 25_249 + place, Seed::Text))
        .with("cashier_id", number_or_text(order, "cashier_id", place, Seed::Text))
        .with("pay_time", order.paid_at_s)
        .with("pay_type", pay_type(order))
        .with("discount_money", yuan(order.discount_fen, YuanStyle::Text))
}

#[cfg(test)]
mod tests {
    use super::super::order::NewOrder;
    use super::*;

    #[test]
    fn a_plain_row_has_the_seeds_shape() {
        let new = NewOrder { discount_fen: 2000, ..NewOrder::paid(8000) };
        let order = Order::make(Upstream::Fubei, 7, new, 1_496_325_236).expect("valid");
        let row = Json::from(order_row(&order)).text();
        assert_eq!(
            row,
            "{\"trade_no\":\"2017060121535600083049000007\",\"merchant_order_sn\":\"201706012153560000007\",\
             \"platform_order_no\":\"42000000000000000007\",\"order_sn\":\"20170601215356000007\",\
             \"total_fee\":80,\"fee\":1,\"net_money\":79,\"pay_time\":1496325236,\"store_id\":\"25249\",\
             \"cashier_id\":\"0\",\"trade_state\":\"SUCCESS\",\"type\":1,\"discount_money\":\"20.00\",\
             \"buyer_pay_amount\":\"80.00\",\"attach\":\"\",\"user_id\":\"\",\"user_logon_id\":\"\",\
             \"no_cash_coupon_fee\":0.01}"
        );
    }
}
