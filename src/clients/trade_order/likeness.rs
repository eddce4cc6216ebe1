//! The refund that nobody numbered: which row of the gateway's list can be it.
//!
//! trade_order takes no number of ours, and with a lost answer its own is lost too. What is left is likeness: a row of the
//! same order over the same amount, made after this attempt began, which no other refund here claims. One such row is
//! taken for it; none proves nothing, and of several nobody can tell.
//!
//! # Time
//! A row's time is the upstream's, the attempt's is ours. The answer's `Date` says how far the two clocks are apart, and
//! moves the bound; clocks more than [`SLACK_S`] apart tie no row to any attempt. A row made up to that long before the
//! attempt may be its own on a clock that was set in between, or another's: it is shown and never taken. So an earlier
//! attempt's failed row does not decline this one.

use crate::clients::wire::Text;
use crate::domain::{Answer, Finding, Money, Outcome, Proof, Timestamp};
use crate::gateway::{RefundCall, RefundSpan};

use super::api::types;
use super::list::whole_second;
use super::orders::{as_beijing, is_labelled_utc};
use super::refund_list::Found;
use super::refunds::{SILENT, line, of_row};

/// How far the upstream's clock may be from ours, and how far around the attempt the list is asked for, in seconds.
const SLACK_S: i64 = 600;

/// What whole seconds in rows and in `Date`, and a database beside its server, can make of one moment, in seconds.
const ROUNDING_S: i64 = 2;

/// A label that is untrue is so by eight hours; clocks of one installation differ by seconds. In seconds.
const DISPROOF_S: i64 = 3_600;

/// More rows than this help no person.
const MOST_LINES: usize = 10;

/// What a row must be like.
#[derive(Debug)]
pub(super) struct Alike<'a> {
    pay_order: &'a str,
    amount: Money,
    others: &'a [String],
    pub(super) sent_at: Timestamp,
}

impl<'a> Alike<'a> {
    /// What the row of this refund is like, or why it can have none that would be known.
    pub(super) fn of(about: &'a RefundCall) -> Result<Alike<'a>, &'static str> {
        let pay_order = about.references.iter().find(|number| number.kind == "payOrderId");
        let pay_order =
            pay_order.ok_or("the order has no payOrderId, by which its refunds could be told from others")?;
        let sent_at = about.refund.sent_at.ok_or("the refund has no attempt that could have made one")?;
        Ok(Alike { pay_order: &pay_order.number, amount: about.refund.amount, others: &about.others, sent_at })
    }

    /// Whether a row may be the refund's, but for its time; one without an amount may.
    fn resembles(&self, row: &types::RefundOrder) -> bool {
        let shown = |text: &Option<Text>| text.as_ref().map(|text| text.as_str().to_owned());
        shown(&row.pay_order_id).as_deref() == Some(self.pay_order)
            && row.refund_amount.is_none_or(|amount| amount.fen() == self.amount.fen())
            && shown(&row.mch_refund_no).is_none_or(|number| !self.others.contains(&number))
    }

    /// Whether a row that cannot be read may be the refund's: unless it is legibly another's.
    fn may_be(&self, raw: &serde_json::Value) -> bool {
        let text = |name: &str| raw.get(name).and_then(serde_json::Value::as_str);
        text("payOrderId").is_none_or(|order| order == self.pay_order)
            && text("mchRefundNo").is_none_or(|number| !self.others.iter().any(|other| other == number))
    }
}

/// When the row of an attempt can have been made, by the upstream's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    from_s: i64,
    /// From here on a row is surely not older than the attempt; `None` where the clocks are too far apart.
    since_s: Option<i64>,
    to_s: i64,
}

impl Window {
    /// The window of an attempt that began at `sent_at`, asked about at `asked_at`; the upstream's clock is `ahead_s` ahead.
    pub(super) fn around(sent_at: Timestamp, asked_at: Timestamp, ahead_s: i64) -> Window {
        let sent_s = sent_at.unix_seconds();
        Window {
            from_s: sent_s.saturating_sub(SLACK_S),
            since_s: (-SLACK_S..=SLACK_S).contains(&ahead_s).then(|| sent_s.saturating_add(ahead_s - ROUNDING_S)),
            to_s: asked_at.unix_seconds().saturating_add(SLACK_S),
        }
    }

    pub(super) fn from(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.from_s).unwrap_or(Timestamp::EPOCH)
    }

    pub(super) fn to(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.to_s).unwrap_or(Timestamp::EPOCH)
    }

    fn place(&self, row: &types::RefundOrder) -> Place {
        let moments = made_s(row);
        if moments.is_empty() {
            return Place::Unclear;
        }
        // Nothing was made in the future: where a label gives two readings, that leaves the other.
        let mut possible = moments.into_iter().filter(|at| *at <= self.to_s).peekable();
        let any = possible.peek().is_some();
        let (mut all_since, mut all_before) = (true, true);
        for at in possible {
            all_since &= self.since_s.is_some_and(|since| at >= since);
            all_before &= at < self.from_s;
        }
        match (any, all_since, all_before) {
            (false, ..) | (true, _, true) => Place::Outside,
            (true, true, false) => Place::Since,
            (true, false, false) => Place::Unclear,
        }
    }
}

/// Where a row lies to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Made after it began.
    Since,
    /// Perhaps before.
    Unclear,
    /// Long before, or in the future.
    Outside,
}

/// The moments at which a row may have been made, in unix seconds: two where it is labelled UTC, for a server may label
/// Beijing wall clock so (see [`orders`](super::orders)), unless the row itself disproves the label.
fn made_s(row: &types::RefundOrder) -> Vec<i64> {
    let Some(made) = &row.create_time else { return Vec::new() };
    let literal_s = made.instant().as_second();
    match as_beijing(made) {
        Some(beijing) if is_labelled_utc(made) => {
            let done_s = row.refund_succ_time.as_ref().map(|done| done.instant().as_second());
            match done_s {
                Some(done_s) if literal_s > done_s.saturating_add(DISPROOF_S) => vec![beijing.unix_seconds()],
                _ => vec![literal_s, beijing.unix_seconds()],
            }
        }
        _ => vec![literal_s],
    }
}

/// Whether a row was made outside of a span by every reading of its time. Rows have whole seconds.
pub(super) fn surely_outside(row: &types::RefundOrder, span: RefundSpan) -> bool {
    let moments = made_s(row);
    let inside = |at: &i64| (span.from.unix_seconds()..whole_second(span.to).unix_seconds()).contains(at);
    !moments.is_empty() && !moments.iter().any(inside)
}

/// A finding without a question.
pub(super) fn nothing_asked(why: &str, asked_at: Timestamp, ended_at: Timestamp) -> Finding {
    let answer = Answer { message: Some(why.to_owned()), ..Answer::new(Outcome::InDoubt, ended_at) };
    let evidence = vec![why.to_owned(), SILENT.to_owned()];
    Finding { proof: Proof::Likeness, evidence, ..Finding::new(answer, asked_at) }
}

/// What the rows around an attempt tell about its refund.
pub(super) fn judge(
    found: &Found,
    alike: &Alike<'_>,
    window: &Window,
    asked_at: Timestamp,
    ended_at: Timestamp,
) -> Finding {
    let rows = found.rows.values().filter(|row| alike.resembles(row)).map(|row| (row, window.place(row)));
    let rows: Vec<(&types::RefundOrder, Place)> = rows.filter(|(_, place)| *place != Place::Outside).collect();
    let unread: Vec<&str> =
        found.bad.values().filter(|row| alike.may_be(&row.raw)).map(|row| row.why.as_str()).collect();
    let answer = match (rows.as_slice(), unread.len()) {
        ([(row, Place::Since)], 0) => taken(row, ended_at),
        ([], 0) => doubt("refund_order.list shows no refund like this one, which proves nothing", ended_at),
        ([_], 0) => doubt("the refund in refund_order.list that is like this one may be an older one", ended_at),
        _ => doubt("several refunds in refund_order.list may be this one", ended_at),
    };
    // The same words as long as the same is found: no moment of asking is in them.
    let mut evidence = vec![format!(
        "refund_order.list, made since {} in Beijing: {} of {} over {} yuan that no other refund here claims",
        window.from().beijing(),
        rows.len() + unread.len(),
        alike.pay_order,
        alike.amount,
    )];
    if window.since_s.is_none() {
        evidence.push(format!(
            "this clock and the upstream's are more than {SLACK_S} s apart: no row can be tied to the attempt"
        ));
    }
    let shown = rows.iter().map(|(row, place)| match place {
        Place::Unclear => format!("{}; perhaps made before the attempt", line(row)),
        Place::Since | Place::Outside => line(row),
    });
    let unread = unread.iter().map(|why| format!("a row that cannot be read: {why}"));
    evidence.extend(shown.chain(unread).take(MOST_LINES));
    if answer.outcome == Outcome::InDoubt {
        evidence.push(SILENT.to_owned());
    }
    Finding { proof: Proof::Likeness, evidence, ..Finding::new(answer, asked_at) }
}

/// The one row that is like it, if it says enough to be taken.
fn taken(row: &types::RefundOrder, ended_at: Timestamp) -> Answer {
    let number = row.mch_refund_no.as_ref().and_then(Text::non_empty);
    match (number, row.refund_amount) {
        (Some(number), Some(_)) => {
            let answer = of_row(row, Some(number.to_owned()), ended_at);
            // A number that settles nothing must not make the next question look like one by number.
            let settles = answer.outcome != Outcome::InDoubt;
            Answer { upstream_refund_no: answer.upstream_refund_no.filter(|_| settles), ..answer }
        }
        _ => doubt("the refund in refund_order.list that is like this one has no number or no amount", ended_at),
    }
}

fn doubt(why: &str, ended_at: Timestamp) -> Answer {
    Answer { message: Some(why.to_owned()), ..Answer::new(Outcome::InDoubt, ended_at) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::clients::wire::Rows;
    use crate::domain::{DeviceName, Reference, Refund, RefundKey, Requested};

    /// Sent at 09:30:15.4 in Beijing, asked about a minute later.
    const SENT_MS: i64 = 1_566_610_215_400;
    const ASKED_S: i64 = 1_566_610_275;

    fn call() -> RefundCall {
        let sent_at = Timestamp::from(jiff::Timestamp::from_millisecond(SENT_MS).expect("a moment"));
        let amount = Money::from_fen(500).expect("an amount");
        let (key, device) = (RefundKey::new("k-1").expect("a key"), DeviceName::new("till-3").expect("a name"));
        let native = Reference::new("tradeOrderId", "E1").expect("a number");
        let refund = Refund::queued(key, Requested::Exactly(amount), amount, device, sent_at);
        RefundCall {
            refund: Refund { sent_at: Some(sent_at), attempts: 1, ..refund },
            references: vec![native.clone(), Reference::new("payOrderId", "P1").expect("a number")],
            native,
            paid: Money::from_fen(1_900).expect("an amount"),
            baseline: None,
            others: vec!["MR9".to_owned()],
            lease: None,
        }
    }

    /// A row like the refund, made when it was sent, with other fields as given.
    fn row(fields: Value) -> Value {
        let mut row = json!({
            "mchRefundNo": "MR1", "payOrderId": "P1", "refundAmount": 500, "status": 2, "createTime": "2019-08-24 09:30:15",
        });
        for (name, value) in fields.as_object().expect("an object") {
            row[name] = value.clone();
        }
        row
    }

    fn judged(rows: Vec<Value>, ahead_s: i64) -> Finding {
        let rows: Rows<types::RefundOrder> = serde_json::from_value(Value::Array(rows)).expect("rows");
        let mut found = Found { ahead_s, ..Found::default() };
        found.take(rows);
        let (call, asked_at) = (call(), Timestamp::from_unix_seconds(ASKED_S).expect("a moment"));
        let alike = Alike::of(&call).expect("it can be looked for");
        judge(&found, &alike, &Window::around(alike.sent_at, asked_at, ahead_s), asked_at, asked_at)
    }

    fn told(fields: Value) -> (Outcome, Option<String>) {
        let found = judged(vec![row(fields)], 0);
        assert_eq!(found.proof, Proof::Likeness);
        (found.answer.outcome, found.answer.upstream_refund_no)
    }

    #[test]
    fn one_row_like_the_refund_is_taken_with_its_number() {
        let number = || Some("MR1".to_owned());
        assert_eq!(told(json!({})), (Outcome::Succeeded, number()));
        assert_eq!(told(json!({"status": "1"})), (Outcome::Accepted, number()));
        assert_eq!(told(json!({"status": 0})), (Outcome::Accepted, number()));
        assert_eq!(told(json!({"status": 3})), (Outcome::Declined, number()));
        for status in [json!(4), json!(9), json!(null)] {
            assert_eq!(told(json!({"status": status})), (Outcome::InDoubt, None), "{status}");
        }
        let found = judged(vec![row(json!({}))], 0);
        let lines = [
            "refund_order.list, made since 2019-08-24 09:20:15 in Beijing: \
             1 of P1 over 5.00 yuan that no other refund here claims",
            "MR1: 5.00 yuan, status 2, made \"2019-08-24 09:30:15\"",
        ];
        assert_eq!(found.evidence, lines);
    }

    #[test]
    fn a_row_of_another_order_amount_number_or_time_is_none() {
        for fields in [
            json!({"payOrderId": "P2"}),
            json!({"payOrderId": null}),
            json!({"refundAmount": 501}),
            json!({"mchRefundNo": "MR9"}),
            json!({"createTime": "2019-08-24 09:20:14"}),
            json!({"createTime": "2019-08-24 09:41:16"}),
            json!({"createTime": 1_566_523_815}),
        ] {
            let found = judged(vec![row(fields.clone())], 0);
            let said = (found.answer.outcome, found.answer.message.unwrap_or_default(), found.evidence.len());
            let none = "refund_order.list shows no refund like this one, which proves nothing".to_owned();
            assert_eq!(said, (Outcome::InDoubt, none, 2), "{fields}");
            // It does not hide the one that is.
            let with_ours = judged(vec![row(fields), row(json!({"mchRefundNo": "MR2"}))], 0);
            assert_eq!(with_ours.answer.upstream_refund_no.as_deref(), Some("MR2"));
        }
    }

    #[test]
    fn a_row_that_may_be_the_refunds_is_not_taken_and_lets_no_other_be_taken() {
        for fields in [
            json!({"createTime": "2019-08-24 09:30:12"}),
            json!({"createTime": "2019-08-24 09:20:15"}),
            // An earlier attempt that failed says nothing about this one.
            json!({"createTime": "2019-08-24 09:25:00", "status": 3}),
            json!({"createTime": null}),
            json!({"createTime": "yesterday"}),
            json!({"createTime": "yesterday", "payOrderId": 5}),
            json!({"refundAmount": null}),
            json!({"refundAmount": "5.001"}),
            json!({"mchRefundNo": null}),
        ] {
            let alone = judged(vec![row(fields.clone())], 0);
            assert_eq!(alone.answer.outcome, Outcome::InDoubt, "{fields}");
            assert_eq!((alone.evidence.len(), alone.evidence[2].as_str()), (3, SILENT), "{:?}", alone.evidence);
            let beside = judged(vec![row(fields.clone()), row(json!({"mchRefundNo": "MR2"}))], 0);
            let why = "several refunds in refund_order.list may be this one".to_owned();
            assert_eq!((beside.answer.outcome, beside.answer.message), (Outcome::InDoubt, Some(why)), "{fields}");
        }
        // Rows that cannot be read and are legibly another's are no matter.
        for fields in
            [json!({"createTime": "yesterday", "payOrderId": "P2"}), json!({"status": {}, "mchRefundNo": "MR9"})]
        {
            let beside = judged(vec![row(fields.clone()), row(json!({"mchRefundNo": "MR2"}))], 0);
            assert_eq!(beside.answer.outcome, Outcome::Succeeded, "{fields}");
        }
        let two = judged(vec![row(json!({})), row(json!({"mchRefundNo": "MR2", "status": 3}))], 0);
        assert_eq!((two.answer.outcome, two.evidence.len()), (Outcome::InDoubt, 4));
    }

    #[test]
    fn the_bound_moves_with_the_upstreams_clock_and_falls_where_the_clocks_are_far_apart() {
        let outcome = |made: &str, ahead_s: i64| judged(vec![row(json!({"createTime": made}))], ahead_s).answer.outcome;
        // Five minutes behind, the refund's own row bears a time before it was sent.
        assert_eq!(outcome("2019-08-24 09:25:15", -300), Outcome::Succeeded);
        assert_eq!(outcome("2019-08-24 09:25:12", -300), Outcome::InDoubt);
        // Five minutes ahead, a row with the attempt's time is older than it.
        assert_eq!(outcome("2019-08-24 09:30:15", 300), Outcome::InDoubt);
        assert_eq!(outcome("2019-08-24 09:35:15", 300), Outcome::Succeeded);
        for ahead_s in [-601, 601, 86_400, i64::MIN + 1, i64::MAX] {
            let found = judged(vec![row(json!({}))], ahead_s);
            assert_eq!(found.answer.outcome, Outcome::InDoubt, "{ahead_s}");
            assert!(found.evidence[1].starts_with("this clock and the upstream's are"), "{:?}", found.evidence);
        }
    }

    #[test]
    fn a_label_is_believed_only_where_every_reading_of_it_agrees() {
        let outcome = |made: &str, done: Value| told(json!({"createTime": made, "refundSuccTime": done})).0;
        // Beijing time labelled UTC, read literally, would be in the future.
        assert_eq!(outcome("2019-08-24T09:30:15.000+0000", json!(null)), Outcome::Succeeded);
        assert_eq!(outcome("2019-08-24T09:30:15.000+0000", json!("2019-08-24T01:30:18.000+0000")), Outcome::Succeeded);
        // A true label: the other reading is eight hours before the attempt, and nothing tells them apart.
        assert_eq!(outcome("2019-08-24T01:30:15.000+00:00", json!("2019-08-24T01:30:18.000+0000")), Outcome::InDoubt);
        // Eight hours old by an untrue label that the row disproves.
        assert_eq!(outcome("2019-08-24T01:30:15.000+0000", json!("2019-08-23T17:30:18.000+0000")), Outcome::InDoubt);
        // Another offset is no question.
        assert_eq!(outcome("2019-08-24T09:30:15.000+08:00", json!(null)), Outcome::Succeeded);
    }

    #[test]
    fn a_refund_that_cannot_be_known_is_not_looked_for() {
        let mut cash = call();
        cash.references.truncate(1);
        let why = Alike::of(&cash).expect_err("no payment behind it");
        assert_eq!(why, "the order has no payOrderId, by which its refunds could be told from others");
        let mut unsent = call();
        unsent.refund.sent_at = None;
        assert_eq!(Alike::of(&unsent).expect_err("not sent"), "the refund has no attempt that could have made one");
    }
}
