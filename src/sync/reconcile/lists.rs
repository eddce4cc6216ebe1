//! What the upstream lists around the day, read to the end or with a word on why not.

use std::collections::{BTreeMap, HashMap};

use crate::domain::{Facts, Reference, Timestamp};
use crate::gateway::{BadRow, Mentioned, OrderFilter, PageAt, RefundSpan, SeenRefund};
use crate::ledger::Account;

use super::day::Day;
use super::report::Problems;

/// Rows per page: what every upstream gives (Fubei's bill documents 100 as its most).
const PAGE: u32 = 100;

/// A bound on pages: a list that never ends must not be read for ever.
const PAGES: u64 = 10_000;

/// An order that the upstream lists.
#[derive(Clone, Debug)]
pub(super) enum Listed {
    /// With its facts.
    Facts(Box<Facts>),
    /// By its number, with what a bill says of it: it is paid.
    Mention(Mentioned),
}

impl Listed {
    /// When it was paid, or made.
    pub(super) fn at(&self) -> Option<Timestamp> {
        match self {
            Listed::Facts(facts) => facts.paid_at.or(facts.created_at),
            Listed::Mention(mention) => mention.paid_at,
        }
    }
}

/// The orders that the upstream lists, each once.
#[derive(Debug, Default)]
pub(super) struct Orders {
    by_native: BTreeMap<Reference, Listed>,
    natives: HashMap<Reference, Reference>,
}

impl Orders {
    /// All of them, with their own numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Reference, &Listed)> {
        self.by_native.iter()
    }

    /// The one that bears one of these numbers.
    pub(super) fn find(&self, numbers: impl Iterator<Item = Reference>) -> Option<&Listed> {
        let mut natives = numbers.filter_map(|number| self.natives.get(&number));
        natives.next().and_then(|native| self.by_native.get(native))
    }

    /// Pages shift while orders arrive: of an order that comes twice the later row is kept.
    fn add(&mut self, native: Reference, numbers: impl Iterator<Item = Reference>, listed: Listed) {
        self.natives.extend(numbers.map(|number| (number, native.clone())));
        self.by_native.insert(native, listed);
    }
}

/// Reads the list of orders around the day. Where it cannot be bounded by time it is read whole.
pub(super) async fn orders(account: &Account, day: Day, problems: &mut Problems) -> Orders {
    let mut found = Orders::default();
    let capabilities = account.background.capabilities();
    if !capabilities.lists_orders {
        problems.add("this upstream lists no orders: those that are unknown here cannot be found".to_owned());
        return found;
    }
    let span = capabilities.lists_by_time.then(|| day.with_slack());
    let filter =
        OrderFilter { from: span.map(|span| span.from), to: span.map(|span| span.to), ..OrderFilter::default() };
    let mut offset = 0;
    for _ in 0..PAGES {
        let page = match account.background.list_orders(&filter, PageAt { offset, limit: PAGE }).await {
            Ok(page) => page,
            Err(error) => {
                problems.add(format!("orders could not be listed from row {offset}: {error}"));
                return found;
            }
        };
        bad_rows(&page.bad_rows, problems);
        for facts in page.orders {
            let facts = account.lighten(facts);
            match facts.native.clone() {
                Some(native) => {
                    let numbers: Vec<Reference> = facts.all_references().collect();
                    found.add(native, numbers.into_iter(), Listed::Facts(Box::new(facts)));
                }
                None => problems.add("a listed order has no number of its own".to_owned()),
            }
        }
        for mention in page.mentioned {
            let number = mention.number.clone();
            found.add(number.clone(), std::iter::once(number), Listed::Mention(mention));
        }
        match page.next {
            Some(next) if next > offset => offset = next,
            _ => return found,
        }
    }
    problems.add(format!("the list of orders did not end within {PAGES} pages"));
    found
}

/// The refunds that the upstream lists around the day.
#[derive(Debug)]
pub(super) enum Refunds {
    /// All of them.
    All(Vec<SeenRefund>),
    /// Some: the list could not be read to its end, or not every row of it.
    Some(Vec<SeenRefund>),
    /// This upstream lists none: it is asked about each.
    Unlisted,
}

/// Reads the list of refunds around the day, where there is one.
pub(super) async fn refunds(account: &Account, day: Day, problems: &mut Problems) -> Refunds {
    if !account.background.capabilities().lists_refunds {
        return Refunds::Unlisted;
    }
    let around = day.with_slack();
    let span = RefundSpan { from: around.from, to: around.to };
    let mut found: BTreeMap<(Option<String>, usize), SeenRefund> = BTreeMap::new();
    let mut whole = true;
    let mut offset = 0;
    for _ in 0..PAGES {
        let page = match account.background.list_refunds(span, PageAt { offset, limit: PAGE }).await {
            Ok(page) => page,
            Err(error) => {
                problems.add(format!("refunds could not be listed from row {offset}: {error}"));
                return Refunds::Some(found.into_values().collect());
            }
        };
        bad_rows(&page.bad_rows, problems);
        whole &= page.bad_rows.is_empty();
        for refund in page.refunds {
            // Pages shift here too; a row without a number is told from others by its place alone.
            let place = if refund.upstream_refund_no.is_some() { 0 } else { found.len() };
            found.insert((refund.upstream_refund_no.clone(), place), refund);
        }
        match page.next {
            Some(next) if next > offset => offset = next,
            _ if whole => return Refunds::All(found.into_values().collect()),
            _ => return Refunds::Some(found.into_values().collect()),
        }
    }
    problems.add(format!("the list of refunds did not end within {PAGES} pages"));
    Refunds::Some(found.into_values().collect())
}

fn bad_rows(rows: &[BadRow], problems: &mut Problems) {
    rows.iter().for_each(|row| problems.add(format!("{}: {}", row.path, row.why)));
}
