//! hydrogen's orders as facts.
//!
//! The cloud function shows an order as seed 000 does (texts, naive Beijing time), REST as seed 001 does (numbers, unix
//! seconds); both may show either, and both are read the same way.

use serde_json::{Map, Value};

use crate::clients::fields::{Details, Numbers, Strange, instant, money, reference, unknown_status, without_fractions};
use crate::clients::wire::{Fen, Text, Yuan};
use crate::domain::{Facts, GatewayName, Money, OrderStatus, PaidAtSource, PaymentMethod, Timestamp};

use super::api::open::{GatewayType, OrderRefundStatus, OrderStatus as Word};
use super::api::types;

/// The number by which hydrogen itself looks orders up.
pub(super) const NATIVE: &str = "transaction_no";

pub(super) fn gateway_name() -> GatewayName {
    GatewayName::new("hydrogen").expect("the name is within the rule for names")
}

/// The facts of one order. What names the payer stays behind: `ip_address`, `created_by*`, and of
/// `gateway_extra_info` all but the documented fields of `wechat_response`.
pub(super) fn facts(order: types::Order, merchant: &str, asked_at: Timestamp) -> Result<Facts, Strange> {
    let native = reference(NATIVE, NATIVE, order.transaction_no.as_ref())?;
    let word = order.status.as_ref().filter(|word| !word.as_str().trim().is_empty());
    let word = word.ok_or_else(|| Strange::missing("status"))?;
    let status = status_of(word);
    let total = money("total_cost", order.total_cost.map(Yuan::fen))?;
    let paid = match (&status, total) {
        (OrderStatus::Paid, Some(total)) => total,
        (OrderStatus::Paid, None) => return Err(Strange::missing("total_cost")),
        _ => Money::ZERO,
    };
    let refunded = match (money("refund_amount", order.refund_amount.map(Yuan::fen))?, &order.refund_status) {
        (Some(amount), _) => Some(amount),
        // The upstream's own word for "all of it". Every other word without an amount leaves the amount unknown: the
        // empty one too, for seed 001 shows it as the default of a field, not as a count of refunds.
        (None, Some(OrderRefundStatus::Complete)) if status == OrderStatus::Paid => Some(paid),
        (None, _) => None,
    };
    let created_at = order.created_at.as_ref().map(instant);
    let (paid_at, paid_at_source) = match (&order.paid_at, &status) {
        (Some(paid_at), _) => (Some(instant(paid_at)), PaidAtSource::Upstream),
        (None, OrderStatus::Paid) if created_at.is_some() => (created_at, PaidAtSource::Created),
        (None, _) => (None, PaidAtSource::Upstream),
    };
    let payment = order.gateway_extra_info.as_ref().and_then(wechat_response).unwrap_or_default();
    let mut numbers = Numbers::default();
    numbers.add(NATIVE, order.transaction_no);
    numbers.add("trade_no", order.trade_no);
    numbers.add("id", order.id);
    numbers.add("transaction_id", payment.get("transaction_id").and_then(Value::as_str).map(Text::from));
    let mut details = numbers.strange;
    details.text("merchandise_description", order.merchandise_description);
    details.text("merchandise_record_id", order.merchandise_record_id);
    details.text("merchandise_schema_id", order.merchandise_schema_id);
    if let Some(snapshot) = order.merchandise_snapshot.map(opened).filter(says_something) {
        details.0.insert("merchandise_snapshot".to_owned(), without_fractions(snapshot));
    }
    if let Some(word) = &order.gateway_type {
        details.text("gateway_type", Some(Text::from(word.as_str())));
    }
    if !payment.is_empty() {
        let info = Map::from_iter([("wechat_response".to_owned(), Value::Object(payment))]);
        details.0.insert("gateway_extra_info".to_owned(), Value::Object(info));
    }
    Ok(Facts {
        gateway: gateway_name(),
        merchant: merchant.to_owned(),
        native: Some(native),
        references: numbers.good,
        upstream_status: word.as_str().to_owned(),
        status,
        payment_method: order.gateway_type.as_ref().and_then(method_of),
        currency: currency_of(order.currency_type.as_ref()),
        total,
        paid,
        refunded,
        refund_count: None,
        upstream_refund_status: order.refund_status.map(|word| word.as_str().to_owned()),
        paid_at,
        paid_at_source,
        created_at,
        updated_at: order.updated_at.as_ref().map(instant),
        details: details.0,
        asked_at,
        upstream_time: None,
        body: None,
    })
}

fn status_of(word: &Word) -> OrderStatus {
    match word {
        Word::Pending => OrderStatus::Pending,
        Word::Success => OrderStatus::Paid,
        Word::Failed => OrderStatus::Failed,
        Word::Other(_) => unknown_status(),
    }
}

/// By the word's beginning: the documented words are one per way of calling the same channel.
fn method_of(word: &GatewayType) -> Option<PaymentMethod> {
    let word = word.as_str().trim();
    match word {
        "" => None,
        _ if word.starts_with("weixin_") => Some(PaymentMethod::Wechat),
        _ if word.starts_with("alipay") => Some(PaymentMethod::Alipay),
        _ if word.starts_with("qpay") => Some(PaymentMethod::Qq),
        _ => Some(PaymentMethod::Other(word.to_owned())),
    }
}

/// CNY unless something else is said.
fn currency_of(said: Option<&Text>) -> String {
    said.and_then(Text::non_empty).map_or_else(|| "CNY".to_owned(), |word| word.trim().to_ascii_uppercase())
}

/// A value that came as JSON or as a text holding JSON; any other text stays a text.
fn opened(value: Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        value => value,
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// The fields of `wechat_response` that seed 001 documents, but for the payer's (`openid`, `is_subscribe`).
const WECHAT_TEXTS: &[&str] = &[
    "appid",
    "bank_type",
    "fee_type",
    "mch_id",
    "nonce_str",
    "out_trade_no",
    "result_code",
    "return_code",
    "sign",
    "time_end",
    "trade_type",
    "transaction_id",
];
/// Amounts in fen, unlike the order around them.
const WECHAT_AMOUNTS: &[&str] = &["cash_fee", "total_fee"];

/// What WeChat told of the payment, from whichever of the four shapes of `gateway_extra_info`; amounts as yuan text.
///
/// A Python-like text (seed 000) is opaque: it may hold anything, the payer included, so nothing of it is kept.
fn wechat_response(info: &Value) -> Option<Map<String, Value>> {
    let info = opened(info.clone());
    let told = info.get("wechat_response")?.as_object()?;
    let mut kept = Map::new();
    for name in WECHAT_TEXTS {
        let text = told.get(*name).and_then(|value| serde_json::from_value::<Text>(value.clone()).ok());
        if let Some(text) = text.as_ref().and_then(Text::non_empty) {
            kept.insert((*name).to_owned(), Value::String(text.to_owned()));
        }
    }
    let mut amounts = Details::default();
    for name in WECHAT_AMOUNTS {
        let fen = told.get(*name).and_then(|value| serde_json::from_value::<Fen>(value.clone()).ok());
        amounts.amount(name, fen.map(|fen| Yuan::from_fen(fen.fen())));
    }
    kept.extend(amounts.0);
    Some(kept)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(fields: Value) -> Result<Facts, Strange> {
        let mut row = json!({"transaction_no": "t-1", "status": "success", "total_cost": "10.00"});
        for (name, value) in fields.as_object().expect("an object") {
            row[name] = value.clone();
        }
        facts(serde_json::from_value(row).expect("a row"), "client", Timestamp::EPOCH)
    }

    fn fen(fen: i64) -> Money {
        Money::from_fen(fen).expect("an amount")
    }

    #[test]
    fn a_row_without_number_status_or_paid_amount_is_refused_by_name() {
        let refused = [
            (json!({"transaction_no": null}), "transaction_no is missing"),
            (json!({"transaction_no": " "}), "transaction_no is missing"),
            (json!({"status": null}), "status is missing"),
            (json!({"status": ""}), "status is missing"),
            (json!({"total_cost": null}), "total_cost is missing"),
            (json!({"total_cost": -1}), "total_cost: -1.00 is negative"),
            (json!({"refund_amount": "-0.01"}), "refund_amount: -0.01 is negative"),
        ];
        for (fields, why) in refused {
            assert_eq!(order(fields), Err(Strange(why.to_owned())));
        }
        assert_eq!(order(json!({"status": "pending", "total_cost": null})).map(|facts| facts.total), Ok(None));
    }

    #[test]
    fn only_success_is_paid_whatever_an_unknown_word_says() {
        for (word, status, paid) in [
            ("success", OrderStatus::Paid, fen(1_000)),
            ("pending", OrderStatus::Pending, Money::ZERO),
            ("failed", OrderStatus::Failed, Money::ZERO),
            ("paid", unknown_status(), Money::ZERO),
            ("complete", unknown_status(), Money::ZERO),
        ] {
            let facts = order(json!({"status": word})).expect("facts");
            assert_eq!((facts.status, facts.paid, facts.upstream_status.as_str()), (status, paid, word));
        }
    }

    #[test]
    fn refunded_is_the_amount_or_all_by_the_upstreams_word_or_unknown() {
        let refunded = |fields: Value| order(fields).map(|facts| (facts.refunded, facts.upstream_refund_status));
        let word = |word: &str| Some(word.to_owned());
        assert_eq!(refunded(json!({})), Ok((None, None)));
        assert_eq!(refunded(json!({"refund_status": null})), Ok((None, None)));
        assert_eq!(refunded(json!({"refund_status": ""})), Ok((None, word(""))));
        assert_eq!(refunded(json!({"refund_status": "partial"})), Ok((None, word("partial"))));
        assert_eq!(refunded(json!({"refund_status": "failed"})), Ok((None, word("failed"))));
        assert_eq!(refunded(json!({"refund_status": "complete"})), Ok((Some(fen(1_000)), word("complete"))));
        assert_eq!(
            refunded(json!({"refund_status": "partial", "refund_amount": 0.1})),
            Ok((Some(fen(10)), word("partial")))
        );
        assert_eq!(refunded(json!({"status": "pending", "refund_status": "complete"})), Ok((None, word("complete"))));
    }

    #[test]
    fn the_way_of_paying_is_read_from_the_words_beginning() {
        for (word, method) in [
            ("weixin_tenpay", Some(PaymentMethod::Wechat)),
            ("weixin_tenpay_native", Some(PaymentMethod::Wechat)),
            ("alipay", Some(PaymentMethod::Alipay)),
            ("alipay_page", Some(PaymentMethod::Alipay)),
            ("qpay_native", Some(PaymentMethod::Qq)),
            ("qfpay", Some(PaymentMethod::Other("qfpay".to_owned()))),
            ("baidu_miniapp_pay", Some(PaymentMethod::Other("baidu_miniapp_pay".to_owned()))),
            ("", None),
        ] {
            assert_eq!(order(json!({"gateway_type": word})).expect("facts").payment_method, method, "{word}");
        }
    }

    #[test]
    fn another_currency_is_kept_and_named() {
        assert_eq!(order(json!({"currency_type": "usd"})).expect("facts").currency, "USD");
        assert_eq!(order(json!({"currency_type": ""})).expect("facts").currency, "CNY");
    }

    #[test]
    fn the_payment_notice_is_found_in_each_shape_without_its_payer() {
        let response = json!({
            "transaction_id": "4200", "openid": "om4vu", "sub_openid": "x", "is_subscribe": "N", "total_fee": "1250",
            "cash_fee": "1.5", "bank_type": 7,
        });
        let kept = json!({"wechat_response": {"bank_type": "7", "total_fee": "12.50", "transaction_id": "4200"}});
        let object = json!({"wechat_response": response});
        for info in [object.clone(), Value::String(object.to_string())] {
            let facts = order(json!({"gateway_extra_info": info})).expect("facts");
            assert_eq!(facts.details["gateway_extra_info"], kept);
            assert_eq!(facts.references["transaction_id"], "4200");
        }
        for info in [json!({}), json!("{}"), json!(null), json!("{'wechat_response': {'openid': 'om4vu'}}")] {
            let facts = order(json!({"gateway_extra_info": info})).expect("facts");
            assert_eq!(facts.details, [].into());
        }
    }

    #[test]
    fn a_snapshot_is_kept_without_floats() {
        let snapshot = json!({"price": 12.5, "count": 3, "parts": [0.1, {"deep": 1e300}]});
        let kept = json!({"price": "12.5", "count": 3, "parts": ["0.1", {"deep": "1e+300"}]});
        for snapshot in [snapshot.clone(), Value::String(snapshot.to_string())] {
            let facts = order(json!({"merchandise_snapshot": snapshot})).expect("facts");
            assert_eq!(facts.details["merchandise_snapshot"], kept);
        }
        let facts = order(json!({"merchandise_snapshot": "a shirt"})).expect("facts");
        assert_eq!(facts.details["merchandise_snapshot"], json!("a shirt"));
    }

    #[test]
    fn a_number_that_cannot_name_an_order_is_a_detail() {
        let long = "7".repeat(200);
        let facts = order(json!({"trade_no": long, "id": 5})).expect("facts");
        assert_eq!(facts.references, [("id", "5"), (NATIVE, "t-1")].map(|(k, n)| (k.to_owned(), n.to_owned())).into());
        assert_eq!(facts.details, [("trade_no".to_owned(), Value::String(long))].into());
    }
}
