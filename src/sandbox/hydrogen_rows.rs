//! hydrogen's order rows: the same order as seed 000 shows it (through the cloud function) and as seed 001 does
//! (through REST), with the contradictions between and within the two.

use super::hydrogen::{gateway_type, refund_status};
use super::inside::Desk;
use super::json::{Json, Object, YuanStyle, yuan};
use super::numbers::beijing_text;
use super::order::{Method, Order};
use super::settings::RestRefundAmount;

/// Who shows the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The REST API, a user's own orders: numbers, unix seconds.
    Rest,
    /// The cloud function, the whole app's orders: texts, naive Beijing time.
    Function,
}

pub(crate) const IP_ADDRESS: &str = "127.0.0.1";
const TOKEN_USER: i64 = 1_091_431;

/// The user who bought.
pub(crate) fn buyer(order: &Order) -> i64 {
    TOKEN_USER + i64::from(order.by_another_user)
}

pub(crate) fn order_row(desk: &Desk<'_>, order: &Order, side: Side) -> Object {
    let style = match (side, order.vary("yuan", 4)) {
        (Side::Rest, 0) => YuanStyle::TwoPlaces,
        (Side::Function, 0) => YuanStyle::Text,
        (_, 1) => YuanStyle::Float,
        (_, 2) => YuanStyle::Shortest,
        _ => YuanStyle::Text,
    };
    let number = |name| order.number(name);
    let id = number("id").unwrap_or_default();
    let row = Object::new()
        .with("created_at", time(order, side, order.created_at_s))
        .with("gateway_extra_info", extra_info(order, side))
        .with("id", if order.vary("id", 8) == 1 { Json::from(id) } else { Json::Literal(id.to_owned()) })
        .with("ip_address", IP_ADDRESS)
        .with("merchandise_description", order.subject.as_str())
        .with("merchandise_record_id", Json::Null)
        .with("merchandise_schema_id", Json::Null)
        .with("merchandise_snapshot", snapshot(order, side))
        .with("paid_at", paid_at(order, side))
        .with("status", order.status.as_str());
    let row = match (refund_status(desk, order), order.vary("refund_status", 3)) {
        (Some(word), _) => row.with("refund_status", word),
        (None, 0) => row.with("refund_status", Json::Null),
        (None, 1) => row.with("refund_status", ""),
        (None, _) => row,
    };
    let row = row
        .with("total_cost", yuan(order.paid_fen, style))
        .with("trade_no", number("trade_no"))
        .with("transaction_no", number("transaction_no"))
        .with("updated_at", time(order, side, order.updated_at_s))
        .maybe("refund_amount", refund_amount(desk, order, side, style))
        .maybe("gateway_type", (order.vary("gateway_type", 2) == 1).then(|| gateway_type(order)))
        .maybe("currency_type", (order.vary("currency_type", 2) == 1).then_some("CNY"));
    let user = buyer(order);
    match (side, order.vary("created_by", 2)) {
        (Side::Rest, 0) => row.with("created_by_id", user),
        (Side::Rest, _) => row.with("created_by", user.to_string()),
        (Side::Function, 0) => row,
        (Side::Function, _) => row.with("created_by_id", user).with("created_by_name", "王小明"),
    }
}

fn refund_amount(desk: &Desk<'_>, order: &Order, side: Side, style: YuanStyle) -> Option<Json> {
    if side == Side::Rest && desk.settings.hydrogen_rest_refund_amount == RestRefundAmount::Absent {
        return None;
    }
    match (order.refunded_fen, order.vary("refund_amount", 4)) {
        // Documented in seed 000, never shown there: absent, or nothing in three ways.
        (0, 0) => None,
        (0, 1) => Some(Json::Null),
        (0, 2) => Some(Json::from("0.00")),
        (0, _) => Some(Json::Int(0)),
        (refunded_fen, _) => Some(yuan(refunded_fen, style)),
    }
}

/// Naive Beijing time with microseconds in seed 000, unix seconds in seed 001; either may come from either.
fn time(order: &Order, side: Side, at_s: i64) -> Json {
    match (side, order.vary("time", 3) == 2) {
        (Side::Rest, false) | (Side::Function, true) => Json::Int(at_s),
        (Side::Function, false) | (Side::Rest, true) => {
            Json::Text(format!("{}.{:06}", beijing_text(at_s, "%Y-%m-%dT%H:%M:%S"), order.serial % 1_000_000))
        }
    }
}

/// Null also on some paid orders, as in seed 001.
fn paid_at(order: &Order, side: Side) -> Json {
    match order.paid_at_s {
        Some(_) if order.vary("paid_at", 5) == 1 => Json::Null,
        Some(at_s) => time(order, side, at_s),
        None => Json::Null,
    }
}

fn snapshot(order: &Order, side: Side) -> Json {
    match (side, order.vary("snapshot", 2)) {
        (Side::Function, 0) | (Side::Rest, 1) => Json::from("{}"),
        _ => Object::new().into(),
    }
}

/// The four documented shapes of one field, and the empty object as text.
fn extra_info(order: &Order, side: Side) -> Json {
    let python = || {
        Json::Text(format!(
            "{{'payment_parameters': {{'nonceStr': '{}', 'timeStamp': '{}', 'signType': 'MD5'}}}}",
            order.id, order.created_at_s
        ))
    };
    let answered = || {
        let fen = order.paid_fen.to_string();
        let response = Object::new()
            .with("bank_type", "OTHERS")
            .with("cash_fee", fen.as_str())
            .with("fee_type", "CNY")
            .with("out_trade_no", order.number("trade_no"))
            .with("result_code", "SUCCESS")
            .with("time_end", beijing_text(order.paid_at_s.unwrap_or(order.created_at_s), "%Y%m%d%H%M%S"))
            .with("total_fee", fen.as_str())
            .with("trade_type", "JSAPI")
            .with("transaction_id", format!("42000005{:020}", order.serial));
        Json::from(Object::new().with("wechat_response", response))
    };
    match (side, order.vary("extra_info", 5)) {
        (Side::Rest, 0) | (Side::Function, 1) => Object::new().into(),
        (Side::Function, 0) | (Side::Rest, 1) => python(),
        (_, 2) => Json::from("{}"),
        (_, 3) if order.method == Method::Wechat && order.paid_at_s.is_some() => answered(),
        _ => Json::Text(Json::from(Object::new().with("payment_parameters", Object::new())).text()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Upstream;
    use super::super::inside::Inside;
    use super::super::order::NewOrder;
    use super::*;

    #[test]
    fn each_side_shows_its_seeds_shape() {
        let mut bench = Inside::default();
        let new = NewOrder { subject: "一条支付描述".to_owned(), ..NewOrder::paid(39_800) }
            .reference("trade_no", "1gAtaEFcmu6DyHm5b0ycBSmNO302NGzA")
            .reference("transaction_no", "XDiXbfLFyd8DpxSWqBUcb2jW1AvhVORC");
        let new = NewOrder { created_at: Some(1_539_335_891), ..new };
        let place = bench.books.add_order(Upstream::Hydrogen, new, 0).expect("valid");
        bench.books.refund_elsewhere(place, 10_050, 1_539_335_900).expect("less than was paid");
        let desk = bench.desk();
        let order = &desk.books.orders[place];
        assert_eq!(
            Json::from(order_row(&desk, order, Side::Function)).text(),
            "{\"created_at\":\"2018-10-12T17:18:11.000001\",\"gateway_extra_info\":\"{'payment_parameters': \
             {'nonceStr': 'XDiXbfLFyd8DpxSWqBUcb2jW1AvhVORC', 'timeStamp': '1539335891', 'signType': 'MD5'}}\",\
             \"id\":47964,\"ip_address\":\"127.0.0.1\",\"merchandise_description\":\"一条支付描述\",\
             \"merchandise_record_id\":null,\"merchandise_schema_id\":null,\"merchandise_snapshot\":\"{}\",\
             \"paid_at\":\"2018-10-12T17:18:11.000001\",\"status\":\"success\",\"refund_status\":\"partial\",\
             \"total_cost\":\"398.00\",\"trade_no\":\"1gAtaEFcmu6DyHm5b0ycBSmNO302NGzA\",\
             \"transaction_no\":\"XDiXbfLFyd8DpxSWqBUcb2jW1AvhVORC\",\
             \"updated_at\":\"2018-10-12T17:18:20.000001\",\"refund_amount\":\"100.50\"}"
        );
        assert_eq!(
            Json::from(order_row(&desk, order, Side::Rest)).text(),
            "{\"created_at\":1539335891,\"gateway_extra_info\":{},\"id\":47964,\"ip_address\":\"127.0.0.1\",\
             \"merchandise_description\":\"一条支付描述\",\"merchandise_record_id\":null,\
             \"merchandise_schema_id\":null,\"merchandise_snapshot\":{},\"paid_at\":1539335891,\
             \"status\":\"success\",\"refund_status\":\"partial\",\"total_cost\":398.00,\
             \"trade_no\":\"1gAtaEFcmu6DyHm5b0ycBSmNO302NGzA\",\
             \"transaction_no\":\"XDiXbfLFyd8DpxSWqBUcb2jW1AvhVORC\",\"updated_at\":1539335900,\
             \"created_by_id\":1091431}"
        );
    }
}
