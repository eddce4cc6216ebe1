//! Order rows of the `trade_order` API, all amounts in fen, and the filters and pages of its list.

use super::fault::Upstream;
use super::inside::Desk;
use super::json::{Json, Object};
use super::numbers::{beijing_second, beijing_text};
use super::order::{Method, Order};
use super::server::Answer;
use super::trade_order::{Parameters, exception, product_id};

pub(crate) const MERCHANT_ID: i64 = 20_000_000;
const DAY_S: i64 = 24 * 60 * 60;

/// A time column. The seed's build labels Beijing wall clock `+0000`; only times made by Java are true UTC there.
pub(crate) fn time(order: &Order, at_s: i64, origin: Origin) -> Json {
    let offset_s = match origin {
        Origin::Database => 0,
        Origin::Java => -8 * 60 * 60,
    };
    Json::Text(match order.vary("time", 3) {
        0 => beijing_text(at_s + offset_s, "%Y-%m-%dT%H:%M:%S.000+0000"),
        1 => beijing_text(at_s, "%Y-%m-%d %H:%M:%S"),
        _ => beijing_text(at_s + offset_s, "%Y-%m-%dT%H:%M:%S.000+00:00"),
    })
}

#[derive(Clone, Copy)]
pub(crate) enum Origin {
    Database,
    Java,
}

pub(crate) fn fen(order: &Order, amount_fen: i64) -> Json {
    match order.vary("fen", 4) {
        3 => Json::Text(amount_fen.to_string()),
        _ => Json::Int(amount_fen),
    }
}

pub(crate) fn number_or_text(order: &Order, aspect: &str, number: i64) -> Json {
    match order.vary(aspect, 4) {
        3 => Json::Text(number.to_string()),
        _ => Json::Int(number),
    }
}

fn product_type(order: &Order) -> i64 {
    match order.method {
        Method::Cash => 1,
        Method::Member => 2,
        Method::Wechat => 3,
        Method::Alipay => 4,
        Method::Unionpay => 5,
    }
}

fn status(order: &Order) -> i64 {
    order.status.parse().expect("check_status lets only numbers in")
}

/// An order as `trade_order/get` shows it.
pub(crate) fn order_row(order: &Order) -> Json {
    row(order).into()
}

fn row(order: &Order) -> Object {
    let product = product_id(order).map(|id| match order.vary("productId", 2) {
        0 => Json::Text(id.to_string()),
        _ => Json::Int(id),
    });
    let product_type = match order.vary("productType", 3) {
        1 if product.is_some() => Json::Null,
        _ => number_or_text(order, "productType text", product_type(order)),
    };
    let operator = match order.vary("operatorId", 3) {
        0 => Json::from("null"),
        1 => Json::Null,
        _ => Json::from("1001"),
    };
    let subject = if order.subject.is_empty() { "被扫支付" } else { order.subject.as_str() };
    let row = Object::new()
        .with("tradeOrderId", order.id.as_str())
        .with("tradeType", number_or_text(order, "tradeType", 1))
        .with("mchId", number_or_text(order, "mchId", MERCHANT_ID))
        .with("appId", "")
        .with("clientIp", "0:0:0:0:0:0:0:1")
        .with("device", "")
        .with("goodsId", "")
        .with("subject", subject)
        .with("body", subject)
        .with("orderAmount", fen(order, order.total_fen()))
        .with("discountAmount", fen(order, order.discount_fen))
        .with("amount", fen(order, order.paid_fen))
        .with("mchIncome", fen(order, order.paid_fen - order.paid_fen / 160))
        .with("userId", format!("1347134619{:08}", order.serial))
        .with("channelUserId", Json::Null)
        .with("status", number_or_text(order, "status", status(order)))
        .with("payOrderId", order.number("payOrderId"))
        .with("productId", product)
        .with("productType", product_type)
        .with("goodsDesc", goods(order, subject));
    let row = match order.vary("coupon", 2) {
        0 => row.with("couponId", Json::Null),
        _ => row.with("mchCouponId", Json::Null).with("memberCouponNo", Json::Null).with("depositMode", 0_i64),
    };
    let row = row
        .with("storeNo", Json::Null)
        .with("storeName", Json::Null)
        .with("operatorId", operator)
        .with("operatorName", "123")
        .with("memberId", Json::Null)
        .with("memberTel", Json::Null)
        .with("givePoints", Json::Null)
        .with("refundTotalAmount", fen(order, order.refunded_fen))
        .with("tradeSuccTime", order.paid_at_s.map(|at| time(order, at, Origin::Java)))
        .with("createTime", time(order, order.created_at_s, Origin::Database))
        .with("updateTime", time(order, order.updated_at_s, Origin::Database));
    match order.vary("newer build", 2) {
        0 => row,
        _ => row
            .with("storeId", 1_i64)
            .with("agentId", Json::Null)
            .with("settTaskStatus", 0_i64)
            .with("postStatus", Json::Null)
            .with("channelOrderNo", order.number("channelOrderNo")),
    }
}

/// Older builds send an array, newer ones the same as JSON text, and some orders have nothing.
fn goods(order: &Order, subject: &str) -> Json {
    let first = Object::new()
        .with("cellPrice", order.total_fen())
        .with("currentPrice", order.paid_fen)
        .with("discountAmount", order.discount_fen)
        .with("goodsId", 100_093_i64)
        .with("goodsName", subject)
        .with("goodsNum", 1_i64)
        .with("goodsProps", "");
    // An item without a code; three of its fields may be missing.
    let second = Object::new()
        .with("currentPrice", 0_i64)
        .with("goodsId", -1_i64)
        .with("goodsName", "纸袋 🛍")
        .with("goodsNum", 1_i64);
    let list = Json::List(vec![first.into(), second.into()]);
    match order.vary("goodsDesc", 4) {
        0 => list,
        1 => Json::Text(list.text()),
        2 => Json::Null,
        _ => Json::from(""),
    }
}

/// `page` (from 1) and `limit` of a list, and its rows cut to them; no rows at all are `data: null`.
pub(crate) fn page<T>(parameters: &Parameters, rows: &[T], show: impl Fn(&T) -> Json) -> Answer {
    let count = |name, default| parameters.get(name).map_or(Some(default), |text| text.parse::<usize>().ok());
    let (Some(page @ 1..), Some(limit @ 1..)) = (count("page", 1), count("limit", 20)) else {
        return exception("java.lang.NumberFormatException");
    };
    let shown: Vec<Json> = rows.iter().skip((page - 1).saturating_mul(limit)).take(limit).map(show).collect();
    let body = Object::new()
        .with("code", 0_i64)
        .with("msg", "success")
        .with("data", if rows.is_empty() { Json::Null } else { Json::List(shown) })
        .with("count", i64::try_from(rows.len()).expect("at most MOST_ROWS"))
        .with("extData", Json::Null);
    Answer::json(200, &body.into())
}

/// `trade_order/list`: newest first; a filter of another name than these is ignored, as the server does.
pub(crate) fn order_list(desk: &Desk<'_>, parameters: &Parameters) -> Answer {
    let Some((from_s, to_s)) = create_time_bounds(desk.now_s, parameters) else {
        return exception("java.text.ParseException");
    };
    let statuses = parameters.get("ps[statusInString]").map(|list| list.split(',').map(str::trim).collect::<Vec<_>>());
    let wanted = |order: &&Order| {
        let texts = [
            ("tradeOrderId", Some(order.id.clone())),
            ("payOrderId", order.number("payOrderId").map(str::to_owned)),
            ("appId", Some(String::new())),
            ("storeNo", None),
            ("memberId", None),
            ("operatorId", Some("1001".to_owned())),
            ("provinceCode", None),
            ("cityCode", None),
        ];
        let numbers = [
            ("tradeType", Some(1)),
            ("depositMode", Some(0)),
            ("status", Some(status(order))),
            ("storeId", Some(1)),
            ("productId", product_id(order)),
            ("productType", Some(product_type(order))),
            ("postType", None),
        ];
        texts.iter().all(|(name, own)| parameters.get(name).is_none_or(|asked| Some(asked) == own.as_deref()))
            && numbers.iter().all(|(name, own)| {
                let asked = parameters.get(name).filter(|asked| *asked != "-99");
                asked.is_none_or(|asked| own.is_some_and(|own| own.to_string() == asked))
            })
            && statuses.as_ref().is_none_or(|list| list.contains(&order.status.as_str()))
            && (from_s..=to_s).contains(&order.created_at_s)
    };
    let mut rows: Vec<&Order> =
        desk.books.orders.iter().filter(|order| order.upstream == Upstream::TradeOrder).filter(wanted).collect();
    rows.sort_by_key(|order| std::cmp::Reverse((order.created_at_s, order.serial)));
    page(parameters, &rows, |order| row(order).with("productName", product_name(order)).into())
}

fn product_name(order: &Order) -> &'static str {
    match order.method {
        Method::Wechat => "微信条码",
        Method::Alipay => "支付宝条码",
        Method::Unionpay => "云闪付条码",
        Method::Cash => "现金",
        Method::Member => "会员卡",
    }
}

/// The created-time window that the date parameters describe, both ends included; none when one cannot be read.
fn create_time_bounds(now_s: i64, parameters: &Parameters) -> Option<(i64, i64)> {
    let mut bounds = (i64::MIN, i64::MAX);
    let today_s = beijing_second(&beijing_text(now_s, "%Y-%m-%d 00:00:00"))?;
    if let Some(range) = parameters.get("queryDateRange") {
        let days = |text: &str| text.parse::<u16>().ok().map(i64::from);
        bounds = match range.split_once('_') {
            None if range == "today" => (today_s, i64::MAX),
            None if range == "yesterday" => (today_s - DAY_S, today_s - 1),
            Some(("near2now", count)) => (today_s - (days(count)? - 1) * DAY_S, i64::MAX),
            Some(("near2yesterday", count)) => (today_s - days(count)? * DAY_S, today_s - 1),
            _ => return None,
        };
    }
    for (name, end_of_day) in [
        ("queryStartDate", ""),
        ("queryStartDateTime", ""),
        ("createTimeStart", ""),
        ("queryEndDate", " 23:59:59"),
        ("queryEndDateTime", ""),
        ("createTimeEnd", ""),
    ] {
        let Some(text) = parameters.get(name) else {
            continue;
        };
        let is_start = name.contains("Start");
        let full = match (name.ends_with("Date"), is_start) {
            (true, true) => format!("{text} 00:00:00"),
            (true, false) => format!("{text}{end_of_day}"),
            (false, _) => text.to_owned(),
        };
        let at_s = beijing_second(&full)?;
        bounds = if is_start { (bounds.0.max(at_s), bounds.1) } else { (bounds.0, bounds.1.min(at_s)) };
    }
    Some(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(name: &str, value: &str) -> Option<(i64, i64)> {
        // 2017-06-01 21:53:56 in Beijing.
        create_time_bounds(1_496_325_236, &Parameters::read(vec![(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn date_parameters_are_beijing_days_and_times() {
        let midnight = 1_496_246_400;
        assert_eq!(bounds("queryStartDate", "2017-06-01"), Some((midnight, i64::MAX)));
        assert_eq!(bounds("queryEndDate", "2017-06-01"), Some((i64::MIN, midnight + DAY_S - 1)));
        assert_eq!(bounds("createTimeEnd", "2017-06-01 00:00:01"), Some((i64::MIN, midnight + 1)));
        assert_eq!(bounds("queryDateRange", "today"), Some((midnight, i64::MAX)));
        assert_eq!(bounds("queryDateRange", "yesterday"), Some((midnight - DAY_S, midnight - 1)));
        assert_eq!(bounds("queryDateRange", "near2now_2"), Some((midnight - DAY_S, i64::MAX)));
        assert_eq!(bounds("queryDateRange", "near2yesterday_2"), Some((midnight - 2 * DAY_S, midnight - 1)));
        assert_eq!(bounds("createTimeStart", "yesterday"), None);
    }
}
