//! The comparison alone: small tables, and random days on which exactly what was planted is found.

use std::io::Write;
use std::time::Duration;

use super::compare::{Compared, OrderHere, OrderThere, OwnRefund, Pair, RefundThere, There, compare};
use super::day::Day;
use super::report::{Difference, DifferenceKind, Side, Subject, Tally};
use crate::domain::{Money, OrderId, Outcome, Reference, RefundKey, RefundState, Timestamp};

fn day() -> Day {
    Day::of("2017-06-01".parse().expect("a date")).expect("a day")
}

/// So many hours after the day began.
fn hour(hours: i64) -> Timestamp {
    Timestamp::from_unix_seconds(day().from.unix_seconds() + hours * 3600).expect("in range")
}

fn fen(fen: i64) -> Money {
    Money::from_fen(fen).expect("in range")
}

fn order_here(name: &str) -> OrderHere {
    OrderHere {
        id: OrderId::new(name).expect("a name"),
        paid: fen(8000),
        status: "paid".to_owned(),
        counts: true,
        at: Some(hour(12)),
        refunded: Money::ZERO,
        external: Money::ZERO,
    }
}

fn order_there() -> OrderThere {
    OrderThere {
        paid: fen(8000),
        status: "paid".to_owned(),
        counts: true,
        at: Some(hour(12)),
        updated_at: None,
        refunded: Some(Money::ZERO),
    }
}

/// An order that both sides have alike.
fn pair(name: &str) -> Pair {
    Pair {
        order: Some(Reference::new("order_sn", name).expect("a number")),
        here: Some(order_here(name)),
        there: There::Shown(order_there()),
        refunds: Vec::new(),
        strangers: Vec::new(),
    }
}

fn row(amount: i64, outcome: Outcome) -> RefundThere {
    RefundThere {
        number: None,
        amount: fen(amount),
        outcome,
        status: outcome.as_str().to_owned(),
        at: None,
        own_number: true,
    }
}

fn own(state: RefundState, amount: i64, there: There<RefundThere>) -> OwnRefund {
    OwnRefund {
        key: RefundKey::new("k").expect("a key"),
        upstream_refund_no: Some("u".to_owned()),
        amount: fen(amount),
        state,
        unsettled: matches!(state, RefundState::Accepted | RefundState::InDoubt | RefundState::Review),
        at: hour(13),
        there,
    }
}

/// The pair with totals of refunds on both sides.
fn with_totals(mut pair: Pair, here: i64, there: Option<i64>) -> Pair {
    if let Some(order) = &mut pair.here {
        order.refunded = fen(here);
    }
    if let There::Shown(order) = &mut pair.there {
        order.refunded = there.map(fen);
    }
    pair
}

/// What was found, in words: subject, kind, and both amounts in fen.
fn words(found: &Compared) -> Vec<String> {
    let fen = |side: &Option<Side>| side.as_ref().map_or_else(|| "-".to_owned(), |side| side.amount.fen().to_string());
    let line = |found: &Difference| {
        format!("{} {} {} {}", found.subject.as_str(), found.kind.as_str(), fen(&found.here), fen(&found.there))
    };
    found.differences.iter().map(line).collect()
}

#[test]
fn each_way_in_which_orders_differ_has_its_word() {
    let here = |change: fn(&mut OrderHere)| {
        let mut pair = pair("a");
        pair.here.as_mut().into_iter().for_each(change);
        pair
    };
    let there = |change: fn(&mut OrderThere)| {
        let mut pair = pair("a");
        let mut order = order_there();
        change(&mut order);
        pair.there = There::Shown(order);
        pair
    };
    let unpaid_here = |order: &mut OrderHere| (order.counts, order.paid) = (false, Money::ZERO);
    let unpaid_there = |order: &mut OrderThere| (order.counts, order.paid) = (false, Money::ZERO);
    for (pair, want) in [
        (pair("a"), vec![]),
        (Pair { here: None, ..pair("a") }, vec!["order missing_here - 8000"]),
        (Pair { there: There::Absent, ..pair("a") }, vec!["order missing_there 8000 -"]),
        (Pair { there: There::Unasked, ..pair("a") }, vec![]),
        (there(|order| order.paid = fen(7000)), vec!["order amount_differs 8000 7000"]),
        (there(unpaid_there), vec!["order status_differs 8000 0"]),
        (here(unpaid_here), vec!["order status_differs 0 8000"]),
        // Nobody says that it was paid.
        (Pair { here: None, ..there(unpaid_there) }, vec![]),
        // Another day's, by the upstream's word; and the edges of this one.
        (there(|order| (order.at, order.paid) = (Some(day().to), fen(1))), vec![]),
        (there(|order| (order.at, order.paid) = (Some(day().from), fen(1))), vec!["order amount_differs 8000 1"]),
        (here(|order| (order.at, order.paid) = (Some(hour(-1)), fen(1))), vec!["order amount_differs 1 8000"]),
        (Pair { there: There::Absent, ..here(|order| order.at = Some(hour(24))) }, vec![]),
    ] {
        assert_eq!(words(&compare(day(), std::slice::from_ref(&pair))), want, "{pair:?}");
    }
}

#[test]
fn each_way_in_which_a_refund_differs_has_its_word() {
    use Outcome::{Accepted as Under, Declined as Failed, InDoubt as Unknown, Succeeded as Done};
    use RefundState::{Accepted, Canceled, Declined, InDoubt, Queued, Reversed, Review, Succeeded};
    let shown = |outcome| There::Shown(row(500, outcome));
    let like = |outcome| There::Shown(RefundThere { own_number: false, ..row(500, outcome) });
    /// The state here, what is shown there, the totals here and there, and what is found.
    type Line = (RefundState, There<RefundThere>, i64, Option<i64>, Vec<&'static str>);
    let table: Vec<Line> = vec![
        (Succeeded, shown(Done), 500, Some(500), vec![]),
        (Succeeded, There::Shown(row(400, Done)), 500, Some(400), vec!["refund amount_differs 500 400"]),
        (Succeeded, shown(Failed), 500, Some(0), vec!["refund reversed_late 500 500"]),
        (Succeeded, like(Failed), 500, Some(0), vec!["refund status_differs 500 500"]),
        (Succeeded, shown(Under), 500, Some(0), vec!["refund status_differs 500 500"]),
        (Succeeded, shown(Unknown), 500, Some(500), vec!["refund status_differs 500 500"]),
        // Shown by nothing but the total: cash, say.
        (Succeeded, There::Absent, 500, Some(500), vec![]),
        (Succeeded, There::Absent, 500, Some(0), vec!["refund missing_there 500 -"]),
        (Succeeded, There::Absent, 500, None, vec!["refund missing_there 500 -"]),
        (Succeeded, There::Unasked, 500, Some(500), vec![]),
        (Accepted, shown(Under), 0, Some(0), vec![]),
        (Accepted, shown(Under), 0, Some(500), vec![]), // a total that counts what is under way
        (Accepted, shown(Done), 0, Some(500), vec!["refund status_differs 500 500"]),
        (Accepted, There::Absent, 0, Some(0), vec!["refund missing_there 500 -"]),
        (InDoubt, shown(Done), 0, Some(500), vec!["refund status_differs 500 500"]),
        (InDoubt, shown(Failed), 0, Some(0), vec!["refund status_differs 500 500"]),
        (InDoubt, shown(Under), 0, Some(0), vec!["refund status_differs 500 500"]),
        (InDoubt, There::Absent, 0, Some(0), vec!["refund missing_there 500 -"]),
        (InDoubt, There::Absent, 0, Some(500), vec!["refund status_differs 500 500"]),
        (InDoubt, There::Unasked, 0, Some(0), vec![]),
        (Review, shown(Done), 0, Some(500), vec!["refund status_differs 500 500"]),
        (Declined, shown(Done), 0, Some(500), vec!["refund status_differs 500 500"]),
        (Declined, shown(Failed), 0, Some(0), vec![]),
        (Declined, There::Absent, 0, Some(0), vec![]),
        (Canceled, shown(Done), 0, Some(500), vec!["refund status_differs 500 500"]),
        (Queued, There::Absent, 0, Some(0), vec![]),
        (Queued, shown(Done), 0, Some(500), vec!["refund status_differs 500 500"]),
        (Reversed, shown(Failed), 0, Some(0), vec![]),
        (Reversed, shown(Done), 0, Some(500), vec!["refund status_differs 500 500"]),
        // And what a total shows beyond all of them.
        (Succeeded, shown(Done), 500, Some(700), vec!["refund_total amount_differs 500 700"]),
        (Succeeded, shown(Done), 700, Some(500), vec!["refund_total amount_differs 700 500"]),
        (
            InDoubt,
            There::Absent,
            0,
            Some(700),
            vec!["refund status_differs 500 500", "refund_total amount_differs 0 700"],
        ),
    ];
    for (state, there, total_here, total_there, want) in table {
        let refunds = vec![own(state, 500, there)];
        let pair = with_totals(Pair { refunds, ..pair("a") }, total_here, total_there);
        let found = compare(day(), std::slice::from_ref(&pair));
        assert_eq!(words(&found), want, "{pair:?}");
        assert_eq!(found.matched_orders, Tally { count: 1, sum: fen(8000) });
    }
}

#[test]
fn refunds_of_other_days_explain_totals_and_are_not_reported() {
    let yesterday = |refund: OwnRefund| OwnRefund { at: hour(-1), ..refund };
    let refunds = vec![yesterday(own(RefundState::InDoubt, 500, There::Shown(row(500, Outcome::Succeeded))))];
    let strangers = vec![RefundThere { at: Some(hour(25)), ..row(300, Outcome::Succeeded) }];
    let pair = with_totals(Pair { refunds, strangers, ..pair("a") }, 0, Some(800));
    assert_eq!(words(&compare(day(), &[pair])), Vec::<String>::new());
}

#[test]
fn a_refund_made_elsewhere_is_missing_here_unless_its_sum_is_known() {
    let stranger = |number: &str, hours: i64, amount: i64| RefundThere {
        number: Some(number.to_owned()),
        at: Some(hour(hours)),
        ..row(amount, Outcome::Succeeded)
    };
    let strangers = vec![stranger("s1", 13, 500), stranger("s2", 14, 300), stranger("s3", -2, 200)];
    for (here, there, external, want) in [
        (0, Some(1000), 0, vec!["refund missing_here - 500", "refund missing_here - 300"]),
        (700, Some(1000), 700, vec!["refund missing_here - 300"]),
        (1000, Some(1000), 1000, vec![]),
        (0, None, 500, vec!["refund missing_here - 500"]),
    ] {
        let mut pair = with_totals(Pair { strangers: strangers.clone(), ..pair("a") }, here, there);
        pair.here.as_mut().into_iter().for_each(|order| order.external = fen(external));
        assert_eq!(words(&compare(day(), std::slice::from_ref(&pair))), want, "{here} {there:?}");
    }
    // Of an order that is unknown here, all are.
    let unknown = Pair { here: None, there: There::Unasked, strangers, ..pair("a") };
    assert_eq!(words(&compare(day(), &[unknown])), ["refund missing_here - 500", "refund missing_here - 300"]);
}

#[test]
fn a_row_like_a_refund_without_a_number_is_that_refund() {
    let doubt = OwnRefund { upstream_refund_no: None, ..own(RefundState::InDoubt, 500, There::Absent) };
    let like = RefundThere { number: Some("s1".to_owned()), at: Some(hour(13)), ..row(500, Outcome::Succeeded) };
    let compared = |row: RefundThere, total: i64| {
        let pair = Pair { refunds: vec![doubt.clone()], strangers: vec![row], ..pair("a") };
        let found = compare(day(), &[with_totals(pair, 0, Some(total))]);
        (words(&found), found.to_ask.len())
    };
    assert_eq!(compared(like.clone(), 500), (vec!["refund status_differs 500 500".to_owned()], 1));
    // Made long before ours was sent, or of another amount: somebody else's.
    let two =
        |there: &str| (vec![format!("refund missing_here - {there}"), "refund missing_there 500 -".to_owned()], 0);
    assert_eq!(compared(RefundThere { at: Some(hour(12)), ..like.clone() }, 500), two("500"));
    assert_eq!(compared(RefundThere { amount: fen(400), ..like }, 400), two("400"));
}

#[test]
fn one_missing_on_each_side_does_not_make_a_match() {
    let ours = own(RefundState::Succeeded, 500, There::Absent);
    let theirs = RefundThere { number: Some("s1".to_owned()), at: Some(hour(14)), ..row(500, Outcome::Succeeded) };
    let pair = Pair { refunds: vec![ours], strangers: vec![theirs], ..pair("a") };
    let found = compare(day(), &[with_totals(pair, 500, Some(500))]);
    assert_eq!(words(&found), ["refund missing_here - 500", "refund missing_there 500 -"]);
}

/// Small and good enough for days.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn fen(&mut self) -> i64 {
        i64::try_from(self.below(1000)).expect("small") + 1
    }
}

/// A matched order with up to three matched refunds, on this day or the one before or after.
fn matched(random: &mut Random, name: &str) -> Pair {
    let at = hour(i64::try_from(random.below(72)).expect("small") - 24);
    let mut pair = pair(name);
    let mut total = 0;
    for place in 0..random.below(4) {
        let amount = random.fen();
        total += amount;
        let key = RefundKey::new(format!("{name}-{place}")).expect("a key");
        let made = at.saturating_add(Duration::from_secs(random.below(3 * 86_400)));
        let there = RefundThere { at: Some(made), ..row(amount, Outcome::Succeeded) };
        pair.refunds.push(OwnRefund { key, at: made, ..own(RefundState::Succeeded, amount, There::Shown(there)) });
    }
    pair.here.as_mut().into_iter().for_each(|order| order.at = Some(at));
    pair.there = There::Shown(OrderThere { at: Some(at), ..order_there() });
    with_totals(pair, total, Some(total))
}

/// Plants one difference of this day into a matched pair, if it has a place for it; says which.
fn plant(random: &mut Random, pair: &mut Pair) -> Option<(Subject, DifferenceKind)> {
    let There::Shown(there) = &mut pair.there else { return None };
    let today = |at: Option<Timestamp>| at.is_some_and(|at| day().contains(at));
    let no_refunds = pair.refunds.is_empty();
    let of_today = pair.refunds.iter_mut().find(|refund| today(Some(refund.at)));
    let (way, more) = (random.below(8), random.fen());
    match way {
        // An order with refunds that is missing here has more than one difference: its total.
        0 if today(there.at) && no_refunds => {
            pair.here = None;
            Some((Subject::Order, DifferenceKind::MissingHere))
        }
        1 if today(there.at) && no_refunds => {
            pair.there = There::Absent;
            Some((Subject::Order, DifferenceKind::MissingThere))
        }
        2 if today(there.at) => {
            there.paid = fen(9000);
            Some((Subject::Order, DifferenceKind::AmountDiffers))
        }
        3 if today(there.at) => {
            (there.counts, there.paid) = (false, Money::ZERO);
            Some((Subject::Order, DifferenceKind::StatusDiffers))
        }
        4 => {
            let (refund, total) = (of_today?, there.refunded?);
            refund.there = There::Absent;
            refund.upstream_refund_no = None;
            there.refunded = total.checked_sub(refund.amount);
            Some((Subject::Refund, DifferenceKind::MissingThere))
        }
        5 => {
            let (refund, total) = (of_today?, there.refunded?);
            there.refunded = total.checked_sub(refund.amount);
            let shown = RefundThere { at: Some(refund.at), ..row(refund.amount.fen(), Outcome::Declined) };
            refund.there = There::Shown(shown);
            Some((Subject::Refund, DifferenceKind::ReversedLate))
        }
        6 => {
            let (refund, here) = (of_today?, pair.here.as_mut()?);
            (refund.state, refund.unsettled) = (RefundState::InDoubt, true);
            here.refunded = here.refunded.checked_sub(refund.amount)?;
            Some((Subject::Refund, DifferenceKind::StatusDiffers))
        }
        7 => {
            there.refunded = Some(fen(there.refunded?.fen() + more));
            pair.strangers.push(RefundThere { at: Some(hour(20)), ..row(more, Outcome::Succeeded) });
            Some((Subject::Refund, DifferenceKind::MissingHere))
        }
        _ => None,
    }
}

#[test]
fn of_random_days_exactly_what_was_planted_is_found() {
    let seed = std::env::var("TILLBOOK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(jiff::Timestamp::now().subsec_nanosecond().unsigned_abs()));
    writeln!(std::io::stderr(), "TILLBOOK_SEED={seed}").expect("stderr is open");
    let mut random = Random(seed | 1);
    let mut planted_in_all = 0;
    for _ in 0..200 {
        let mut pairs = Vec::new();
        let mut planted = Vec::new();
        for place in 0..random.below(40) {
            let name = format!("o{place:02}");
            let mut pair = matched(&mut random, &name);
            if random.below(3) == 0
                && let Some((subject, kind)) = plant(&mut random, &mut pair)
            {
                planted.push((subject, kind, name));
            }
            pairs.push(pair);
        }
        planted.sort();
        planted_in_all += planted.len();
        let name = |found: &Difference| found.order.as_ref().map_or_else(String::new, |order| order.number.clone());
        let found = compare(day(), &pairs).differences;
        let found: Vec<_> = found.iter().map(|found| (found.subject, found.kind, name(found))).collect();
        assert_eq!(found, planted, "TILLBOOK_SEED={seed}");
    }
    assert!(planted_in_all > 100, "only {planted_in_all} differences were planted");
}
