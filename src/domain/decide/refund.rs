//! The refund command: the hold is granted here or nowhere.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{
    Event, Money, OrderRecord, Refund, RefundKey, RefundState, Rejection, Requested, Rules, Timestamp,
};

use super::{Context, Draft, Found, Refusal, Seen, attempt, facts};

/// What a refund that looks like an earlier one means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// The caller chose the key on purpose: another key is another refund.
    Allowed,
    /// The key was made up: a second refund of the same order and amount, while one is unfinished
    /// or younger than ten minutes, is taken for a slip.
    Refused,
}

/// How long a finished refund makes another of the same amount look like a slip.
const SLIP: Duration = Duration::from_secs(600);

/// A refund as it is asked for.
#[derive(Clone, Debug)]
pub struct RefundCommand {
    /// Its permanent name.
    pub key: RefundKey,
    /// How much.
    pub requested: Requested,
    /// A note for the upstream.
    pub memo: Option<String>,
    /// Who asks.
    pub by: Option<String>,
    /// The refundable amount that the caller saw, if it must still be that.
    pub expect_refundable: Option<Money>,
    /// What a look-alike means.
    pub repeat: Repeat,
    /// Fresh facts, if the refund is to be sent at once; without them it is held and queued.
    pub fresh: Option<Seen>,
    /// The account's rules.
    pub rules: Rules,
}

/// The most characters of a memo: what WeChat takes as a refund's reason (pay.weixin.qq.com/doc/v3, `reason`).
const MEMO: usize = 80;

/// The most characters of the name of who asks.
pub(super) const BY: usize = 64;

/// Whether the command's own words are usable, whatever the order: the first of all checks.
///
/// # Errors
/// [`Rejection::Malformed`] with what is wrong.
pub fn well_formed(requested: Requested, memo: Option<&str>, by: Option<&str>) -> Result<(), Rejection> {
    if requested == Requested::Exactly(Money::ZERO) {
        return Err(Rejection::Malformed("a refund of 0.00 refunds nothing".to_owned()));
    }
    plain("memo", memo.unwrap_or_default(), MEMO)?;
    plain("name of who asks", by.unwrap_or_default(), BY)
}

/// Whether a name or note that must be there is usable.
pub(super) fn well_named(what: &str, text: &str, most: usize) -> Result<(), Rejection> {
    if text.trim().is_empty() {
        return Err(Rejection::Malformed(format!("the {what} is missing")));
    }
    plain(what, text, most)
}

fn plain(what: &str, text: &str, most: usize) -> Result<(), Rejection> {
    if text.chars().count() > most {
        return Err(Rejection::Malformed(format!("the {what} is longer than {most} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(Rejection::Malformed(format!("the {what} has a control character")));
    }
    Ok(())
}

/// Holds the amount, and starts the attempt where fresh facts came along and nothing makes it wait.
///
/// The order of checks is part of the contract: malformed, replay, unknown order, stale, not refundable,
/// amount seen, over refundable, then window, count and repetition. A replay (same account and
/// key, same order and requested amount) writes nothing: the caller finds the refund in the record.
///
/// # Errors
/// The first check that fails, with its facts.
pub fn refund(context: &Context, found: &Found, command: &RefundCommand) -> Result<Vec<Event>, Refusal> {
    well_formed(command.requested, command.memo.as_deref(), command.by.as_deref())?;
    if replay(context, found, command)?.is_some() {
        return Ok(Vec::new());
    }
    let mut draft = Draft::new(context, found)?;
    draft.record()?;
    if let Some(seen) = &command.fresh {
        facts::see(&mut draft, found, seen)?;
    }
    let amount = grant(context, found, draft.record()?, command)?;
    let due_at = attempt::next_slot(draft.record()?, &command.rules, context.now);
    draft.push(Event::RefundHeld {
        key: command.key.clone(),
        requested: command.requested,
        amount,
        memo: command.memo.clone(),
        by: command.by.clone(),
        due_at,
        needs_approval: command.rules.hold_above.is_some_and(|most| amount > most),
    })?;
    if let Some(seen) = &command.fresh
        && due_at <= context.now
    {
        attempt::start(&mut draft, &command.key, seen)?;
    }
    Ok(draft.events)
}

/// Whether the command repeats a refund that exists; its differences are refused by name.
fn replay(context: &Context, found: &Found, command: &RefundCommand) -> Result<Option<RefundKey>, Refusal> {
    let Some(holder) = &found.key_holder else { return Ok(None) };
    let differs = |field, recorded: String, asked: String| {
        Refusal::from(Rejection::ReplayDiffers { key: command.key.clone(), field, recorded, asked })
    };
    if *holder != context.order {
        return Err(differs("order", holder.to_string(), context.order.to_string()));
    }
    let recorded = found.record.as_ref().and_then(|record| record.refund(&command.key));
    match recorded {
        Some(refund) if refund.requested == command.requested => Ok(Some(refund.key.clone())),
        Some(refund) => Err(differs("amount", refund.requested.to_string(), command.requested.to_string())),
        None => Ok(None),
    }
}

/// The rules on the record as it is now: the amount to hold.
fn grant(context: &Context, found: &Found, record: &OrderRecord, command: &RefundCommand) -> Result<Money, Refusal> {
    uncontested(found, record)?;
    if command.fresh.is_none()
        && let Some(adopted_at) = context.adopted_at.filter(|_| facts::is_stale(context, record))
    {
        return Err(Rejection::StaleFacts { order: record.id.clone(), adopted_at }.into());
    }
    if !record.is_refundable_status() {
        return Err(not_refundable(record).into());
    }
    let refundable = record.refundable();
    if let Some(expected) = command.expect_refundable
        && expected != refundable
    {
        return Err(Rejection::RefundableChanged { expected, refundable }.into());
    }
    let (asked, amount) = match command.requested {
        Requested::All => (None, refundable),
        Requested::Exactly(amount) => (Some(amount), amount),
    };
    if amount.is_zero() || amount > refundable {
        let (paid, refunded, held) = (record.paid(), record.refunded(), record.held());
        return Err(Rejection::OverRefundable { asked, refundable, paid, refunded, held }.into());
    }
    window(record, &command.rules, clock(context, command.fresh.as_ref()))?;
    count(record, &command.rules)?;
    if command.repeat == Repeat::Refused
        && let Some(earlier) = looks_like(record, amount, context)
    {
        let (key, state, since) = (earlier.key.clone(), earlier.state, earlier.state_at);
        return Err(Rejection::LooksRepeated { key, state, since }.into());
    }
    Ok(amount)
}

/// Two orders that claim one number are not refunded. A provisional order does not stand in the way
/// of one that its upstream confirmed: it is never sent as long as facts do not confirm it too.
pub(super) fn uncontested(found: &Found, record: &OrderRecord) -> Result<(), Refusal> {
    let rival =
        found.holders.iter().find(|(_, other)| other.order != record.id && (record.provisional || !other.provisional));
    rival.map_or(Ok(()), |rival| Err(facts::contested(record, rival)))
}

fn not_refundable(record: &OrderRecord) -> Rejection {
    let order = record.id.clone();
    if record.facts.currency == "CNY" {
        let (status, upstream_status) = (record.facts.status.clone(), record.facts.upstream_status.clone());
        Rejection::NotRefundable { order, status, upstream_status }
    } else {
        Rejection::ForeignCurrency { order, currency: record.facts.currency.clone() }
    }
}

/// The clock that an upstream's time limits are counted on: its own, where it showed it.
pub(super) fn clock(context: &Context, fresh: Option<&Seen>) -> Timestamp {
    fresh.and_then(|seen| seen.facts.upstream_time).unwrap_or(context.now)
}

/// Refunds are taken for so long after the payment.
pub(super) fn window(record: &OrderRecord, rules: &Rules, now: Timestamp) -> Result<(), Rejection> {
    match (rules.refund_window, record.facts.paid_at) {
        (Some(window), Some(paid_at)) if now.since(paid_at) > window => Err(Rejection::WindowClosed {
            paid_at,
            window_days: window.as_secs() / 86_400,
            documented: "refund_window of the account; Fubei documents 90 days, WeChat 365",
        }),
        _ => Ok(()),
    }
}

/// An order may have so many refunds.
fn count(record: &OrderRecord, rules: &Rules) -> Result<(), Rejection> {
    let Some(limit) = rules.refunds_per_order else { return Ok(()) };
    let ours = record.refunds.iter().filter(|r| r.state.holds() || r.state == RefundState::Succeeded).count();
    let ours = u32::try_from(ours).unwrap_or(u32::MAX);
    // The upstream's own count, plus what it cannot have counted yet.
    let queued = record.refunds.iter().filter(|r| r.state == RefundState::Queued).count();
    let upstream = record.facts.refund_count.unwrap_or(0).saturating_add(u32::try_from(queued).unwrap_or(u32::MAX));
    let made = ours.max(upstream);
    if made < limit {
        return Ok(());
    }
    let documented = "refunds_per_order of the account; Fubei documents 10, WeChat 50";
    Err(Rejection::TooManyRefunds { made, limit, documented })
}

/// An earlier refund that this one could be a slip of.
fn looks_like<'a>(record: &'a OrderRecord, amount: Money, context: &Context) -> Option<&'a Refund> {
    record.refunds.iter().map(std::sync::Arc::as_ref).rev().find(|refund| {
        refund.amount == amount
            && (refund.state.holds()
                || (refund.state == RefundState::Succeeded && context.now.since(refund.state_at) < SLIP))
    })
}
