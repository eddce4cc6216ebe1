//! trade_order's orders as facts.

use jiff::tz;
use serde_json::{Map, Value};

use crate::clients::fields::{Details, Numbers, Strange, instant, money, reference, unknown_status, without_fractions};
use crate::clients::wire::{Fen, JsonOrText, Rows, Text, UpstreamTime, Yuan};
use crate::domain::{Facts, GatewayName, Money, OrderStatus, PaidAtSource, PaymentMethod, Timestamp};

use super::api::open::{OrderStatus as Word, ProductId, ProductType};
use super::api::types;

/// The order's own number.
pub(super) const NATIVE: &str = "tradeOrderId";

pub(super) fn gateway_name() -> GatewayName {
    GatewayName::new("trade_order").expect("the name is within the rule for names")
}

/// The facts of one order.
///
/// What names the payer stays behind: `userId` (the scanned bar code), `channelUserId`, `clientIp`, `memberId`,
/// `memberTel`, `memberCouponNo`, and where goods were sent to and what the customer wrote about them.
pub(super) fn facts(order: types::TradeOrder, asked_at: Timestamp) -> Result<Facts, Strange> {
    let native = reference(NATIVE, NATIVE, order.trade_order_id.as_ref())?;
    let word = order.status.as_ref().filter(|word| !word.as_str().trim().is_empty());
    let word = word.ok_or_else(|| Strange::missing("status"))?;
    let merchant = order.mch_id.as_ref().and_then(Text::non_empty).ok_or_else(|| Strange::missing("mchId"))?.to_owned();
    let status = status_of(word);
    let amount = money("amount", order.amount.map(Fen::fen))?;
    let paid = match (&status, amount) {
        (OrderStatus::Paid, Some(amount)) => amount,
        (OrderStatus::Paid, None) => return Err(Strange::missing("amount")),
        _ => Money::ZERO,
    };
    let (created_at, updated_at) = times(&order);
    let (paid_at, paid_at_source) = match (&order.trade_succ_time, &status) {
        (Some(paid_at), _) => (Some(instant(paid_at)), PaidAtSource::Upstream),
        (None, OrderStatus::Paid) if created_at.is_some() => (created_at, PaidAtSource::Created),
        (None, _) => (None, PaidAtSource::Upstream),
    };
    let total = money("orderAmount", order.order_amount.map(Fen::fen))?;
    let refunded = money("refundTotalAmount", order.refund_total_amount.map(Fen::fen))?;
    let payment_method = method_of(order.product_type.as_ref(), order.product_id.as_ref());
    let (status_word, native) = (word.as_str().to_owned(), Some(native));
    let (references, details) = kept(order);
    Ok(Facts {
        gateway: gateway_name(),
        merchant,
        native,
        references,
        status,
        upstream_status: status_word,
        payment_method,
        currency: "CNY".to_owned(),
        total,
        paid,
        refunded,
        refund_count: None,
        upstream_refund_status: None,
        paid_at,
        paid_at_source,
        created_at,
        updated_at,
        details,
        asked_at,
        upstream_time: None,
        body: None,
    })
}

fn status_of(word: &Word) -> OrderStatus {
    match word {
        Word::Created => OrderStatus::Pending,
        Word::Processing | Word::DepositUnsettled => OrderStatus::Processing,
        Word::Paid | Word::PartlyRefunded | Word::FullyRefunded => OrderStatus::Paid,
        Word::Failed => OrderStatus::Failed,
        Word::DepositReturned => OrderStatus::Closed,
        Word::Other(_) => unknown_status(),
    }
}

/// By the kind of payment, or by the payment product where the server gives no kind (seed 002).
fn method_of(kind: Option<&ProductType>, product: Option<&ProductId>) -> Option<PaymentMethod> {
    let other = |word: &str| (!word.trim().is_empty()).then(|| PaymentMethod::Other(word.to_owned()));
    match (kind, product) {
        (Some(ProductType::Cash), _) => Some(PaymentMethod::Cash),
        (Some(ProductType::MemberCard), _) => Some(PaymentMethod::Member),
        (Some(ProductType::WeChat), _) => Some(PaymentMethod::Wechat),
        (Some(ProductType::Alipay), _) => Some(PaymentMethod::Alipay),
        (Some(ProductType::UnionPay), _) => Some(PaymentMethod::Unionpay),
        (Some(ProductType::CashOnDelivery), _) => Some(PaymentMethod::CashOnDelivery),
        (Some(ProductType::Other(word)), _) if !word.trim().is_empty() => other(word),
        (_, Some(ProductId::WeChatJsapi | ProductId::WeChatBar | ProductId::WeChatMiniProgram)) => {
            Some(PaymentMethod::Wechat)
        }
        (_, Some(ProductId::AlipayJsapi | ProductId::AlipayBar)) => Some(PaymentMethod::Alipay),
        (_, Some(ProductId::UnionPayBar)) => Some(PaymentMethod::Unionpay),
        (_, Some(ProductId::Other(word))) => other(word),
        (_, None) => None,
    }
}

/// When the order was made and last changed.
///
/// A server may label Beijing wall clock `+0000` in these two, and not in `tradeSuccTime` (seed 002: made "16:14:42
/// +0000", paid "11:12:21 +0000"; its number says 04:14:43 on a 12-hour clock). The label is believed unless the row
/// itself disproves it: an order cannot have been paid before it was made, so where the literal reading says so, both
/// are read as Beijing time. Without a paid time nothing disproves it. All three are kept as written in the details.
fn times(order: &types::TradeOrder) -> (Option<Timestamp>, Option<Timestamp>) {
    let made_after_paid = match (&order.create_time, &order.trade_succ_time) {
        (Some(made), Some(paid)) => is_labelled_utc(made) && made.instant() > paid.instant(),
        _ => false,
    };
    let read = |time: &Option<UpstreamTime>| {
        time.as_ref().map(|time| match as_beijing(time) {
            Some(beijing) if made_after_paid && is_labelled_utc(time) => beijing,
            _ => instant(time),
        })
    };
    (read(&order.create_time), read(&order.update_time))
}

pub(super) fn is_labelled_utc(time: &UpstreamTime) -> bool {
    let literal = time.civil().and_then(|civil| tz::Offset::UTC.to_timestamp(civil).ok());
    literal == Some(time.instant())
}

/// The clock reading taken as Beijing's.
pub(super) fn as_beijing(time: &UpstreamTime) -> Option<Timestamp> {
    tz::offset(8).to_timestamp(time.civil()?).ok().map(Timestamp::from)
}

type Kept = (std::collections::BTreeMap<String, String>, std::collections::BTreeMap<String, Value>);

/// The numbers that name the order, and the fields that are no facts but are shown.
fn kept(order: types::TradeOrder) -> Kept {
    let mut numbers = Numbers::default();
    numbers.add(NATIVE, order.trade_order_id);
    numbers.add("payOrderId", order.pay_order_id);
    numbers.add("channelOrderNo", order.channel_order_no);
    let mut details = numbers.strange;
    for (name, time) in
        [("tradeSuccTime", order.trade_succ_time), ("createTime", order.create_time), ("updateTime", order.update_time)]
    {
        details.text(name, time.map(|time| Text::from(time.raw())));
    }
    for (name, word) in [
        ("tradeType", order.trade_type.as_ref().map(|word| word.as_str())),
        ("depositMode", order.deposit_mode.as_ref().map(|word| word.as_str())),
        ("productId", order.product_id.as_ref().map(|word| word.as_str())),
        ("productType", order.product_type.as_ref().map(|word| word.as_str())),
    ] {
        details.text(name, word.map(Text::from));
    }
    for (name, fen) in [
        ("amount", order.amount),
        ("discountAmount", order.discount_amount),
        ("mchIncome", order.mch_income),
        ("depositAmount", order.deposit_amount),
        ("postPrice", order.post_price),
    ] {
        details.amount(name, fen.map(yuan));
    }
    details.amount("givePoints", order.give_points);
    for (name, text) in [
        ("appId", order.app_id),
        ("device", order.device),
        ("goodsId", order.goods_id),
        ("subject", order.subject),
        ("body", order.body),
        ("couponId", order.coupon_id),
        ("mchCouponId", order.mch_coupon_id),
        ("storeId", order.store_id),
        ("storeNo", order.store_no),
        ("storeName", order.store_name),
        ("operatorId", order.operator_id),
        ("operatorName", order.operator_name),
        ("productName", order.product_name),
        ("agentId", order.agent_id),
        ("isvId", order.isv_id),
        ("isvDeviceNo", order.isv_device_no),
        ("ruleId", order.rule_id),
        ("settTaskStatus", order.sett_task_status),
        ("industryType", order.industry_type),
        ("postType", order.post_type),
        ("postStatus", order.post_status),
        ("storeAreaId", order.store_area_id),
        ("areaName", order.area_name),
        ("appointmentTime", order.appointment_time),
        ("deleteFlag", order.delete_flag),
        ("returnReasonId", order.return_reason_id),
        ("imgPathMain", order.img_path_main),
    ] {
        details.text(name, text);
    }
    if let Some(goods) = order.goods_desc.and_then(goods) {
        details.0.insert("goodsDesc".to_owned(), goods);
    }
    (numbers.good, details.0)
}

/// The items: a list in the seed, a text holding one on newer servers; any other text as it came.
fn goods(goods: JsonOrText<Rows<types::GoodsItem>>) -> Option<Value> {
    match goods {
        JsonOrText::Json(rows) => {
            let items = rows.rows.into_iter().map(item);
            // An item that cannot be read is evidence too; nothing is granted by it.
            let items: Vec<Value> = items.chain(rows.bad.into_iter().map(|row| without_fractions(row.raw))).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        JsonOrText::Text(text) => (!text.trim().is_empty()).then_some(Value::String(text)),
        JsonOrText::Unread { raw, .. } => Some(without_fractions(raw)),
    }
}

fn item(item: types::GoodsItem) -> Value {
    let mut details = Details::default();
    details.amount("cellPrice", item.cell_price.map(yuan));
    details.amount("currentPrice", item.current_price.map(yuan));
    details.amount("discountAmount", item.discount_amount.map(yuan));
    details.text("goodsId", item.goods_id);
    details.text("goodsName", item.goods_name);
    details.text("goodsNum", item.goods_num);
    details.text("goodsProps", item.goods_props);
    Value::Object(Map::from_iter(details.0))
}

/// Details speak yuan, whatever the upstream counts in.
fn yuan(fen: Fen) -> Yuan {
    Yuan::from_fen(fen.fen())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(fields: Value) -> Result<Facts, Strange> {
        let mut row = json!({"tradeOrderId": "E01", "mchId": 20000000, "status": 2, "amount": 1900});
        for (name, value) in fields.as_object().expect("an object") {
            row[name] = value.clone();
        }
        facts(serde_json::from_value(row).expect("a row"), Timestamp::EPOCH)
    }

    fn shown(time: Option<Timestamp>) -> String {
        time.map_or_else(String::new, |time| time.to_string())
    }

    #[test]
    fn a_row_without_number_status_merchant_or_paid_amount_is_refused_by_name() {
        for (fields, why) in [
            (json!({"tradeOrderId": null}), "tradeOrderId is missing"),
            (json!({"status": null}), "status is missing"),
            (json!({"status": ""}), "status is missing"),
            (json!({"mchId": ""}), "mchId is missing"),
            (json!({"amount": null}), "amount is missing"),
            (json!({"amount": -1}), "amount: -0.01 is negative"),
            (json!({"refundTotalAmount": -5}), "refundTotalAmount: -0.05 is negative"),
        ] {
            assert_eq!(order(fields), Err(Strange(why.to_owned())));
        }
    }

    #[test]
    fn only_2_4_and_5_are_paid() {
        let paid = Money::from_fen(1_900).expect("an amount");
        for (word, status, cap) in [
            ("0", OrderStatus::Pending, Money::ZERO),
            ("1", OrderStatus::Processing, Money::ZERO),
            ("2", OrderStatus::Paid, paid),
            ("-1", OrderStatus::Failed, Money::ZERO),
            ("3", unknown_status(), Money::ZERO),
            ("4", OrderStatus::Paid, paid),
            ("5", OrderStatus::Paid, paid),
            ("6", OrderStatus::Processing, Money::ZERO),
            ("7", OrderStatus::Closed, Money::ZERO),
            ("paid", unknown_status(), Money::ZERO),
        ] {
            for spelling in [json!(word), word.parse::<i64>().map_or(json!(word), Value::from)] {
                let facts = order(json!({"status": spelling})).expect("facts");
                assert_eq!((facts.status, facts.paid, facts.upstream_status.as_str()), (status.clone(), cap, word));
            }
        }
    }

    #[test]
    fn the_way_of_paying_is_the_kind_or_else_the_product() {
        for (kind, product, method) in [
            (json!(1), json!(null), Some(PaymentMethod::Cash)),
            (json!("2"), json!(null), Some(PaymentMethod::Member)),
            (json!(3), json!(8021), Some(PaymentMethod::Wechat)),
            (json!(4), json!("8020"), Some(PaymentMethod::Alipay)),
            (json!(5), json!(null), Some(PaymentMethod::Unionpay)),
            (json!(6), json!(null), Some(PaymentMethod::CashOnDelivery)),
            (json!(9), json!(8020), Some(PaymentMethod::Other("9".to_owned()))),
            (json!(null), json!("8020"), Some(PaymentMethod::Wechat)),
            (json!(null), json!(8008), Some(PaymentMethod::Alipay)),
            (json!(""), json!(8022), Some(PaymentMethod::Unionpay)),
            (json!(null), json!(8023), Some(PaymentMethod::Wechat)),
            (json!(null), json!(9999), Some(PaymentMethod::Other("9999".to_owned()))),
            (json!(null), json!(null), None),
        ] {
            let facts = order(json!({"productType": kind, "productId": product})).expect("facts");
            assert_eq!(facts.payment_method, method, "{kind} {product}");
        }
    }

    #[test]
    fn an_untrue_label_is_read_as_beijing_where_the_row_disproves_it() {
        let times = |made: &str, paid: Value, updated: &str| {
            let facts =
                order(json!({"createTime": made, "tradeSuccTime": paid, "updateTime": updated})).expect("facts");
            [shown(facts.created_at), shown(facts.paid_at), shown(facts.updated_at)]
        };
        // Seed 002: made after it was paid, by the label.
        assert_eq!(
            times(
                "2019-08-23T16:14:42.000+0000",
                json!("2019-08-23T11:12:21.000+0000"),
                "2019-08-23T19:13:22.000+0000"
            ),
            ["2019-08-23T08:14:42Z", "2019-08-23T11:12:21Z", "2019-08-23T11:13:22Z"]
        );
        // A true label.
        assert_eq!(
            times(
                "2019-08-23T08:14:42.000+0000",
                json!("2019-08-23T11:12:21.000+0000"),
                "2019-08-23T11:13:22.000+00:00"
            ),
            ["2019-08-23T08:14:42Z", "2019-08-23T11:12:21Z", "2019-08-23T11:13:22Z"]
        );
        // Newer servers: Beijing, without a label.
        assert_eq!(
            times("2019-08-23 16:14:42", json!("2019-08-23 19:12:21"), "2019-08-23 19:13:22"),
            ["2019-08-23T08:14:42Z", "2019-08-23T11:12:21Z", "2019-08-23T11:13:22Z"]
        );
        // Nothing disproves it; and the created time stands in for the paid one.
        assert_eq!(
            times("2019-08-23T16:14:42.000+0000", json!(null), "2019-08-23T19:13:22.000+0000"),
            ["2019-08-23T16:14:42Z", "2019-08-23T16:14:42Z", "2019-08-23T19:13:22Z"]
        );
        let facts = order(json!({"createTime": "2019-08-23 16:14:42"})).expect("facts");
        assert_eq!(facts.paid_at_source, PaidAtSource::Created);
    }

    #[test]
    fn goods_come_as_list_as_text_and_as_neither() {
        let list = json!([
            {"cellPrice": 12000, "discountAmount": "400", "goodsId": -1, "goodsName": "茉莉花茶", "goodsNum": 0.5},
            {"currentPrice": 1.5},
        ]);
        let kept = json!([
            {"cellPrice": "120.00", "discountAmount": "4.00", "goodsId": "-1", "goodsName": "茉莉花茶", "goodsNum": "0.5"},
            {"currentPrice": "1.5"},
        ]);
        let goods = |goods: Value| order(json!({"goodsDesc": goods})).expect("facts").details.remove("goodsDesc");
        assert_eq!(goods(list.clone()), Some(kept.clone()));
        assert_eq!(goods(Value::String(list.to_string())), Some(kept));
        assert_eq!(goods(json!("two teas")), Some(json!("two teas")));
        assert_eq!(goods(json!({"tea": 0.5})), Some(json!({"tea": "0.5"})));
        for nothing in [json!(null), json!(""), json!([])] {
            assert_eq!(goods(nothing), None);
        }
    }
}
