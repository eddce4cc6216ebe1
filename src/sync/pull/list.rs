//! Lists, page by page: nothing lost while pages shift, and none read for ever.
//!
//! Every list we know is newest first by place, so an order that arrives while it is read pushes others to a
//! later place: they come twice, none is passed over. A list that is oldest first grows at its end, which
//! is read last. What arrives above the place where an interrupted round goes on is for the round after it.

use crate::domain::{OrderStatus, Timestamp};
use crate::gateway::{Mentioned, OrderFilter, OrderPage, PageAt};
use crate::ledger::{Error, Wanted};

use super::cursor::{Cursor, Round};
use super::{End, Fetched, Pull};
use crate::sync::Progress;

/// Rows per page: what every upstream gives (Fubei's bill documents 100 as its most).
const PAGE: u32 = 100;

/// A bound on pages in one round: an upstream whose pages never end must not keep a till busy for ever.
/// The next round goes on where this one ended.
const PAGES: u64 = 10_000;

/// How often a page may come again at the next place. Once or twice, a hundred orders may have arrived
/// meanwhile; more often, the upstream does not know places.
const REPEATS: u32 = 3;

/// Reads what is new and, once a day, all of the account's history. A round that was interrupted is ended
/// first; what arrived since is brought by another after it.
pub(super) async fn list(pull: &mut Pull<'_>) -> Result<End, Error> {
    let name = format!("pull:{}:list", pull.account.name);
    let kept: Cursor = pull.cursor(&name).await?.unwrap_or_default();
    let mut cursor = kept.clone();
    let mut listed = 0;
    loop {
        let interrupted = cursor.round.take();
        let is_last = interrupted.is_none();
        let begin = || cursor.begin(pull.ledger.inner.now(), pull.account.history);
        let mut round = interrupted.unwrap_or_else(begin);
        let from = round.offset;
        if read(pull, &name, &cursor, &mut round, &mut listed).await? == End::Stopped {
            // Where it never gets on (a page that the upstream cannot give), the top is still to be read.
            if !is_last && round.offset == from && round.is_stale(pull.ledger.inner.now()) {
                pull.put_cursor(&name, &cursor).await?;
            }
            return Ok(End::Stopped);
        }
        let was_kept_within = round.offset > 0;
        cursor.finish(round);
        // A round of one page that found nothing new leaves nothing to write.
        if was_kept_within || cursor != kept {
            pull.put_cursor(&name, &cursor).await?;
        }
        if is_last {
            return Ok(End::Done);
        }
    }
}

/// Reads one round's pages, and keeps after each where the next one begins.
async fn read(
    pull: &mut Pull<'_>,
    name: &str,
    cursor: &Cursor,
    round: &mut Round,
    listed: &mut u64,
) -> Result<End, Error> {
    let from = pull.account.gateway.capabilities().lists_by_time.then_some(round.floor);
    let filter = OrderFilter { from, ..OrderFilter::default() };
    // A page back, should rows have moved up to where this begins.
    let mut offset = round.offset.saturating_sub(u64::from(PAGE));
    let mut before = Shown::default();
    let mut repeats = 0;
    for _ in 0..PAGES {
        let at = PageAt { offset, limit: PAGE };
        let page = match pull.account.background.list_orders(&filter, at).await {
            Ok(page) => page,
            Err(error) => {
                pull.report.problem(format!("orders could not be listed from row {offset}: {error}"));
                return Ok(End::Stopped);
            }
        };
        pull.report.pages += 1;
        let (next, total) = (page.next, page.total);
        let shown = Shown::on(&page, &before);
        shown.times.iter().for_each(|at| round.saw(*at));
        if take_in(pull, page, &before, listed).await? == End::Stopped {
            return Ok(End::Stopped);
        }
        (pull.watcher)(&Progress::Page { account: pull.account.name.clone(), orders: *listed, total });
        // An empty page is the end, whatever its `next` says.
        if shown.rows == 0 || shown.is_below(round.floor) {
            return Ok(End::Done);
        }
        let Some(next) = next else { return Ok(End::Done) };
        repeats = if !shown.numbers.is_empty() && shown.numbers == before.numbers { repeats + 1 } else { 0 };
        if next <= offset || repeats == REPEATS {
            pull.report.problem(format!("the list does not go on after row {offset}: it gives the same rows again"));
            pull.put_cursor(name, cursor).await?; // no place to go on from: the next round begins at the top
            return Ok(End::Stopped);
        }
        offset = next;
        round.offset = next;
        before = shown;
        pull.put_cursor(name, &cursor.within(round)).await?;
    }
    pull.report.problem(format!("the list did not end within {PAGES} pages; the next sync goes on"));
    Ok(End::Stopped)
}

/// Takes in what a page brought and what it only names.
async fn take_in(pull: &mut Pull<'_>, page: OrderPage, before: &Shown, listed: &mut u64) -> Result<End, Error> {
    page.bad_rows.iter().for_each(|row| pull.report.problem(format!("{}: {}", row.path, row.why)));
    // Pages shift while orders arrive: the same order may come twice, and counts once.
    let is_new = |number: Option<&str>| number.is_none_or(|number| !before.numbers.iter().any(|seen| seen == number));
    let mut orders = page.orders;
    orders.retain(|facts| is_new(facts.native.as_ref().map(|native| native.number.as_str())));
    let mut mentioned = page.mentioned;
    mentioned.retain(|mention| is_new(Some(&mention.number.number)));
    *listed += (orders.len() + mentioned.len()) as u64;
    pull.take_in(orders).await?;
    for mention in mentioned {
        if meet(pull, mention).await? == End::Stopped {
            return Ok(End::Stopped);
        }
    }
    Ok(End::Done)
}

/// Asks for an order that a page only names and of which less is known here: nothing at all, or not that it
/// is paid, which is why the page names it. One that fails is asked for again as long as lists name it.
async fn meet(pull: &mut Pull<'_>, mention: Mentioned) -> Result<End, Error> {
    let wanted = Wanted::from(mention.number.clone());
    match pull.ledger.known_order(&pull.account.name, &wanted).await {
        Ok(Some(record)) if !record.provisional && record.facts.status == OrderStatus::Paid => {
            pull.report.orders_unchanged += 1;
            return Ok(End::Done);
        }
        Ok(_) => {}
        Err(error @ Error::Rejected(_)) => {
            pull.report.problem(format!("order {wanted}: {error}"));
            return Ok(End::Done);
        }
        Err(error) => return Err(error),
    }
    match pull.fetch(&[mention.number]).await? {
        Fetched::Told => {}
        Fetched::Unknown => pull.report.problem(format!("order {wanted}: the upstream lists it and does not know it")),
        Fetched::Failed(error) => pull.report.problem(format!("order {wanted}: {error}")),
        Fetched::OutOfReach(error) => {
            pull.report.problem(format!("orders could not be fetched from {wanted} on: {error}"));
            return Ok(End::Stopped);
        }
    }
    Ok(End::Done)
}

/// What of a page matters for the pages after it.
#[derive(Debug, Default)]
struct Shown {
    /// How many rows it had, those that could not be read included.
    rows: usize,
    /// The numbers of its orders, in its order.
    numbers: Vec<String>,
    /// Their times upstream, where told.
    times: Vec<Option<Timestamp>>,
    /// Whether this list was seen to go from new to old so far.
    order: Order,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    /// All times so far are the same.
    #[default]
    Unknown,
    NewestFirst,
    Other,
}

impl Shown {
    fn on(page: &OrderPage, before: &Shown) -> Shown {
        let named = |mention: &Mentioned| (mention.number.number.clone(), mention.paid_at);
        let told = page.orders.iter().filter_map(|facts| {
            let at = facts.created_at.or(facts.paid_at);
            Some((facts.native.as_ref()?.number.clone(), at))
        });
        let (numbers, times): (Vec<_>, Vec<_>) = told.chain(page.mentioned.iter().map(named)).unzip();
        let rows = page.orders.len() + page.mentioned.len() + page.bad_rows.len();
        // A page's first row is compared with the first of the page before: rows that shifted come again.
        let tops = [before.times.first(), times.first()].into_iter().flatten().copied();
        let order = going(before.order, tops);
        let order = going(order, times.iter().copied());
        Shown { rows, numbers, times, order }
    }

    /// Whether all of it, and so all that comes after it, is older than `floor`. No document says how
    /// hydrogen sorts: only a list that was seen to go from new to old is left early.
    fn is_below(&self, floor: Timestamp) -> bool {
        let is_sorted = self.order == Order::NewestFirst && !self.times.is_empty();
        is_sorted && self.times.iter().all(|at| at.is_some_and(|at| at < floor))
    }
}

/// What is known of a list's order after these rows.
fn going(mut order: Order, times: impl Iterator<Item = Option<Timestamp>>) -> Order {
    let mut last: Option<Timestamp> = None;
    for at in times {
        let Some(at) = at else { return Order::Other };
        match (order, last.map(|last| at.cmp(&last))) {
            (_, Some(std::cmp::Ordering::Greater)) => return Order::Other,
            (Order::Unknown, Some(std::cmp::Ordering::Less)) => order = Order::NewestFirst,
            _ => {}
        }
        last = Some(at);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_newest_first_once_seen_to_fall_and_never_to_rise() {
        let after = |before, times: &[i64]| going(before, times.iter().map(|at| Timestamp::from_unix_seconds(*at)));
        assert_eq!(after(Order::Unknown, &[]), Order::Unknown);
        assert_eq!(after(Order::Unknown, &[5, 5]), Order::Unknown);
        assert_eq!(after(Order::Unknown, &[5, 5, 4]), Order::NewestFirst);
        assert_eq!(after(Order::NewestFirst, &[4, 4]), Order::NewestFirst);
        assert_eq!(after(Order::NewestFirst, &[4, 3, 5]), Order::Other);
        assert_eq!(after(Order::Other, &[4, 3]), Order::Other);
        assert_eq!(going(Order::NewestFirst, [None].into_iter()), Order::Other);
    }
}
