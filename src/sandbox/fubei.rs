//! 付呗 v1: one gateway URL, a signed JSON envelope, the method inside. Amounts are yuan, numbers or texts.
//!
//! Facts: seed 003 and the official SDK's models. What those do not say is invented here and named by a constant.

use md5::{Digest, Md5};

use super::bookkeeping::{Bookkeeping, Draft};
use super::books::RefundState;
use super::codes::{
    FUBEI_MALFORMED, FUBEI_SUB_BAD_AMOUNT, FUBEI_SUB_BAD_STATE, FUBEI_SUB_NOT_ENOUGH, FUBEI_SUB_ORDER_NOT_EXIST,
    FUBEI_SUB_OVERDUE, FUBEI_SUB_REPEATED, FUBEI_SUB_TOO_MANY, FUBEI_UNKNOWN_APP, FUBEI_UNKNOWN_METHOD,
    FUBEI_WRONG_SIGN,
};
use super::fault::{Operation, Upstream};
use super::fubei_rows::{bill, order_row, refund_numbers, refund_query, statistics};
use super::inside::Desk;
use super::json::{Fields, Json, Object, fen_exact};
use super::order::Order;
use super::server::{Answer, Course};
use super::settings::RepeatedRefundNo;

/// "目前退款接口只支持90日内成功支付的退款" (the official SDK's MerchantOrderApi).
const REFUND_WINDOW_S: i64 = 90 * 24 * 60 * 60;
/// "单笔订单退款次数不可超过10次" (the official SDK's MerchantOrderApi).
const REFUNDS_PER_ORDER: usize = 10;

/// What the envelope asks for.
pub(crate) fn operation(envelope: Option<&Fields>) -> Operation {
    match envelope.and_then(|fields| fields.text("method")).as_deref() {
        Some("openapi.payment.order.query") => Operation::FubeiOrderQuery,
        Some("openapi.payment.order.refund") => Operation::FubeiRefund,
        Some("openapi.payment.order.refund.query") => Operation::FubeiRefundQuery,
        Some("openapi.payment.refund.statistics") => Operation::FubeiRefundStatistics,
        Some("openapi.payment.order.bill") => Operation::FubeiOrderBill,
        _ => Operation::FubeiOther,
    }
}

/// A business code of Fubei's own envelope.
pub(crate) fn code_answer(code: i64) -> Answer {
    refusal(code, "失败", Some("ERROR_CODE"))
}

pub(crate) fn refusal(code: i64, message: &str, sub_code: Option<&str>) -> Answer {
    let body = Object::new().with("result_code", code).with("result_message", message).maybe("sub_code", sub_code);
    Answer::json(200, &body.with("data", Json::Null).into())
}

pub(crate) fn success(order: &Order, data: Object) -> Answer {
    success_with(order.vary("result_code", 6) == 1, data)
}

pub(crate) fn success_with(text_code: bool, data: Object) -> Answer {
    let code = if text_code { Json::from("200") } else { Json::Int(200) };
    Answer::json(200, &Object::new().with("result_message", "成功").with("data", data).with("result_code", code).into())
}

/// The signature of section "sign" of the official SDKs: `k=v` joined by `&` in ASCII order, the secret behind, MD5.
fn signature(envelope: &Fields, secret: &str) -> String {
    let mut signed: Vec<String> = Vec::new();
    for name in envelope.names().filter(|name| *name != "sign") {
        let value = envelope.text(name).or_else(|| envelope.raw(name).map(str::to_owned));
        signed.push(format!("{name}={}", value.unwrap_or_default()));
    }
    hex::encode(Md5::digest(format!("{}{secret}", signed.join("&"))))
}

/// Does what the envelope asks for, once its signature is right.
pub(crate) fn answer(desk: &mut Desk<'_>, envelope: Option<&Fields>, operation: Operation, course: Course) -> Answer {
    let Some(envelope) = envelope else {
        return refusal(FUBEI_MALFORMED, "请求参数错误", None);
    };
    if envelope.text("app_id").as_deref() != Some(&desk.credentials.fubei_app_id) {
        return refusal(FUBEI_UNKNOWN_APP, "应用不存在", None);
    }
    let sign = envelope.text("sign").unwrap_or_default();
    if !sign.eq_ignore_ascii_case(&signature(envelope, &desk.credentials.fubei_secret)) {
        return refusal(FUBEI_WRONG_SIGN, "签名错误", None);
    }
    let Some(biz) = envelope.text("biz_content").as_deref().and_then(Fields::read) else {
        return refusal(FUBEI_MALFORMED, "业务参数错误", None);
    };
    match operation {
        Operation::FubeiOrderBill => bill(desk, &biz),
        Operation::FubeiOrderQuery
        | Operation::FubeiRefund
        | Operation::FubeiRefundQuery
        | Operation::FubeiRefundStatistics => {
            let Some(order) = named_order(desk.books, &biz) else {
                return refusal(400, "订单不存在", Some(FUBEI_SUB_ORDER_NOT_EXIST));
            };
            match operation {
                Operation::FubeiRefund => refund(desk, order, &biz, course),
                Operation::FubeiRefundQuery => refund_query(desk.books, order, &biz),
                Operation::FubeiRefundStatistics => statistics(desk.books, order),
                _ => success(&desk.books.orders[order], order_row(&desk.books.orders[order])),
            }
        }
        _ => refusal(FUBEI_UNKNOWN_METHOD, "接口不存在", None),
    }
}

fn named_order(books: &Bookkeeping, biz: &Fields) -> Option<usize> {
    let name = ["order_sn", "trade_no", "merchant_order_sn"].into_iter().find(|name| biz.filled(name).is_some())?;
    books.order_by(Upstream::Fubei, name, &biz.filled(name)?)
}

fn refund(desk: &mut Desk<'_>, place: usize, biz: &Fields, course: Course) -> Answer {
    let client_no = biz.filled("merchant_refund_sn");
    let first = client_no.as_deref().and_then(|number| {
        let first = desk.books.refund_by(Upstream::Fubei, number)?;
        (desk.books.refunds[first].client_no.as_deref() == Some(number)).then_some(first)
    });
    match (first, desk.settings.repeated_refund_no) {
        (Some(_), RepeatedRefundNo::Refuse) => {
            return refusal(400, "退款单号重复", Some(FUBEI_SUB_REPEATED));
        }
        (Some(first), RepeatedRefundNo::Replay) => return refund_taken(desk.books, first),
        (Some(_), RepeatedRefundNo::PayAgain) | (None, _) => {}
    }
    let order = &desk.books.orders[place];
    let Some(paid_at_s) = order.paid_at_s.filter(|_| order.is_paid()) else {
        return refusal(400, "订单状态不支持退款", Some(FUBEI_SUB_BAD_STATE));
    };
    if desk.now_s > paid_at_s.saturating_add(REFUND_WINDOW_S) {
        return refusal(400, "订单已超过退款期限", Some(FUBEI_SUB_OVERDUE));
    }
    let taken = desk.books.refunds_of(place).filter(|refund| refund.state != RefundState::Failed).count();
    if taken >= REFUNDS_PER_ORDER {
        return refusal(400, "退款次数超限", Some(FUBEI_SUB_TOO_MANY));
    }
    let left_fen = desk.books.left_fen(place);
    // An empty amount is a refund of all that is left.
    let amount_fen = match biz.filled("refund_money") {
        Some(text) => fen_exact(&text).filter(|fen| *fen > 0),
        None => Some(left_fen),
    };
    let Some(amount_fen) = amount_fen else {
        return refusal(400, "退款金额有误", Some(FUBEI_SUB_BAD_AMOUNT));
    };
    if amount_fen > left_fen || left_fen <= 0 {
        return refusal(400, "可退金额不足", Some(FUBEI_SUB_NOT_ENOUGH));
    }
    let draft = Draft { client_no, amount_fen, ..Draft::default() };
    let refund = match desk.books.take_refund(place, draft, desk.now_s) {
        Ok(refund) => refund,
        Err(error) => return Answer::text(500, &error.to_string()),
    };
    match course {
        // Unrecorded is refused for Fubei when the fault is set.
        Course::Plain | Course::Unrecorded => desk.books.succeed(refund, desk.now_s),
        Course::Stuck => {}
        Course::Fails => desk.books.fail(refund, desk.now_s),
    }
    refund_taken(desk.books, refund)
}

/// 200 with five numbers: no status, no amount.
fn refund_taken(books: &Bookkeeping, refund: usize) -> Answer {
    let refund = &books.refunds[refund];
    let order = &books.orders[refund.order];
    success(order, refund_numbers(order, refund))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs and secret are printed in the official SDK's test `testRequest` (fubei-open/java-sdk); the expected
    /// value was computed with the SDK's algorithm.
    #[test]
    fn the_signature_follows_the_official_sdk() {
        let envelope = Fields::read(
            r#"{"app_id":"20170609152021917511","method":"openapi.payment.order.close","format":"json",
                "sign_method":"md5","nonce":"87sdf9806sdf73jkds","version":"1.0","sign":"ignored",
                "biz_content":"{\"merchant_order_sn\":\"28867994\"}"}"#,
        )
        .expect("valid JSON");
        let sign = signature(&envelope, "672f295578a545c24b397bae275e6f81");
        assert_eq!(sign.to_uppercase(), "C0A8CDE6A5F975E24FACAC48DF03701F");
    }
}
