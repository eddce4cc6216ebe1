//! The merchant `trade_order` API: reading parameters, the envelope, and `memberPay/refund` step by step.
//!
//! Facts: seed 002 and the server source of the XxPay family (MemberPayController.refund). Amounts in rows are fen;
//! the refund's amount is yuan, and what is below one fen is silently cut off.

use std::collections::BTreeMap;

use super::bookkeeping::Draft;
use super::books::RefundState;
use super::codes::{
    TRADE_ORDER_ALL_REFUNDED, TRADE_ORDER_BAD_STATUS, TRADE_ORDER_BUSY, TRADE_ORDER_EXCEPTION, TRADE_ORDER_FAILED,
    TRADE_ORDER_NOT_ENOUGH, TRADE_ORDER_UNAUTHORIZED, TRADE_ORDER_UNKNOWN,
};
use super::fault::{Operation, Upstream};
use super::inside::Desk;
use super::json::{Fields, Json, Object, fen_cut_off};
use super::order::{Method, Order};
use super::server::{Answer, Course};
use super::{trade_order_refund_rows, trade_order_rows};

/// Request parameters as the server reads them: query and form together, the last of a name wins, and one called
/// `params` holding a JSON object replaces all the others.
#[derive(Debug, Default)]
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    pub(crate) fn read(query_and_form: Vec<(String, String)>) -> Self {
        let plain: BTreeMap<String, String> = query_and_form.into_iter().collect();
        let Some(fields) = plain.get("params").and_then(|text| Fields::read(text)) else {
            return Self(plain);
        };
        let named = |name: &str| {
            let text = fields.text(name).or_else(|| fields.raw(name).map(str::to_owned))?;
            Some((name.to_owned(), text))
        };
        Self(fields.names().filter_map(named).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

/// What the path asks for.
pub(crate) fn operation(path: &str) -> Operation {
    match path.trim_end_matches('/') {
        "/api/trade_order/get" => Operation::TradeOrderGet,
        "/api/trade_order/list" => Operation::TradeOrderList,
        "/api/memberPay/refund" => Operation::TradeOrderRefund,
        "/api/refund_order/list" => Operation::TradeOrderRefundList,
        _ => Operation::TradeOrderOther,
    }
}

/// A business code of trade_order's own envelope.
pub(crate) fn code_answer(code: i64) -> Answer {
    match code {
        TRADE_ORDER_UNAUTHORIZED => envelope(Object::new().with("code", code).with("msg", "Unauthorized")),
        TRADE_ORDER_EXCEPTION => exception("java.net.SocketTimeoutException: Read timed out"),
        _ => refusal(code),
    }
}

fn envelope(body: Object) -> Answer {
    Answer::json(200, &body.into())
}

pub(crate) fn success(data: Json) -> Answer {
    envelope(Object::new().with("code", 0_i64).with("msg", "success").with("data", data))
}

fn refusal(code: i64) -> Answer {
    let message = match code {
        10001 => "参数错误",
        10002 => "缺少参数",
        TRADE_ORDER_FAILED => "操作失败",
        10004 => "记录不存在",
        10999 => "未知错误",
        12001 => "权限错误",
        TRADE_ORDER_UNKNOWN => "交易订单不存在",
        TRADE_ORDER_ALL_REFUNDED => "该订单已全额退款",
        TRADE_ORDER_NOT_ENOUGH => "申请退款金额超过订单可退款金额",
        12066 => "门店不存在",
        TRADE_ORDER_BAD_STATUS => "退款订单仅支持支付成功和部分退款状态，其他状态不允许发起退款",
        TRADE_ORDER_BUSY => "当前订单存在一笔退款中订单",
        12099 => "退款密码为空",
        12100 => "退款密码错误",
        _ => "失败",
    };
    envelope(Object::new().with("code", code).with("msg", message).with("data", Json::Null))
}

/// Something was thrown: no `data` at all.
pub(crate) fn exception(what: &str) -> Answer {
    envelope(Object::new().with("code", TRADE_ORDER_EXCEPTION).with("msg", format!("系统异常[{what}]")))
}

fn missing(name: &str) -> Answer {
    exception(&format!("参数{name}必填"))
}

/// How far a call came under one hold of the lock: a refund stops where the server waits, and others get a turn.
pub(crate) enum Step {
    Answered(Answer),
    /// The checks are passed, nothing is written.
    Checked(Checked),
    /// A row in status 1 is written, the gateway underneath has not answered.
    Written(OnItsWay),
}

/// A refund that passed the checks.
pub(crate) struct Checked {
    order: usize,
    draft: Draft,
}

/// A refund on its way through the gateway underneath.
pub(crate) struct OnItsWay {
    order: usize,
    refund: usize,
}

/// Does what the path asks for, once the token is right; a refund stops where the server calls its gateway.
pub(crate) fn begin(
    desk: &mut Desk<'_>,
    authorization: Option<&str>,
    parameters: &Parameters,
    operation: Operation,
) -> Step {
    // The token may also be a parameter of that name.
    let token = authorization.or_else(|| parameters.get("Authorization"));
    if token != Some(&desk.credentials.trade_order_token) {
        return Step::Answered(code_answer(TRADE_ORDER_UNAUTHORIZED));
    }
    Step::Answered(match operation {
        Operation::TradeOrderGet => match parameters.get("tradeOrderId") {
            None => missing("tradeOrderId"),
            Some(number) => {
                let order = desk.books.order_by(Upstream::TradeOrder, "tradeOrderId", number);
                success(order.map(|order| trade_order_rows::order_row(&desk.books.orders[order])).into())
            }
        },
        Operation::TradeOrderList => trade_order_rows::order_list(desk, parameters),
        Operation::TradeOrderRefundList => trade_order_refund_rows::refund_list(desk, parameters),
        Operation::TradeOrderRefund => match check(desk, parameters) {
            Ok(checked) => return Step::Checked(checked),
            Err(answer) => answer,
        },
        _ => exception("No handler found"),
    })
}

/// Steps 1 to 3: the checks, in the server's own order. The one for another refund in progress is a plain count: two
/// calls at once can both pass it.
fn check(desk: &Desk<'_>, parameters: &Parameters) -> Result<Checked, Answer> {
    let number = parameters.get("tradeOrderId").ok_or_else(|| missing("tradeOrderId"))?;
    let amount = parameters.get("refundAmount").ok_or_else(|| missing("refundAmount"))?;
    let amount_fen = fen_cut_off(amount).ok_or_else(|| exception("java.lang.NumberFormatException"))?;
    let place = desk
        .books
        .order_by(Upstream::TradeOrder, "tradeOrderId", number)
        .ok_or_else(|| refusal(TRADE_ORDER_UNKNOWN))?;
    let order = &desk.books.orders[place];
    if !is_refundable(order) {
        return Err(refusal(TRADE_ORDER_BAD_STATUS));
    }
    if order.paid_fen <= order.refunded_fen {
        return Err(refusal(TRADE_ORDER_ALL_REFUNDED));
    }
    if amount_fen > order.paid_fen - order.refunded_fen {
        return Err(refusal(TRADE_ORDER_NOT_ENOUGH));
    }
    let mut refunds = desk.books.refunds_of(place);
    if refunds.any(|refund| refund.state == RefundState::Processing) {
        return Err(refusal(TRADE_ORDER_BUSY));
    }
    let memo = parameters.get("refundDesc").unwrap_or_default().to_owned();
    let draft = Draft { amount_fen, memo, ..Draft::default() };
    Ok(Checked { order: place, draft })
}

fn is_refundable(order: &Order) -> bool {
    matches!(order.status.as_str(), "2" | "4")
}

impl Checked {
    /// Step 4: a row in status 1.
    pub(crate) fn write_row(self, desk: &mut Desk<'_>) -> Result<OnItsWay, Answer> {
        let Self { order, draft } = self;
        match desk.books.take_refund(order, draft, desk.now_s) {
            Ok(refund) => Ok(OnItsWay { order, refund }),
            Err(error) => Err(Answer::text(500, &error.to_string())),
        }
    }
}

impl OnItsWay {
    /// Steps 5 to 8: what the gateway said, and what the order's row makes of it.
    pub(crate) fn finish(self, desk: &mut Desk<'_>, course: Course) -> Answer {
        let Self { order, refund } = self;
        let now_s = desk.now_s;
        let amount_fen = desk.books.refunds[refund].amount_fen;
        let row = &desk.books.orders[order];
        let through_gateway = product_id(row).is_some();
        let out_fen = desk.books.money_out_fen(order);
        // The update of the order's row is guarded so, and comes after the money.
        let fits = is_refundable(row) && row.refunded_fen + amount_fen <= row.paid_fen;
        match course {
            // The server lets amounts below one fen through; its gateway does not, and the row stays in status 1.
            Course::Plain if through_gateway && amount_fen <= 0 => {}
            // The channel underneath never pays out more than it took.
            Course::Plain if through_gateway && out_fen + amount_fen > row.paid_fen => {
                desk.books.fail(refund, now_s);
            }
            Course::Plain if fits => desk.books.succeed(refund, now_s),
            Course::Plain | Course::Unrecorded => {
                desk.books.refunds[refund].money_moved = through_gateway;
                return refusal(TRADE_ORDER_FAILED);
            }
            Course::Stuck => {}
            Course::Fails => desk.books.fail(refund, now_s),
        }
        let refund = &desk.books.refunds[refund];
        success(
            Object::new()
                .with("mchRefundOrderId", refund.server_no.as_str())
                .with("status", refund_status(refund.state))
                .into(),
        )
    }
}

/// 1 退款中, 2 成功, 3 失败.
pub(crate) fn refund_status(state: RefundState) -> i64 {
    match state {
        RefundState::Processing => 1,
        RefundState::Succeeded => 2,
        RefundState::Failed => 3,
    }
}

/// The channel's product; cash and member cards have none and skip the gateway.
pub(crate) fn product_id(order: &Order) -> Option<i64> {
    match order.method {
        Method::Wechat => Some(8020),
        Method::Alipay => Some(8021),
        Method::Unionpay => Some(8022),
        Method::Cash | Method::Member => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn params_replaces_all_other_parameters_and_the_last_of_a_name_wins() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let plain = Parameters::read(vec![pair("a", "1"), pair("a", " 2 "), pair("b", "")]);
        assert_eq!((plain.get("a"), plain.get("b")), (Some("2"), None));
        let params = Parameters::read(vec![pair("a", "1"), pair("params", r#"{"refundAmount":12.50,"b":"x"}"#)]);
        assert_eq!((params.get("a"), params.get("refundAmount"), params.get("b")), (None, Some("12.50"), Some("x")));
    }

    #[test]
    fn a_missing_parameter_is_an_exception_without_data() {
        assert_eq!(missing("tradeOrderId").body, "{\"code\":99999,\"msg\":\"系统异常[参数tradeOrderId必填]\"}");
        assert_eq!(code_answer(1001).body, "{\"code\":1001,\"msg\":\"Unauthorized\"}");
        assert_eq!(code_answer(12062).body, "{\"code\":12062,\"msg\":\"该订单已全额退款\",\"data\":null}");
    }
}
