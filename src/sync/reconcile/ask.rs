//! What no list tells is asked one by one, until the upstream cannot be reached. All of it in the background: a
//! comparison leaves half of the account's calls to those who wait for an answer.

use crate::domain::{Money, OrderRecord, Reference, RefundKey};
use crate::gateway::{Mentioned, ReadError};

use super::super::Reach;
use super::compare::{RefundThere, There, made_at};
use super::gather::Gather;
use super::sides::{Told, counts, order_there, probed};

impl Gather<'_> {
    /// Asks about each refund of those orders that have one of the day, or whose total differs.
    pub(super) async fn probe(&mut self) {
        for place in 0..self.drafts.len() {
            let draft = &self.drafts[place];
            let Some(record) = draft.record.clone().filter(|record| !record.provisional) else { continue };
            let told = draft.there.shown().map(|told| order_there(told, Some(&record)));
            let differs = told.and_then(|there| there.refunded).is_some_and(|total| total != record.refunded());
            let attempted: Vec<_> = record.refunds.iter().filter(|refund| refund.attempts > 0).collect();
            if !differs && !attempted.iter().any(|refund| self.day.contains(made_at(refund))) {
                continue;
            }
            for refund in attempted {
                let there = self.ask(&record, &refund.key, refund.amount).await;
                self.drafts[place].shown.push((refund.key.clone(), there));
            }
        }
    }

    async fn ask(&mut self, record: &OrderRecord, key: &RefundKey, amount: Money) -> There<RefundThere> {
        if self.reach == Reach::No {
            return There::Unasked;
        }
        let found = match self.ledger.inner.call(record, key) {
            Ok(call) => self.account.background.probe(&call).await,
            Err(error) => {
                self.problems.add(format!("refund {key} could not be asked about: {error}"));
                return There::Unasked;
            }
        };
        match found {
            Ok(finding) => probed(finding, amount),
            Err(error) => {
                self.unanswered(&format!("refund {key} could not be asked about"), &error);
                There::Unasked
            }
        }
    }

    /// What there is about an order that a bill names: its facts, or at least the row.
    pub(super) async fn told_of(&mut self, mention: &Mentioned) -> There<Told> {
        let number = &mention.number;
        let row = mention.paid.map(|paid| Told::Row(paid, mention.paid_at));
        match (self.fetch(std::slice::from_ref(number)).await, row) {
            (There::Shown(Told::Facts(mut facts)), Some(Told::Row(paid, at))) => {
                if counts(&facts) && facts.paid != paid {
                    self.problems.add(format!("order {number}: the list says {paid}, the order itself {}", facts.paid));
                }
                facts.paid_at = facts.paid_at.or(at);
                There::Shown(Told::Facts(facts))
            }
            (There::Absent, row) => {
                self.problems.add(format!("order {number} is listed, and unknown when it is asked for"));
                row.map_or(There::Unasked, There::Shown)
            }
            (There::Unasked, Some(row)) => There::Shown(row),
            (told, _) => told,
        }
    }

    pub(super) async fn fetch(&mut self, numbers: &[Reference]) -> There<Told> {
        if self.reach == Reach::No {
            return There::Unasked;
        }
        match self.account.background.fetch_order(numbers).await {
            Ok(Some(facts)) => There::Shown(Told::Facts(Box::new(self.account.lighten(facts)))),
            Ok(None) => There::Absent,
            Err(error) => {
                let name = numbers.first().map_or_else(|| "without a number".to_owned(), Reference::to_string);
                self.unanswered(&format!("order {name} could not be asked for"), &error);
                There::Unasked
            }
        }
    }

    fn unanswered(&mut self, what: &str, error: &ReadError) {
        self.reach = Reach::after(error);
        let rest = if self.reach == Reach::No { ", nor anything after it" } else { "" };
        self.problems.add(format!("{what}{rest}: {error}"));
    }
}
