//! What the fixture's ledger holds: every event with every word it can bear in format 1.
//!
//! The events are given as they are, not by the rules: a later version's rules must not change what is here.

use std::sync::Arc;

use std::collections::BTreeMap;
use std::time::Duration;

use tillbook::domain::{
    Answer, Baseline, BlockReason, Event, Facts, Finding, Money, OrderId, OrderStatus, Outcome, PaidAtSource,
    PaymentMethod, Proof, RefundState, Requested, Verdict,
};
use tillbook::storage::{Claims, Transaction};

use crate::storage::fixture::{account, at, facts, fen, key, order};

/// One commit: what it does to an order, and when.
pub(super) fn commit(order: &OrderId, seconds: i64, events: Vec<Event>) -> Transaction {
    let references = events.iter().filter_map(facts_of).flat_map(Facts::all_references).collect();
    let claims = Claims { references, refund_key: None };
    let decide = Box::new(move |_: &_| Ok(events.clone()));
    Transaction { order: order.clone(), account: account(), claims, now: at(seconds), decide }
}

fn facts_of(event: &Event) -> Option<&Facts> {
    match event {
        Event::OrderRecorded { facts, .. } | Event::FactsSeen { facts, .. } => Some(facts),
        _ => None,
    }
}

pub(super) fn seen(facts: Facts) -> Event {
    Event::FactsSeen { facts: Arc::new(facts), external: Money::ZERO, unsettled: Money::ZERO }
}

fn held(name: &str, amount: i64) -> Event {
    Event::RefundHeld {
        key: key(name),
        requested: Requested::Exactly(fen(amount)),
        amount: fen(amount),
        memo: None,
        by: None,
        due_at: at(10),
        needs_approval: false,
    }
}

fn started(name: &str, attempt: u32) -> Event {
    Event::AttemptStarted { key: key(name), attempt, baseline: None }
}

fn answered(name: &str, outcome: Outcome) -> Event {
    answered_with(name, Answer::new(outcome, at(20)))
}

fn answered_with(name: &str, answer: Answer) -> Event {
    Event::Answered {
        key: key(name),
        state: answer.outcome.state(),
        answer,
        due_at: at(30),
        external: Money::ZERO,
        unsettled: Money::ZERO,
        fenced: false,
    }
}

fn to_review(name: &str) -> Event {
    Event::RefundToReview { key: key(name), reason: "72 h 没有结果: 12.34 of 80.00".to_owned() }
}

fn judged(name: &str, verdict: Verdict) -> Event {
    Event::Judged {
        key: key(name),
        verdict,
        by: "店长".to_owned(),
        note: "called the bank".to_owned(),
        due_at: at(60),
        external: Money::ZERO,
        unsettled: Money::ZERO,
    }
}

/// A refund that takes the long way: approved, blocked, lost, shut out by a fence, in doubt, judged, taken back.
pub(super) fn the_long_way() -> Vec<Transaction> {
    let (order, name) = (order(1), "till-3-long");
    let all = Event::RefundHeld {
        key: key(name),
        requested: Requested::All,
        amount: fen(7900),
        memo: Some("少了一杯 \"latte\"\n\u{1F35C}".to_owned()),
        by: Some("cashier-2".to_owned()),
        due_at: at(0),
        needs_approval: true,
    };
    let baseline = Some(Baseline { refunded: Some(fen(100)), count: Some(1), asked_at: at(3) });
    let blocked = Answer {
        blocked: Some(BlockReason::Credentials),
        code: Some("1001".to_owned()),
        message: Some("签名错误".to_owned()),
        ..Answer::new(Outcome::Blocked, at(5))
    };
    let likeness = Finding {
        proof: Proof::Likeness,
        evidence: vec!["a row of 79.00 at 14:03".to_owned(), "total 1.00".to_owned()],
        ..Finding::new(Answer::new(Outcome::InDoubt, at(8)), at(7))
    };
    let shut_out = Event::Answered {
        key: key(name),
        state: RefundState::Queued,
        answer: Answer::new(Outcome::NotSent, at(9)),
        due_at: at(12),
        external: fen(100),
        unsettled: Money::ZERO,
        fenced: true,
    };
    let external = Event::FactsSeen { facts: Arc::new(facts(1)), external: fen(100), unsettled: Money::ZERO };
    vec![
        commit(&order, 1, vec![external, all]),
        commit(&order, 2, vec![Event::RefundApproved { key: key(name), by: "店长".to_owned(), due_at: at(2) }]),
        commit(&order, 3, vec![Event::AttemptStarted { key: key(name), attempt: 1, baseline }]),
        commit(&order, 5, vec![answered_with(name, blocked)]),
        commit(&order, 6, vec![started(name, 2)]),
        commit(&order, 7, vec![Event::AttemptLost { key: key(name) }]),
        commit(&order, 8, vec![Event::Probed { key: key(name), finding: Box::new(likeness) }]),
        commit(&order, 9, vec![shut_out]),
        commit(&order, 12, vec![started(name, 3), answered(name, Outcome::InDoubt), to_review(name)]),
        commit(&order, 13, vec![judged(name, Verdict::Succeeded)]),
        commit(&order, 14, vec![judged(name, Verdict::Reversed)]),
    ]
}

/// Refunds that end, or rest, in each of the states.
pub(super) fn every_state() -> Vec<Transaction> {
    let order = order(2);
    let own_number = Answer {
        upstream_refund_no: Some("R-20170601-1".to_owned()),
        code: Some("200".to_owned()),
        ..Answer::new(Outcome::Succeeded, at(22))
    };
    let busy = |reason| Answer { blocked: Some(reason), ..Answer::new(Outcome::Blocked, at(21)) };
    let found = Finding::new(Answer::new(Outcome::Accepted, at(24)), at(23));
    let ways: [(&str, Vec<Event>); 13] = [
        ("queued", vec![]),
        ("sending", vec![started("sending", 1)]),
        ("not-sent", vec![started("not-sent", 1), answered("not-sent", Outcome::NotSent)]),
        ("busy", vec![started("busy", 1), answered_with("busy", busy(BlockReason::Busy))]),
        ("rate", vec![started("rate", 1), answered_with("rate", busy(BlockReason::Rate))]),
        ("accepted", vec![started("accepted", 1), answered("accepted", Outcome::Accepted)]),
        (
            "in-doubt",
            vec![
                started("in-doubt", 1),
                answered("in-doubt", Outcome::InDoubt),
                Event::Probed { key: key("in-doubt"), finding: Box::new(found) },
            ],
        ),
        ("succeeded", vec![started("succeeded", 1), answered_with("succeeded", own_number)]),
        ("declined", vec![started("declined", 1), answered("declined", Outcome::Declined)]),
        ("review", vec![to_review("review")]),
        ("resent", vec![to_review("resent"), judged("resent", Verdict::Resend)]),
        ("released", vec![to_review("released"), judged("released", Verdict::Release)]),
        ("judged", vec![to_review("judged"), judged("judged", Verdict::Declined)]),
    ];
    let mut commits = vec![commit(&order, 20, vec![seen(facts(2))])];
    for (name, way) in ways {
        commits.push(commit(&order, 21, [vec![held(name, 100)], way].concat()));
    }
    let (someone, nobody) = (Some("cashier-2".to_owned()), None);
    for (name, by) in [("canceled", someone), ("canceled-too", nobody)] {
        commits.push(commit(&order, 25, vec![held(name, 100), Event::RefundCanceled { key: key(name), by }]));
    }
    let moved = Facts { refunded: Some(fen(350)), refund_count: Some(2), ..facts(2) };
    commits.push(commit(
        &order,
        26,
        vec![Event::FactsSeen { facts: Arc::new(moved), external: fen(50), unsettled: fen(200) }],
    ));
    commits
}

/// Orders with each status and method, with all fields and with hardly any.
pub(super) fn every_word() -> Vec<Transaction> {
    let statuses = ["pending", "processing", "paid", "failed", "closed", "REVOKED_错误"];
    let methods = ["wechat", "alipay", "unionpay", "qq", "cash", "member", "cash_on_delivery", "dcep"];
    let count = i64::try_from(methods.len()).expect("few");
    let mut commits: Vec<Transaction> = (0..count)
        .zip(methods)
        .map(|(number, method)| {
            let status = OrderStatus::from(statuses[usize::try_from(number).expect("few") % statuses.len()]);
            let paid = if status == OrderStatus::Paid { fen(8000) } else { Money::ZERO };
            let payment_method = Some(PaymentMethod::from(method));
            commit(
                &order(10 + number),
                40 + number,
                vec![seen(Facts { status, paid, payment_method, ..facts(10 + number) })],
            )
        })
        .collect();
    let details = BTreeMap::from([
        ("优惠".to_owned(), serde_json::json!({"coupon": "0.50", "list": [1, null, true, "\u{0}"]})),
        ("fee".to_owned(), "0.10".into()),
    ]);
    let full = Facts {
        details,
        currency: "USD".to_owned(),
        upstream_refund_status: Some("PARTIAL".to_owned()),
        paid_at_source: PaidAtSource::Created,
        updated_at: Some(at(-1).saturating_add(Duration::from_nanos(123_456_789))),
        ..facts(30)
    };
    let bare = Facts {
        payment_method: None,
        total: None,
        refunded: None,
        refund_count: None,
        paid_at: None,
        created_at: None,
        ..facts(31)
    };
    commits.push(commit(&order(30), 50, vec![seen(full)]));
    commits.push(commit(&order(31), 51, vec![seen(bare)]));
    commits.extend(recorded_offline());
    commits
}

/// An order of a device that the upstream then confirmed, and one that it never did.
fn recorded_offline() -> Vec<Transaction> {
    let on_device = |number| Facts {
        native: None,
        references: BTreeMap::from([("merchant_order_sn".to_owned(), format!("m-{number}"))]),
        paid_at_source: PaidAtSource::Device,
        ..facts(number)
    };
    let recorded = |number, by| Event::OrderRecorded { facts: Arc::new(on_device(number)), by };
    let provisional = |name: &str| OrderId::new(format!("provisional:{name}")).expect("valid");
    let (confirmed, alone) = (provisional("0001"), provisional("0002"));
    vec![
        commit(&confirmed, 52, vec![recorded(40, Some("cashier-2".to_owned()))]),
        commit(&confirmed, 53, vec![seen(facts(40))]),
        commit(&alone, 54, vec![recorded(41, None)]),
    ]
}
