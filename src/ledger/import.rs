//! Facts go in: one by one, or a page in one durable write.

use std::sync::Arc;

use crate::domain::decide::{self, Refusal, Seen};
use crate::domain::{AccountName, Facts, OrderId, OrderRecord, Reference, Rejection};
use crate::gateway::Gateway;
use crate::storage::{Claims, Committed, TransactError, Transaction};

use super::account::Account;
use super::{Error, Inner, Ledger, Wanted};

/// How often a command follows an order that is found elsewhere before it gives up: each step is
/// another order that bears the number, and there are two at most.
const ELSEWHERE: usize = 4;

/// What an import of a page did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Orders that were not known before.
    pub new: u64,
    /// Orders that changed.
    pub changed: u64,
    /// Orders that were known just so.
    pub unchanged: u64,
    /// Orders that were refused, with why.
    pub refused: Vec<(OrderId, String)>,
}

impl Ledger {
    /// Takes a page of facts in, in one durable write; each order is atomic by itself.
    ///
    /// # Replay
    /// The same facts again change nothing and write nothing.
    ///
    /// # Errors
    /// Storage errors: nothing of the page, or all of it, may have been written, and it may be
    /// imported again. An order that is refused is in [`Imported::refused`] instead.
    pub async fn import(&self, account: &AccountName, page: Vec<Facts>) -> Result<Imported, Error> {
        let account = self.inner.account(account)?;
        self.inner.import_page(&account, page).await
    }
}

impl Inner {
    pub(crate) async fn import_page(&self, account: &Account, page: Vec<Facts>) -> Result<Imported, Error> {
        let mut imported = Imported::default();
        let mut transactions = Vec::with_capacity(page.len());
        let mut kept = Vec::with_capacity(page.len());
        for facts in page {
            let facts = Arc::new(facts);
            let order = match self.identify(account, &facts).await {
                Err(error @ (Error::Rejected(_) | Error::Name(_))) => {
                    imported.refused.push((name_of(&facts), error.to_string()));
                    continue;
                }
                answer => answer?,
            };
            transactions.push(self.seeing(account, &order, &facts));
            kept.push((order, facts));
        }
        let answers = self.storage.transact_many(transactions).await?;
        for ((order, facts), answer) in kept.into_iter().zip(answers) {
            let answer = match answer {
                // A provisional order turned out to be this one: rare, so one by one.
                Err(Refusal::Elsewhere(_)) => match self.see(account, facts).await {
                    Ok(committed) => Ok(committed),
                    Err(error @ (Error::Rejected(_) | Error::Name(_) | Error::Moved(_))) => Err(error.to_string()),
                    Err(error) => return Err(error),
                },
                Err(refusal) => Err(refusal.to_string()),
                Ok(committed) => {
                    self.keep_body(account, &order, facts.body.clone());
                    Ok(committed)
                }
            };
            match answer {
                Ok(committed) if committed.entries.is_empty() => imported.unchanged += 1,
                Ok(committed) if committed.entries.first().is_some_and(|entry| entry.version == 1) => imported.new += 1,
                Ok(_) => imported.changed += 1,
                Err(why) => imported.refused.push((order, why)),
            }
        }
        Ok(imported)
    }

    pub(super) async fn import_one(&self, account: &Account, facts: Facts) -> Result<Arc<OrderRecord>, Error> {
        Ok(self.see(account, Arc::new(facts)).await?.record)
    }

    async fn see(&self, account: &Account, facts: Arc<Facts>) -> Result<Committed, Error> {
        let mut order = self.identify(account, &facts).await?;
        for _ in 0..ELSEWHERE {
            match self.storage.transact(self.seeing(account, &order, &facts)).await {
                Err(TransactError::Refused(Refusal::Elsewhere(other))) => order = other,
                answer => {
                    let committed = answer?;
                    self.keep_body(account, &order, facts.body.clone());
                    return Ok(committed);
                }
            }
        }
        Err(Refusal::Elsewhere(order).into())
    }

    /// The order that these facts are about: the one that bears the native number here, else the
    /// name that the number itself makes.
    async fn identify(&self, account: &Account, facts: &Facts) -> Result<OrderId, Error> {
        let Some(native) = &facts.native else {
            return Err(Rejection::Malformed("facts without the order's own number".to_owned()).into());
        };
        match self.find(&account.name, &Wanted::from(native.clone())).await? {
            Some(order) => Ok(order),
            None => Ok(OrderId::of_native(&facts.gateway, &facts.merchant, &native.number)?),
        }
    }

    fn seeing(&self, account: &Account, order: &OrderId, facts: &Arc<Facts>) -> Transaction {
        let context = self.context(&account.name, order);
        let seen = Seen { facts: facts.clone(), rules: account.rules.clone() };
        Transaction {
            order: order.clone(),
            account: account.name.clone(),
            claims: Claims { references: facts.all_references().collect(), refund_key: None },
            now: context.now,
            decide: Box::new(move |found| decide::facts(&context, found, &seen)),
        }
    }
}

/// A name for facts that cannot be kept.
fn name_of(facts: &Facts) -> OrderId {
    let number = facts.native.as_ref().map_or("?", |native| native.number.as_str());
    OrderId::of_native(&facts.gateway, &facts.merchant, number)
        .unwrap_or_else(|_| OrderId::new("unreadable").expect("a plain word"))
}

/// The references to ask an upstream by, for a number whose kind may be unknown: every kind that the
/// gateway can ask by, best first.
pub(super) fn askable(gateway: &dyn Gateway, wanted: &Wanted) -> Vec<Reference> {
    match &wanted.kind {
        Some(kind) => vec![Reference { kind: kind.clone(), number: wanted.number.clone() }],
        None => gateway
            .capabilities()
            .fetch_by
            .iter()
            .map(|kind| Reference { kind: (*kind).to_owned(), number: wanted.number.clone() })
            .collect(),
    }
}
