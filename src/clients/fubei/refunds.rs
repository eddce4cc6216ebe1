//! What Fubei's answers about refunds mean.
//!
//! `order.refund` has no status: 200 means accepted. `refund.query` knows the status of one refund by our own number.
//! `refund.statistics` says how much and how often, without naming anyone's refund.

use crate::clients::decode::SeenRefund;
use crate::clients::fields::{Strange, instant, money};
use crate::clients::wire::{Text, Yuan};
use crate::domain::{Answer, Baseline, Finding, Money, Outcome, Reference, RefundKey, Timestamp};
use crate::gateway::RefundCall;

use super::api::open::RefundStatus;
use super::api::types;
use super::envelope::Seen;
use super::orders::{Refunds, refunds_of};

/// What refund.query says about one refund of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// Its row, which bears our own number, amount and order.
    Ours { outcome: Outcome, refund_sn: Option<String>, code: String, words: String, line: String },
    /// A row that is not clearly ours, or a word nobody knows: proves nothing.
    Unclear(String),
    /// The gateway knows no refund of that number.
    Absent(String),
    /// The question was refused or not answered: proves nothing.
    Unanswered(String),
}

/// What a status tells about the money.
pub(super) fn outcome_of(status: Option<&RefundStatus>) -> Outcome {
    match status {
        Some(RefundStatus::Success) => Outcome::Succeeded,
        Some(RefundStatus::Processing) => Outcome::Accepted,
        Some(RefundStatus::Failer | RefundStatus::Fail) => Outcome::Declined,
        Some(RefundStatus::Other(_)) | None => Outcome::InDoubt,
    }
}

/// Reads refund.query's answer about `call`.
pub(super) fn row(seen: &Seen<types::Refund>, call: &RefundCall) -> Row {
    match seen {
        Seen::Done { data: Some(refund), code, message, .. } => judge_row(refund, code, message.as_deref(), call),
        Seen::Done { data: None, .. } => Row::Absent("refund.query answers without a refund".to_owned()),
        Seen::Refused(refusal) if refusal.names_credentials() || refusal.names_haste() => {
            Row::Unanswered(format!("refund.query was refused: {}", refusal.words()))
        }
        // 400 is the documented code of a question that failed; other codes only with words that say so.
        Seen::Refused(refusal) if refusal.names_absence() || refusal.code == "400" => {
            Row::Absent(format!("refund.query knows no such number: {}", refusal.words()))
        }
        Seen::Refused(refusal) => Row::Unanswered(format!("refund.query was refused: {}", refusal.words())),
        Seen::Failed(failure) => Row::Unanswered(format!("refund.query: {failure}")),
    }
}

fn judge_row(refund: &types::Refund, code: &str, message: Option<&str>, call: &RefundCall) -> Row {
    let key = &call.refund.key;
    let shown = refund.merchant_refund_sn.as_ref().and_then(Text::non_empty);
    if shown != Some(key.as_str()) {
        return Row::Unclear(format!("refund.query answers about {}, not about {key}", shown.unwrap_or("no number")));
    }
    if let Some(order) = refund.order_sn.as_ref().and_then(Text::non_empty)
        && call.native.kind == "order_sn"
        && order != call.native.number
    {
        return Row::Unclear(format!("refund.query names order {order}, not {}", call.native.number));
    }
    if let Some(amount) = refund.refund_money
        && amount.fen() != call.refund.amount.fen()
    {
        return Row::Unclear(format!("refund.query names the amount {amount}, not {}", call.refund.amount));
    }
    let outcome = outcome_of(refund.refund_status.as_ref());
    let word = refund.refund_status.as_ref().map_or("", RefundStatus::as_str);
    if outcome == Outcome::InDoubt {
        return Row::Unclear(format!("refund.query gives the status {word:?}"));
    }
    let shown = [
        Some(word.to_owned()),
        refund.refund_money.map(|amount| format!("{amount} yuan")),
        text(refund.refund_sn.as_ref()).map(|number| format!("refund_sn {number}")),
        refund.refund_time.as_ref().map(|at| format!("done {} in Beijing", instant(at).beijing())),
    ];
    Row::Ours {
        outcome,
        refund_sn: text(refund.refund_sn.as_ref()),
        code: code.to_owned(),
        words: format!("{}: {word}", message.unwrap_or("refund.query")),
        line: format!("refund.query: {}", shown.into_iter().flatten().collect::<Vec<_>>().join(", ")),
    }
}

/// The order's books beside what they were before the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Books {
    verdict: Verdict,
    /// What was read and what it is compared with, a line each.
    figures: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// Amount and count equal the baseline's.
    Unchanged,
    /// They moved, or nobody knows.
    Unproven(String),
}

/// Compares refund.statistics with the figures noted before the attempt.
pub(super) fn books(seen: Seen<types::RefundStatistics>, native: &Reference, baseline: Option<&Baseline>) -> Books {
    let unread = |why: String| Books { figures: vec![why.clone()], verdict: Verdict::Unproven(why) };
    let statistics = match seen {
        Seen::Done { data: Some(statistics), .. } => statistics,
        Seen::Done { data: None, .. } => return unread("refund.statistics answers without figures".to_owned()),
        Seen::Refused(refusal) => return unread(format!("refund.statistics was refused: {}", refusal.words())),
        Seen::Failed(failure) => return unread(format!("refund.statistics: {failure}")),
    };
    let refunds = match refunds_of(statistics, native) {
        Ok(refunds) => refunds,
        Err(Strange(why)) => return unread(format!("refund.statistics: {why}")),
    };
    let verdict = match (baseline, &refunds) {
        (
            Some(Baseline { refunded: Some(before), count: Some(count), .. }),
            Refunds { total: Some(now), count: Some(now_count), .. },
        ) if before == now && count == now_count => Verdict::Unchanged,
        (Some(Baseline { refunded: Some(before), .. }), Refunds { total: Some(now), .. }) => {
            Verdict::Unproven(format!("refund.statistics moved from {before} to {now} refunded"))
        }
        _ => Verdict::Unproven("refund.statistics cannot be compared: a figure is missing".to_owned()),
    };
    let before = match baseline {
        Some(before) => format!("before the attempt: {}", figures(before.refunded, before.count)),
        None => "before the attempt: nothing was noted".to_owned(),
    };
    let now = format!("refund.statistics: {}", figures(refunds.total, refunds.count));
    Books { verdict, figures: vec![now, before] }
}

fn figures(refunded: Option<Money>, count: Option<u32>) -> String {
    let known = |text: Option<String>| text.unwrap_or_else(|| "an unknown amount".to_owned());
    let count = count.map_or_else(|| "an unknown number of".to_owned(), |count| count.to_string());
    format!("{} refunded, {count} refunds", known(refunded.map(|amount| format!("{amount} yuan"))))
}

/// The answer to an attempt that the gateway refused with `code` and `words`, after both reads that followed it.
///
/// Declined only if the gateway refused this very attempt, knows no such refund, and its books are as before.
pub(super) fn after_refusal(code: &str, words: &str, row: Row, books: &Books, ended_at: Timestamp) -> Answer {
    match (row, &books.verdict) {
        (ours @ Row::Ours { .. }, _) => of_row(ours, None, ended_at),
        (Row::Absent(_), Verdict::Unchanged) => Answer {
            code: Some(code.to_owned()),
            message: Some(words.to_owned()),
            ..Answer::new(Outcome::Declined, ended_at)
        },
        (row, _) => Answer {
            code: Some(code.to_owned()),
            message: Some(format!("{words}; {}; {}", row.why(), books.why())),
            ..Answer::new(Outcome::InDoubt, ended_at)
        },
    }
}

/// The answer to a probe: refund.query's row, or with the books what a person must weigh.
pub(super) fn found(row: Row, books: Option<&Books>, asked_at: Timestamp, ended_at: Timestamp) -> Finding {
    let mut evidence = vec![match &row {
        Row::Ours { line, .. } => line.clone(),
        row => row.why().to_owned(),
    }];
    evidence.extend(books.iter().flat_map(|books| books.figures.clone()));
    Finding { evidence, ..Finding::new(of_row(row, books, ended_at), asked_at) }
}

fn of_row(row: Row, books: Option<&Books>, ended_at: Timestamp) -> Answer {
    match row {
        Row::Ours { outcome, refund_sn, code, words, .. } => Answer {
            upstream_refund_no: refund_sn,
            code: Some(code),
            message: Some(words),
            ..Answer::new(outcome, ended_at)
        },
        row => {
            let evidence = books.map(|books| format!("; {}", books.why())).unwrap_or_default();
            Answer { message: Some(format!("{}{evidence}", row.why())), ..Answer::new(Outcome::InDoubt, ended_at) }
        }
    }
}

impl Row {
    fn why(&self) -> &str {
        match self {
            Row::Ours { words, .. } => words,
            Row::Unclear(why) | Row::Absent(why) | Row::Unanswered(why) => why,
        }
    }
}

impl Books {
    fn why(&self) -> &str {
        match &self.verdict {
            Verdict::Unchanged => "refund.statistics is as before the attempt",
            Verdict::Unproven(why) => why,
        }
    }
}

/// The answer to an attempt that got 200: accepted, unless it speaks of another refund.
pub(super) fn accepted(
    data: Option<&types::AcceptedRefund>,
    code: String,
    message: Option<String>,
    key: Option<&RefundKey>,
    ended_at: Timestamp,
) -> Answer {
    let shown = data.and_then(|data| data.merchant_refund_sn.as_ref()).and_then(Text::non_empty);
    if let (Some(shown), Some(key)) = (shown, key)
        && shown != key.as_str()
    {
        return Answer {
            code: Some(code),
            message: Some(format!("the answer is about refund {shown}, not about {key}")),
            ..Answer::new(Outcome::InDoubt, ended_at)
        };
    }
    Answer {
        upstream_refund_no: text(data.and_then(|data| data.refund_sn.as_ref())),
        code: Some(code),
        message,
        ..Answer::new(Outcome::Accepted, ended_at)
    }
}

/// A row of refund.query as it is shown.
pub(super) fn seen(refund: &types::Refund) -> Result<SeenRefund, Strange> {
    Ok(SeenRefund {
        key: text(refund.merchant_refund_sn.as_ref()),
        upstream_refund_no: text(refund.refund_sn.as_ref()),
        order: numbers([
            ("order_sn", refund.order_sn.as_ref()),
            ("merchant_order_sn", refund.merchant_order_sn.as_ref()),
            ("trade_no", refund.trade_no.as_ref()),
        ]),
        amount: amount("data.refund_money", refund.refund_money)?,
        outcome: outcome_of(refund.refund_status.as_ref()),
        upstream_status: refund.refund_status.as_ref().map(|status| status.as_str().to_owned()),
        at: refund.refund_time.as_ref().map(instant),
    })
}

/// The numbers of an accepted refund as they are shown.
pub(super) fn seen_accepted(refund: &types::AcceptedRefund) -> SeenRefund {
    SeenRefund {
        key: text(refund.merchant_refund_sn.as_ref()),
        upstream_refund_no: text(refund.refund_sn.as_ref()),
        order: numbers([
            ("order_sn", refund.order_sn.as_ref()),
            ("merchant_order_sn", refund.merchant_order_sn.as_ref()),
            ("trade_no", refund.trade_no.as_ref()),
        ]),
        amount: None,
        outcome: Outcome::Accepted,
        upstream_status: None,
        at: None,
    }
}

fn amount(path: &str, yuan: Option<Yuan>) -> Result<Option<Money>, Strange> {
    money(path, yuan.map(Yuan::fen))
}

fn text(text: Option<&Text>) -> Option<String> {
    text.and_then(Text::non_empty).map(str::to_owned)
}

fn numbers<const N: usize>(all: [(&str, Option<&Text>); N]) -> Vec<(String, String)> {
    all.into_iter().filter_map(|(kind, number)| Some((kind.to_owned(), text(number)?))).collect()
}
