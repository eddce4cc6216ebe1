//! Both sides of a day are gathered here: what the upstream lists, what the ledger has, and what has to be asked one
//! by one (`ask.rs`). Nothing is written.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::{Facts, OrderId, OrderRecord, OrderStatus, Outcome, Reference, RefundKey, RefundState, Timestamp};
use crate::gateway::SeenRefund;
use crate::ledger::{Account, Error, Ledger, Wanted};
use crate::storage::{OrderQuery, Page};

use super::super::Reach;
use super::compare::{OwnRefund, Pair, RefundThere, There, made_at};
use super::day::Day;
use super::lists::{self, Listed, Orders, Refunds};
use super::report::Problems;
use super::sides::{Told, counts, has_no_time, order_here, order_there, own, refund_there};

/// Both sides.
pub(super) struct Gathered {
    /// To be compared.
    pub(super) pairs: Vec<Pair>,
    /// What the upstream said of these orders: may be taken in once they are compared.
    pub(super) facts: Vec<Facts>,
    /// What could not be read or asked.
    pub(super) problems: Problems,
}

/// Asks the upstream first and the ledger second: an order that arrives meanwhile is known here, not missing.
pub(super) async fn gather(ledger: &Ledger, account: &Account, day: Day) -> Result<Gathered, Error> {
    let mut problems = Problems::default();
    let orders = lists::orders(account, day, &mut problems).await;
    let refunds = lists::refunds(account, day, &mut problems).await;
    let mut gather = Gather {
        ledger,
        account,
        day,
        orders,
        drafts: Vec::new(),
        places: HashMap::new(),
        reach: Reach::Yes,
        problems,
    };
    gather.listed_orders().await?;
    gather.known_orders().await?;
    gather.known_refunds().await?;
    gather.listed_refunds(&refunds).await?;
    if matches!(refunds, Refunds::Unlisted) {
        gather.probe().await;
    }
    Ok(gather.finish(&refunds))
}

/// Which order here a number names.
enum Known {
    As(Arc<OrderRecord>),
    Unknown,
    /// More than one: a problem says so, and nothing is compared.
    Contested,
}

/// One order while it is gathered.
pub(super) struct Draft {
    pub(super) order: Option<Reference>,
    pub(super) record: Option<Arc<OrderRecord>>,
    pub(super) there: There<Told>,
    /// What is shown of our refunds.
    pub(super) shown: Vec<(RefundKey, There<RefundThere>)>,
    pub(super) strangers: Vec<RefundThere>,
}

pub(super) struct Gather<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) account: &'a Account,
    pub(super) day: Day,
    pub(super) orders: Orders,
    pub(super) drafts: Vec<Draft>,
    pub(super) places: HashMap<OrderId, usize>,
    pub(super) reach: Reach,
    pub(super) problems: Problems,
}

impl Gather<'_> {
    /// The orders that the upstream lists on the day, and those whose total moved on it.
    async fn listed_orders(&mut self) -> Result<(), Error> {
        let listed: Vec<(Reference, Listed)> =
            self.orders.iter().map(|(native, listed)| (native.clone(), listed.clone())).collect();
        for (native, listed) in listed {
            let on_day = listed.at().is_some_and(|at| self.day.contains(at));
            match listed {
                Listed::Facts(facts) if on_day && counts(&facts) => {
                    let known = self.known(&facts).await?;
                    self.pair(native, known, There::Shown(Told::Facts(facts)));
                }
                Listed::Facts(facts) => {
                    if counts(&facts) && has_no_time(&facts) {
                        self.problems.add(format!("order {native} is paid, and the list does not say when"));
                    }
                    if facts.updated_at.is_some_and(|at| self.day.contains(at))
                        && let Known::As(record) = self.known(&facts).await?
                        && facts.refunded.is_some_and(|total| total != record.refunded())
                    {
                        self.pair(native, Known::As(record), There::Shown(Told::Facts(facts)));
                    }
                }
                // A bill has neither states nor refunds: what is on it is asked for, one by one.
                Listed::Mention(mention) if on_day || mention.paid_at.is_none() => {
                    let told = self.told_of(&mention).await;
                    let known = match &told {
                        There::Shown(Told::Facts(facts)) => self.known(facts).await?,
                        _ => self.known_by(&mention.number).await?,
                    };
                    self.pair(native, known, told);
                }
                Listed::Mention(_) => {}
            }
        }
        Ok(())
    }

    /// The ledger's orders of the day that are not among those: another day's by the upstream's word, or not listed at
    /// all. Only an upstream that was asked for the order itself can be said not to have it.
    async fn known_orders(&mut self) -> Result<(), Error> {
        let query = OrderQuery {
            account: Some(self.account.name.clone()),
            status: Some(OrderStatus::Paid),
            from: Some(self.day.from),
            to: Some(self.day.to),
            ..OrderQuery::default()
        };
        let mut page = Page::default();
        loop {
            let found = self.ledger.inner.storage.scan(&query, &page).await?;
            for record in found.orders {
                self.of_record(record).await;
            }
            page.after = match found.next {
                Some(next) => Some(next),
                None => return Ok(()),
            };
        }
    }

    /// The orders of which the ledger has refunds of the day.
    async fn known_refunds(&mut self) -> Result<(), Error> {
        let mut orders = BTreeSet::new();
        for state in RefundState::ALL {
            let all = self.ledger.inner.storage.refunds_in(state, None, usize::MAX).await?;
            // Newest first: what got its state before the day was not made on it.
            for due in all.into_iter().rev().filter(|due| due.account == self.account.name) {
                let Some(record) = self.ledger.inner.storage.get(&due.order).await? else { continue };
                let Some(refund) = record.refund(&due.key) else { continue };
                if state != RefundState::Queued && refund.state_at < self.day.with_slack().from {
                    break;
                }
                if refund.attempts > 0 && self.day.contains(made_at(refund)) {
                    orders.insert(due.order);
                }
            }
        }
        for order in orders {
            if let Some(record) = self.ledger.inner.storage.get(&order).await? {
                self.of_record(record).await;
            }
        }
        Ok(())
    }

    /// Puts each listed refund beside the refund of ours whose number it bears, or among the strangers of its order.
    async fn listed_refunds(&mut self, refunds: &Refunds) -> Result<(), Error> {
        let (Refunds::All(listed) | Refunds::Some(listed)) = refunds else { return Ok(()) };
        let mut rows = Vec::new();
        for row in listed {
            let on_day = row.at.is_some_and(|at| self.day.contains(at));
            let Some(there) = self.row(row) else { continue };
            match self.known_for(row).await? {
                Known::As(record) => {
                    if on_day {
                        self.of_record(record.clone()).await;
                    }
                    rows.push((record, row, there));
                }
                Known::Unknown if on_day => {
                    let place = self.stranger(row);
                    self.drafts[place].strangers.push(there);
                }
                Known::Unknown | Known::Contested => {}
            }
        }
        // Rows of other days explain totals; by themselves they are no business of this day's.
        for (record, row, there) in rows {
            let Some(place) = self.places.get(&record.id) else { continue };
            let draft = &mut self.drafts[*place];
            match own(&record, row) {
                Some(key) => draft.shown.push((key, There::Shown(there))),
                None => draft.strangers.push(there),
            }
        }
        Ok(())
    }

    /// An order here, with what the upstream says about it.
    async fn of_record(&mut self, record: Arc<OrderRecord>) {
        if self.places.contains_key(&record.id) {
            return;
        }
        let told = match self.orders.find(record.facts.all_references()).cloned() {
            Some(Listed::Facts(facts)) => There::Shown(Told::Facts(facts)),
            Some(Listed::Mention(mention)) => self.told_of(&mention).await,
            None => {
                let numbers: Vec<Reference> = record.facts.all_references().collect();
                self.fetch(&numbers).await
            }
        };
        self.draft(None, Some(record), told);
    }

    /// The order here that these facts are about: the one that bears the order's own number, or one that was recorded
    /// offline under another of its numbers.
    async fn known(&mut self, facts: &Facts) -> Result<Known, Error> {
        if let Some(native) = &facts.native {
            match self.known_by(native).await? {
                Known::Unknown => {}
                known => return Ok(known),
            }
        }
        for number in facts.all_references().filter(|number| facts.native.as_ref() != Some(number)) {
            match self.known_by(&number).await? {
                Known::As(record) if record.provisional => return Ok(Known::As(record)),
                Known::As(_) | Known::Unknown => {}
                Known::Contested => return Ok(Known::Contested),
            }
        }
        Ok(Known::Unknown)
    }

    async fn known_by(&mut self, number: &Reference) -> Result<Known, Error> {
        match self.ledger.known_order(&self.account.name, &Wanted::from(number.clone())).await {
            Ok(Some(record)) => Ok(Known::As(record)),
            Ok(None) => Ok(Known::Unknown),
            Err(error @ Error::Rejected(_)) => {
                self.problems.add(format!("order {number} was not compared: {error}"));
                Ok(Known::Contested)
            }
            Err(error) => Err(error),
        }
    }

    async fn known_for(&mut self, row: &SeenRefund) -> Result<Known, Error> {
        for (kind, number) in &row.order {
            let number = Reference { kind: kind.clone(), number: number.clone() };
            match self.known_by(&number).await? {
                Known::Unknown => {}
                known => return Ok(known),
            }
        }
        Ok(Known::Unknown)
    }

    /// A row that can be compared; one that tells of money without saying how much or when cannot.
    fn row(&mut self, row: &SeenRefund) -> Option<RefundThere> {
        let lacks = match (row.amount, row.at) {
            (None, _) => Some("how much"),
            (_, None) if row.outcome == Outcome::Succeeded => Some("when"),
            _ => None,
        };
        if let Some(what) = lacks {
            let number = row.upstream_refund_no.as_deref().unwrap_or("without a number");
            self.problems.add(format!("refund {number} is listed, and the list does not say {what}"));
        }
        refund_there(row)
    }

    /// The draft of an order that is unknown here, by a refund of it.
    fn stranger(&mut self, row: &SeenRefund) -> usize {
        let number = row.order.first().map(|(kind, number)| Reference { kind: kind.clone(), number: number.clone() });
        let bears = |draft: &Draft| {
            let among = |facts: &Facts| facts.all_references().any(|own| Some(&own) == number.as_ref());
            let facts = draft.there.shown().and_then(Told::facts);
            draft.record.is_none() && (draft.order == number || facts.is_some_and(among))
        };
        match self.drafts.iter().position(bears) {
            Some(place) => place,
            None => self.draft(number, None, There::Unasked),
        }
    }

    /// What the upstream lists beside what the ledger has; nothing where nobody can say which order here it is.
    fn pair(&mut self, native: Reference, known: Known, there: There<Told>) {
        let record = match known {
            Known::As(record) => Some(record),
            Known::Unknown => None,
            Known::Contested => return,
        };
        if let Some(record) = record.as_ref().filter(|record| self.places.contains_key(&record.id)) {
            self.problems.add(format!("order {native} is order {} here, and so is another", record.id));
            return;
        }
        self.draft(Some(native), record, there);
    }

    fn draft(&mut self, order: Option<Reference>, record: Option<Arc<OrderRecord>>, there: There<Told>) -> usize {
        let place = self.drafts.len();
        if let Some(record) = &record {
            self.places.insert(record.id.clone(), place);
        }
        let native = record.as_ref().and_then(|record| record.facts.native.clone());
        let any = || record.as_ref().and_then(|record| record.facts.all_references().next());
        let order = native.or(order).or_else(any);
        self.drafts.push(Draft { order, record, there, shown: Vec::new(), strangers: Vec::new() });
        place
    }

    fn finish(self, refunds: &Refunds) -> Gathered {
        let listed = self.day.with_slack();
        let mut facts = Vec::new();
        let mut pairs = Vec::new();
        for mut draft in self.drafts {
            let record = draft.record.as_deref();
            let silence = |at: Timestamp| match refunds {
                Refunds::All(_) if listed.contains(at) => There::Absent,
                _ => There::Unasked,
            };
            let own = record.into_iter().flat_map(|record| &record.refunds).filter(|refund| refund.attempts > 0);
            let refunds = own.map(|refund| {
                let place = draft.shown.iter().position(|(key, _)| *key == refund.key);
                let there = place.map(|place| draft.shown.swap_remove(place).1);
                OwnRefund::of(refund, there.unwrap_or_else(|| silence(made_at(refund))))
            });
            let refunds = refunds.collect();
            let there = match &draft.there {
                There::Shown(told) => There::Shown(order_there(told, record)),
                There::Absent => There::Absent,
                There::Unasked => There::Unasked,
            };
            pairs.push(Pair {
                order: draft.order,
                here: record.map(order_here),
                there,
                refunds,
                strangers: draft.strangers,
            });
            if let There::Shown(Told::Facts(told)) = draft.there {
                facts.push(*told);
            }
        }
        Gathered { pairs, facts, problems: self.problems }
    }
}
