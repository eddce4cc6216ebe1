//! Everything that a storage can be asked about, and what it answers: two of them can be compared.

use std::collections::BTreeSet;
use std::fmt;

use super::fact::{Stop, hold_true};
use super::shop::{account, all_events, at, key, order};
use crate::domain::{Event, OrderId, OrderStatus, RefundKey, RefundState, RefundStatus};
use crate::storage::{OrderQuery, Page, Storage};

/// Each question with its answer, in words.
pub(super) struct Sight(Vec<(String, String)>);

impl Sight {
    /// Asks a storage everything: each kind of read, of each name that its history has, and of some it has not.
    pub(super) async fn of(storage: &dyn Storage) -> Result<Sight, Stop> {
        let mut sight = Sight(Vec::new());
        let names = Names::of(storage).await?;
        sight.history(storage, &names).await?;
        sight.names(storage, &names).await?;
        sight.pages(storage).await?;
        sight.refunds(storage).await?;
        Ok(sight)
    }

    /// Stops at the first question that `other` answers differently.
    pub(super) fn compare(&self, other: &Sight) -> Result<(), Stop> {
        for ((question, ours), (their_question, theirs)) in self.0.iter().zip(&other.0) {
            hold_true(question == their_question, || {
                format!("{question} is asked of one, {their_question} of the other")
            })?;
            hold_true(ours == theirs, || format!("{question}: {}", difference(ours, theirs)))?;
        }
        hold_true(self.0.len() == other.0.len(), || "one of the two knows more names than the other".to_owned())
    }

    fn note(&mut self, question: impl fmt::Display, answer: &impl fmt::Debug) {
        self.0.push((question.to_string(), format!("{answer:?}")));
    }

    async fn history(&mut self, storage: &dyn Storage, names: &Names) -> Result<(), Stop> {
        self.note("the newest sequence", &*storage.newest().borrow());
        self.note("all events", &all_events(storage).await?);
        self.note("all lines", &storage.lines(0, usize::MAX).await?);
        self.note("the state's hash", &storage.state_hash().await?);
        self.note("all cursors", &storage.cursors().await?);
        for after in [0, 1, 2, 10, 50, u64::MAX] {
            self.note(format!("seven events after {after}"), &storage.events(after, 7).await?);
            self.note(format!("three lines after {after}"), &storage.lines(after, 3).await?);
        }
        for cursor in &names.cursors {
            self.note(format!("the cursor {cursor:?}"), &storage.cursor(cursor).await?);
        }
        Ok(())
    }

    async fn names(&mut self, storage: &dyn Storage, names: &Names) -> Result<(), Stop> {
        let account = account();
        for order in &names.orders {
            self.note(format!("the record of {order}"), &storage.get(order).await?);
            self.note(format!("the events of {order}"), &storage.events_of(order).await?);
        }
        for key in &names.keys {
            self.note(format!("the order of key {key}"), &storage.find_refund(&account, key).await?);
        }
        for (kind, number) in &names.numbers {
            self.note(format!("who bears {number}"), &storage.find(&account, None, number).await?);
            self.note(format!("who bears {kind}={number}"), &storage.find(&account, Some(kind), number).await?);
        }
        Ok(())
    }

    async fn pages(&mut self, storage: &dyn Storage) -> Result<(), Stop> {
        let all = OrderQuery::default();
        let queries = [
            OrderQuery { status: Some(OrderStatus::Paid), ..all.clone() },
            OrderQuery { status: Some(OrderStatus::Closed), ..all.clone() },
            OrderQuery { refund_status: Some(RefundStatus::None), ..all.clone() },
            OrderQuery { refund_status: Some(RefundStatus::Partial), account: Some(account()), ..all.clone() },
            OrderQuery { from: Some(at(1)), to: Some(at(5)), ..all.clone() },
            all,
        ];
        for query in queries {
            for limit in [1, 3, 0] {
                let (mut page, mut orders) = (Page { limit, after: None }, Vec::new());
                loop {
                    let answer = storage.scan(&query, &page).await?;
                    orders.extend(answer.orders);
                    let Some(next) = answer.next else { break };
                    page.after = Some(next);
                }
                self.note(format!("the orders of {query:?} in pages of {limit}"), &orders);
            }
        }
        Ok(())
    }

    async fn refunds(&mut self, storage: &dyn Storage) -> Result<(), Stop> {
        for state in RefundState::ALL {
            let found = storage.refunds_in(state, None, usize::MAX).await?;
            self.note(format!("the refunds that are {state}"), &found);
            self.note(format!("three that are {state}"), &storage.refunds_in(state, None, 3).await?);
        }
        for now in [-1, 0, 5, 100, 100_000] {
            let due = storage.refunds_in(RefundState::Queued, Some(at(now)), usize::MAX).await?;
            self.note(format!("the refunds due at {now}"), &due);
        }
        for state in RefundState::ALL.into_iter().map(Some).chain([None]) {
            let (mut all, mut after) = (Vec::new(), None::<String>);
            loop {
                let chunk = storage.refunds_after(state, after.as_deref(), 4).await?;
                let Some((place, _)) = chunk.last() else { break };
                after = Some(place.clone());
                all.extend(chunk.into_iter().map(|(_, due)| due));
            }
            self.note(format!("the refunds of {state:?} in chunks"), &all);
        }
        Ok(())
    }
}

/// What the history names.
struct Names {
    orders: BTreeSet<OrderId>,
    keys: BTreeSet<RefundKey>,
    numbers: BTreeSet<(String, String)>,
    cursors: BTreeSet<String>,
}

impl Names {
    async fn of(storage: &dyn Storage) -> Result<Names, Stop> {
        let (orders, keys) = (BTreeSet::from([order(-1)]), BTreeSet::from([key("nobody")]));
        let numbers = BTreeSet::from([("order_sn".to_owned(), "2017".to_owned())]);
        let mut names = Names { orders, keys, numbers, cursors: BTreeSet::from([String::new()]) };
        for entry in all_events(storage).await? {
            match &entry.event {
                Event::OrderRecorded { facts, .. } | Event::FactsSeen { facts, .. } => {
                    names.numbers.extend(facts.references.clone());
                }
                Event::RefundHeld { key, .. } => drop(names.keys.insert(key.clone())),
                _ => {}
            }
            names.orders.insert(entry.order.clone());
        }
        names.cursors.extend(storage.cursors().await?.into_iter().map(|(name, _)| name));
        Ok(names)
    }
}

/// Where two answers begin to differ, with some words around it.
pub(super) fn difference(ours: &str, theirs: &str) -> String {
    let same = ours.chars().zip(theirs.chars()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| text.chars().skip(same.saturating_sub(60)).take(240).collect::<String>();
    format!("one answers `...{}...`, the other `...{}...`", around(ours), around(theirs))
}
