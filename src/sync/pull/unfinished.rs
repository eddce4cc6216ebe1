//! One by one, oldest first: orders that are not in a final state and that no list brings.
//!
//! Recorded offline and not confirmed; pending or processing where the upstream has no list of every order
//! (Fubei). Orders with refunds that are not settled are not looked for here: those are asked about on
//! their own schedule. What it costs is bounded per round, and where a round ended is kept, so that each
//! order gets its turn. Orders older than the account's `history` are left to whoever asks for them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{OrderId, OrderRecord, OrderStatus, Reference, Timestamp};
use crate::ledger::Error;
use crate::storage::{OrderQuery, Page};

use super::{End, Fetched, Pull};

/// How many orders are asked for in one round: five minutes' worth at hydrogen's pace.
const FETCHES: usize = 50;

/// After how many of them the place is kept, for a till that is switched off before the round ends.
const KEEP_EVERY: usize = 10;

/// After how many records looked at a round ends with the day it is at: a moment on a slow till.
const LOOKS: usize = 10_000;

/// How many records are looked at together.
const TOGETHER: usize = 500;

/// The ledger gives orders newest first: a day at a time, turned round, is oldest first in little memory.
const SPAN: Duration = Duration::from_secs(86_400);

/// Orders without any time are kept under 1970; Fubei's pending ones have none.
const UNTIMED: Duration = Duration::from_secs(1);

/// A place between orders, oldest first; `None` lies before all orders of that time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    at: Timestamp,
    order: Option<OrderId>,
}

/// The way through one round.
struct Walk {
    /// The cursor's name.
    name: String,
    /// What is kept of the place.
    kept: Option<Place>,
    /// How many orders may still be asked for.
    fetches: usize,
    /// How many records may still be looked at.
    looks: usize,
}

/// Asks for unfinished orders from where the last round ended; after one that reached the newest, the next
/// begins at the oldest.
pub(super) async fn unfinished(pull: &mut Pull<'_>) -> Result<(), Error> {
    let name = format!("pull:{}:unfinished", pull.account.name);
    let kept = pull.cursor::<Option<Place>>(&name).await?.flatten();
    let now = pull.ledger.inner.now();
    let (oldest, untimed) = (now.saturating_sub(pull.account.history), Timestamp::EPOCH.saturating_add(UNTIMED));
    let mut from = kept.clone().unwrap_or(Place { at: Timestamp::EPOCH, order: None });
    let mut walk = Walk { name, kept, fetches: FETCHES, looks: LOOKS };
    loop {
        if from.at >= untimed && from.at < oldest {
            from = Place { at: oldest, order: None };
        }
        let to = match from.at {
            at if at < untimed => untimed,
            at if at.saturating_add(SPAN) <= now => at.saturating_add(SPAN),
            // A device whose clock is ahead records orders of tomorrow.
            _ => Timestamp::EPOCH.saturating_add(Duration::MAX),
        };
        if walk.day(pull, from, to).await? == End::Stopped {
            return Ok(());
        }
        if to > now {
            return walk.keep(pull, None).await;
        }
        from = Place { at: to, order: None };
        if walk.looks == 0 {
            return walk.keep(pull, Some(from)).await;
        }
    }
}

impl Walk {
    /// Asks for the unfinished orders of one span behind a place.
    async fn day(&mut self, pull: &mut Pull<'_>, from: Place, to: Timestamp) -> Result<End, Error> {
        let mut place = from.clone();
        for next in self.waiting(pull, &from, to).await? {
            if self.fetches == 0 {
                self.keep(pull, Some(place)).await?;
                return Ok(End::Stopped);
            }
            let Some(order) = &next.order else { continue };
            if ask(pull, order).await? == End::Stopped {
                self.keep(pull, Some(place)).await?;
                return Ok(End::Stopped);
            }
            self.fetches -= 1;
            place = next;
            if self.fetches.is_multiple_of(KEEP_EVERY) {
                self.keep(pull, Some(place.clone())).await?;
            }
        }
        Ok(End::Done)
    }

    /// The span's unfinished orders, oldest first, one more than may be asked for at most.
    async fn waiting(&mut self, pull: &Pull<'_>, from: &Place, to: Timestamp) -> Result<BTreeSet<Place>, Error> {
        let account = Some(pull.account.name.clone());
        let query = OrderQuery { account, from: Some(from.at), to: Some(to), ..OrderQuery::default() };
        let mut page = Page { limit: TOGETHER, after: None };
        let mut waiting = BTreeSet::new();
        loop {
            let found = pull.ledger.inner.storage.scan(&query, &page).await?;
            self.looks = self.looks.saturating_sub(found.orders.len());
            for record in found.orders.iter().filter(|record| is_wanted(pull, record)) {
                let place = Place { at: OrderQuery::time_of(record), order: Some(record.id.clone()) };
                if place > *from {
                    waiting.insert(place);
                }
                if waiting.len() > self.fetches + 1 {
                    waiting.pop_last();
                }
            }
            page.after = found.next;
            if page.after.is_none() {
                return Ok(waiting);
            }
        }
    }

    async fn keep(&mut self, pull: &Pull<'_>, place: Option<Place>) -> Result<(), Error> {
        if place != self.kept {
            pull.put_cursor(&self.name, &place).await?;
            self.kept = place;
        }
        Ok(())
    }
}

/// Whether an order is unfinished, and no list will tell of it.
fn is_wanted(pull: &Pull<'_>, record: &OrderRecord) -> bool {
    let capabilities = pull.account.gateway.capabilities();
    // Final are paid, failed and closed; a word we do not know may become any of them.
    let may_change =
        matches!(record.facts.status, OrderStatus::Pending | OrderStatus::Processing | OrderStatus::Other(_));
    let unfinished = record.provisional || (may_change && !capabilities.lists_every_order);
    unfinished && record.facts.all_references().any(|number| capabilities.fetch_by.contains(&number.kind.as_str()))
}

/// Asks for one order.
async fn ask(pull: &mut Pull<'_>, order: &OrderId) -> Result<End, Error> {
    // It may have been settled while others were asked for.
    let record = pull.ledger.inner.storage.get(order).await?;
    let Some(record) = record.filter(|record| is_wanted(pull, record)) else { return Ok(End::Done) };
    let numbers: Vec<Reference> = record.facts.all_references().collect();
    match pull.fetch(&numbers).await? {
        Fetched::Told => {}
        // One recorded offline may reach the upstream later.
        Fetched::Unknown if record.provisional => {}
        Fetched::Unknown => pull.report.problem(format!("order {order}: the upstream knows it no more")),
        Fetched::Failed(error) => pull.report.problem(format!("order {order}: {error}")),
        Fetched::OutOfReach(error) => {
            pull.report.problem(format!("unfinished orders could not be asked for from {order} on: {error}"));
            return Ok(End::Stopped);
        }
    }
    Ok(End::Done)
}
