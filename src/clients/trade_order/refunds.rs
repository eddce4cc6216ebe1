//! What trade_order's answers about a refund mean: the classification table's rows for it.

use crate::clients::classify;
use crate::clients::decode::SeenRefund;
use crate::clients::fields::{Strange, instant, money};
use crate::clients::wire::{BadRow, Fen, Rows, Text};
use crate::domain::{Answer, BlockReason, Finding, Money, Outcome, Timestamp};
use crate::gateway::RefundCall;

use super::api::open::RefundStatus;
use super::api::types;
use super::envelope::{Refusal, Seen};

/// The answer to an attempt.
pub(super) fn attempt(seen: Seen<types::Refund>, ended_at: Timestamp) -> Answer {
    match seen {
        Seen::Done(refund, _) => taken(refund.as_ref(), ended_at),
        Seen::Refused(refusal) => refused(&refusal, ended_at),
        Seen::Failed(failure) => classify::refund_answer(&failure, ended_at),
    }
}

/// Code 0 says that the server made a row; only `data.status` says what became of the money.
pub(super) fn taken(refund: Option<&types::Refund>, ended_at: Timestamp) -> Answer {
    let status = refund.and_then(|refund| refund.status.as_ref());
    let message = match (refund, status) {
        (None, _) => Some("the answer is without a refund".to_owned()),
        (Some(_), None) => Some("the refund is without a status".to_owned()),
        (Some(_), Some(RefundStatus::Processing)) => {
            Some("退款中: the server's gateway has not said how it ended".to_owned())
        }
        (Some(_), Some(RefundStatus::Succeeded | RefundStatus::Failed)) => None,
        (Some(_), Some(status)) => Some(format!("the refund has the status {:?}", status.as_str())),
    };
    let outcome = match status {
        Some(RefundStatus::Succeeded) => Outcome::Succeeded,
        Some(RefundStatus::Processing) => Outcome::Accepted,
        Some(RefundStatus::Failed) => Outcome::Declined,
        Some(RefundStatus::Created | RefundStatus::BusinessDone | RefundStatus::Other(_)) | None => Outcome::InDoubt,
    };
    Answer {
        upstream_refund_no: text(refund.and_then(|refund| refund.mch_refund_order_id.as_ref())),
        code: Some("0".to_owned()),
        message,
        ..Answer::new(outcome, ended_at)
    }
}

/// A `code` other than 0. Only codes that the server gives before it makes a row prove anything.
pub(super) fn refused(refusal: &Refusal, ended_at: Timestamp) -> Answer {
    let (outcome, blocked) = match refusal.code.as_str() {
        "1001" => (Outcome::Blocked, Some(BlockReason::Credentials)),
        // Another refund of this order is under way, or hangs until an operator ends it.
        "12077" => (Outcome::Blocked, Some(BlockReason::Busy)),
        "10001" | "10002" | "12001" | "12025" | "12062" | "12063" | "12066" | "12075" | "12099" | "12100" => {
            (Outcome::Declined, None)
        }
        "99999" if names_a_missing_parameter(&refusal.msg) => (Outcome::Declined, None),
        // 10003 can follow money that moved; 99999 is anything that was thrown on the way.
        _ => (Outcome::InDoubt, None),
    };
    Answer {
        blocked,
        code: Some(refusal.code.clone()),
        message: Some(refusal.msg.clone()).filter(|msg| !msg.is_empty()),
        ..Answer::new(outcome, ended_at)
    }
}

/// `系统异常[参数tradeOrderId必填]`: thrown before anything was done.
fn names_a_missing_parameter(msg: &str) -> bool {
    msg.strip_prefix("系统异常[参数").is_some_and(|rest| {
        rest.strip_suffix("必填]")
            .is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()))
    })
}

/// What a probe by number found: what the gateway's row of this very refund says.
///
/// The list ignores filters it does not know, so a row counts only if it bears the number. No row proves nothing:
/// refunds of cash and member cards have none.
pub(super) fn of_number(
    rows: &Rows<types::RefundOrder>,
    number: &str,
    about: &RefundCall,
    asked_at: Timestamp,
    ended_at: Timestamp,
) -> Finding {
    let bears = |row: &&types::RefundOrder| row.mch_refund_no.as_ref().is_some_and(|shown| shown.as_str() == number);
    let ours: Vec<&types::RefundOrder> = rows.rows.iter().filter(bears).collect();
    let answer = by_number(&ours, rows.bad.first(), number, about, ended_at);
    let mut evidence: Vec<String> = ours.iter().map(|row| line(row)).collect();
    if ours.is_empty() {
        evidence.extend([format!("refund_order.list shows no refund {number}"), SILENT.to_owned()]);
    }
    Finding { evidence, ..Finding::new(answer, asked_at) }
}

/// Why a list without a row proves nothing.
pub(super) const SILENT: &str = "refunds of cash and member cards never appear in refund_order.list";

fn by_number(
    ours: &[&types::RefundOrder],
    bad: Option<&BadRow>,
    number: &str,
    about: &RefundCall,
    ended_at: Timestamp,
) -> Answer {
    let doubt = |message: String| Answer {
        upstream_refund_no: Some(number.to_owned()),
        message: Some(message),
        ..Answer::new(Outcome::InDoubt, ended_at)
    };
    let row = match ours {
        [row] => row,
        [] => {
            return doubt(match bad {
                Some(bad) => format!("refund_order.list: data[{}]: {}", bad.index, bad.why),
                None => format!("refund_order.list shows no refund {number}, which proves nothing"),
            });
        }
        _ => return doubt(format!("refund_order.list shows {number} more than once")),
    };
    if let Some(amount) = row.refund_amount.filter(|amount| amount.fen() != about.refund.amount.fen()) {
        return doubt(format!("refund_order.list names {amount} fen for {number}, not {}", about.refund.amount.fen()));
    }
    of_row(row, Some(number.to_owned()), ended_at)
}

/// What one row says, whoever's it is; `number` goes into the answer.
pub(super) fn of_row(row: &types::RefundOrder, number: Option<String>, ended_at: Timestamp) -> Answer {
    let word = row.status.as_ref().map_or("", RefundStatus::as_str);
    let told = text(row.channel_err_msg.as_ref());
    Answer {
        upstream_refund_no: number,
        code: Some("0".to_owned()),
        message: Some(told.map_or_else(
            || format!("refund_order.list: status {word}"),
            |told| format!("refund_order.list: status {word}: {told}"),
        )),
        ..Answer::new(outcome_of(row.status.as_ref()), ended_at)
    }
}

/// `MR01..: 5.00 yuan, status 2, made "2019-08-24 09:30:15"`.
pub(super) fn line(row: &types::RefundOrder) -> String {
    let number = text(row.mch_refund_no.as_ref()).unwrap_or_else(|| "a refund without a number".to_owned());
    let amount = match row.refund_amount.map(|amount| Money::from_fen(amount.fen())) {
        Some(Ok(amount)) => format!("{amount} yuan"),
        Some(Err(_)) | None => "no amount".to_owned(),
    };
    let status = row.status.as_ref().map_or("none", RefundStatus::as_str);
    let made = row.create_time.as_ref().map_or("at an unknown time".to_owned(), |made| format!("\"{}\"", made.raw()));
    format!("{number}: {amount}, status {status}, made {made}")
}

/// What the status of a gateway's row tells; 0 and 1 are on their way there.
fn outcome_of(status: Option<&RefundStatus>) -> Outcome {
    match status {
        Some(RefundStatus::Succeeded) => Outcome::Succeeded,
        Some(RefundStatus::Failed) => Outcome::Declined,
        Some(RefundStatus::Created | RefundStatus::Processing) => Outcome::Accepted,
        Some(RefundStatus::BusinessDone | RefundStatus::Other(_)) | None => Outcome::InDoubt,
    }
}

/// A refund as the gateway's list shows it.
pub(super) fn seen(row: &types::RefundOrder) -> Result<SeenRefund, Strange> {
    Ok(SeenRefund {
        key: None,
        upstream_refund_no: text(row.mch_refund_no.as_ref()),
        order: text(row.pay_order_id.as_ref()).map(|number| ("payOrderId".to_owned(), number)).into_iter().collect(),
        amount: money("refundAmount", row.refund_amount.map(Fen::fen))?,
        outcome: outcome_of(row.status.as_ref()),
        upstream_status: row.status.as_ref().map(|word| word.as_str().to_owned()),
        at: row.refund_succ_time.as_ref().map(instant),
    })
}

/// A refund as memberPay/refund answers it.
pub(super) fn seen_taken(refund: &types::Refund, outcome: Outcome) -> SeenRefund {
    SeenRefund {
        key: None,
        upstream_refund_no: text(refund.mch_refund_order_id.as_ref()),
        order: Vec::new(),
        amount: None,
        outcome,
        upstream_status: refund.status.as_ref().map(|word| word.as_str().to_owned()),
        at: None,
    }
}

fn text(text: Option<&Text>) -> Option<String> {
    text.and_then(Text::non_empty).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(code: &str, msg: &str) -> (Outcome, Option<BlockReason>) {
        let answer = refused(&Refusal { code: code.to_owned(), msg: msg.to_owned() }, Timestamp::EPOCH);
        assert_eq!(answer.code.as_deref(), Some(code));
        (answer.outcome, answer.blocked)
    }

    #[test]
    fn every_code_has_its_row() {
        assert_eq!(judged("1001", "Unauthorized"), (Outcome::Blocked, Some(BlockReason::Credentials)));
        assert_eq!(judged("12077", "当前订单存在一笔退款中订单"), (Outcome::Blocked, Some(BlockReason::Busy)));
        for code in ["10001", "10002", "12001", "12025", "12062", "12063", "12066", "12075", "12099", "12100"] {
            assert_eq!(judged(code, "refused"), (Outcome::Declined, None), "{code}");
        }
        for code in ["10003", "10999", "10004", "12059", "-1", "200", "x"] {
            assert_eq!(judged(code, "failed"), (Outcome::InDoubt, None), "{code}");
        }
    }

    #[test]
    fn of_99999_only_a_missing_parameter_is_declined() {
        assert_eq!(judged("99999", "系统异常[参数refundAmount必填]"), (Outcome::Declined, None));
        for msg in [
            "系统异常[java.net.SocketTimeoutException: Read timed out]",
            "系统异常[参数错误]",
            "系统异常[参数必填]",
            "系统异常[参数refundAmount必填] after it was sent",
            "",
        ] {
            assert_eq!(judged("99999", msg), (Outcome::InDoubt, None), "{msg}");
        }
    }

    #[test]
    fn code_0_is_judged_by_the_refunds_status() {
        let outcome = |body: &str| {
            let refund: Option<types::Refund> = serde_json::from_str(body).expect("a refund");
            let answer = taken(refund.as_ref(), Timestamp::EPOCH);
            (answer.outcome, answer.upstream_refund_no)
        };
        let number = || Some("MR01".to_owned());
        for (status, expected) in [
            ("2", Outcome::Succeeded),
            ("1", Outcome::Accepted),
            ("3", Outcome::Declined),
            ("\"2\"", Outcome::Succeeded),
            ("0", Outcome::InDoubt),
            ("4", Outcome::InDoubt),
            ("9", Outcome::InDoubt),
            ("null", Outcome::InDoubt),
        ] {
            let body = format!(r#"{{"mchRefundOrderId":"MR01","status":{status}}}"#);
            assert_eq!(outcome(&body), (expected, number()), "{status}");
        }
        assert_eq!(outcome("null"), (Outcome::InDoubt, None));
    }
}
