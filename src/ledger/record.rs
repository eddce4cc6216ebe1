//! Recording an order that was made while the upstream could not be asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::decide::{self, RecordOffline, Refusal};
use crate::domain::{
    AccountName, Facts, Money, OrderId, OrderRecord, OrderStatus, PaidAtSource, Reference, Rejection, Timestamp,
};
use crate::storage::{Claims, TransactError, Transaction};

use super::{Error, Ledger, Wanted};

/// A payment as the device saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordOrder {
    /// The account that was paid.
    pub account: AccountName,
    /// The numbers on the receipt, at least one, by which the upstream will confirm it.
    pub references: Vec<Reference>,
    /// What the customer paid.
    pub paid: Money,
    /// When; now if not given.
    pub paid_at: Option<Timestamp>,
    /// Who recorded it.
    pub by: Option<String>,
}

impl Ledger {
    /// Records an order made while offline. It is provisional until facts that bear one of its
    /// references confirm it; refunds of it are held and queued, and sent only after that.
    ///
    /// # Durability
    /// On disk when it returns.
    ///
    /// # Replay
    /// The same references and amount again answer with the order that is there, confirmed or not.
    ///
    /// # Errors
    /// [`Rejection::AlreadyRecorded`] when a reference belongs to another order, or to this one with
    /// another amount; [`Rejection::Malformed`] without a reference or with nothing paid.
    pub async fn record_order(&self, order: RecordOrder) -> Result<Arc<OrderRecord>, Error> {
        let account = self.inner.account(&order.account)?;
        if order.references.is_empty() {
            let why = "an order needs a number by which the upstream can confirm it".to_owned();
            return Err(Rejection::Malformed(why).into());
        }
        if order.paid.is_zero() {
            return Err(Rejection::Malformed("an order of 0.00 has nothing to refund".to_owned()).into());
        }
        let mut numbers = BTreeMap::new();
        for reference in &order.references {
            Reference::new(&reference.kind, &reference.number)?;
            if numbers.insert(reference.kind.clone(), reference.number.clone()).is_some() {
                return Err(Rejection::Malformed(format!("two numbers of kind {}", reference.kind)).into());
            }
        }
        if let Some(known) = self.recorded(&account.name, &order, &numbers).await? {
            return Ok(known);
        }
        let id = OrderId::new(format!("provisional:{}", uuid::Uuid::now_v7()))?;
        let context = self.inner.context(&account.name, &id);
        let facts = Facts {
            gateway: account.gateway.name(),
            merchant: account.gateway.merchant().unwrap_or_default(),
            native: None,
            references: numbers.clone(),
            status: OrderStatus::Paid,
            upstream_status: String::new(),
            payment_method: None,
            currency: "CNY".to_owned(),
            total: None,
            paid: order.paid,
            refunded: None,
            refund_count: None,
            upstream_refund_status: None,
            paid_at: Some(order.paid_at.unwrap_or(context.now)),
            paid_at_source: PaidAtSource::Device,
            created_at: None,
            updated_at: None,
            details: BTreeMap::new(),
            asked_at: context.now,
            upstream_time: None,
            body: None,
        };
        let (command, references) = (RecordOffline { facts, by: order.by.clone() }, order.references.clone());
        let committed = self
            .inner
            .storage
            .transact(Transaction {
                order: id,
                account: account.name.clone(),
                claims: Claims { references, refund_key: None },
                now: context.now,
                decide: Box::new(move |found| decide::record_offline(&context, found, &command)),
            })
            .await;
        match committed {
            // Somebody recorded it a moment ago: the same, or another.
            Err(TransactError::Refused(Refusal::Rejected(taken @ Rejection::AlreadyRecorded { .. }))) => {
                self.recorded(&account.name, &order, &numbers).await?.ok_or_else(|| taken.into())
            }
            answer => Ok(answer?.record),
        }
    }

    /// The order that bears the numbers, if there is one and it is the same.
    async fn recorded(
        &self,
        account: &AccountName,
        order: &RecordOrder,
        numbers: &BTreeMap<String, String>,
    ) -> Result<Option<Arc<OrderRecord>>, Error> {
        for reference in &order.references {
            let Some(known) = self.known_order(account, &Wanted::from(reference.clone())).await? else { continue };
            // Confirmed meanwhile, it bears more numbers than the receipt.
            let bears_all = numbers.iter().all(|(kind, number)| known.facts.references.get(kind) == Some(number));
            if bears_all && known.facts.paid == order.paid {
                return Ok(Some(known));
            }
            return Err(Rejection::AlreadyRecorded { reference: reference.clone(), order: known.id.clone() }.into());
        }
        Ok(None)
    }
}
