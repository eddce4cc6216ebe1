//! Finding an order by any of its numbers.

use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::{AccountName, NameError, OrderId, OrderRecord, Reference, RefundKey, Rejection, check_number};

use super::refund::refunded;
use super::{Error, Inner, Ledger, Refunded};

/// A number as a person gives it: `20170601...`, or with its kind, `order_sn=20170601...`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The kind of number, if given.
    pub kind: Option<String>,
    /// The number.
    pub number: String,
}

impl FromStr for Wanted {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Wanted, NameError> {
        match text.split_once('=') {
            Some((kind, number)) => {
                let reference = Reference::new(kind, number)?;
                Ok(Wanted { kind: Some(reference.kind), number: reference.number })
            }
            None => {
                check_number(text)?;
                Ok(Wanted { kind: None, number: text.to_owned() })
            }
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            Some(kind) => write!(f, "{kind}={}", self.number),
            None => f.write_str(&self.number),
        }
    }
}

impl From<Reference> for Wanted {
    fn from(reference: Reference) -> Wanted {
        Wanted { kind: Some(reference.kind), number: reference.number }
    }
}

impl Inner {
    /// The one order here that bears the number, if there is one.
    pub(crate) async fn find(&self, account: &AccountName, wanted: &Wanted) -> Result<Option<OrderId>, Error> {
        let mut orders = self.storage.find(account, wanted.kind.as_deref(), &wanted.number).await?;
        orders.sort();
        orders.dedup_by(|a, b| a.0 == b.0);
        match orders.as_slice() {
            [] => Ok(None),
            [(only, _)] => Ok(Some(only.clone())),
            _ => {
                let (account, wanted) = (account.clone(), wanted.to_string());
                Err(Rejection::AmbiguousReference { account, wanted, orders }.into())
            }
        }
    }

    /// The order that has the refund of that key.
    pub(super) async fn order_of(&self, account: &AccountName, key: &RefundKey) -> Result<OrderId, Error> {
        let unknown = || Rejection::UnknownRefund { account: account.clone(), key: key.clone() };
        Ok(self.storage.find_refund(account, key).await?.ok_or_else(unknown)?)
    }

    pub(super) async fn get(&self, order: &OrderId) -> Result<Arc<OrderRecord>, Error> {
        self.storage.get(order).await?.ok_or_else(|| {
            // An index entry without its record: the storage's own promise is broken.
            Error::TaskLost(format!("order {order} is indexed and not there; run verify"))
        })
    }
}

impl Ledger {
    /// An order that is known here, without asking anybody.
    ///
    /// # Errors
    /// [`Rejection::AmbiguousReference`] with both orders when the number names two; storage errors.
    pub async fn known_order(&self, account: &AccountName, wanted: &Wanted) -> Result<Option<Arc<OrderRecord>>, Error> {
        match self.inner.find(account, wanted).await? {
            Some(order) => self.inner.get(&order).await.map(Some),
            None => Ok(None),
        }
    }

    /// A refund that is known here, with its order as it stands, without asking anybody.
    ///
    /// # Errors
    /// [`Rejection::UnknownRefund`]; storage errors.
    pub async fn known_refund(&self, account: &AccountName, key: &RefundKey) -> Result<Refunded, Error> {
        let order = self.inner.order_of(account, key).await?;
        refunded(self.inner.get(&order).await?, key, true, None)
    }

    /// An order by any of its numbers: as known here, else as the upstream says.
    ///
    /// # Errors
    /// As [`Ledger::known_order`] and [`Ledger::fetch`].
    pub async fn order(&self, account: &AccountName, wanted: &Wanted) -> Result<Arc<OrderRecord>, Error> {
        match self.known_order(account, wanted).await? {
            Some(record) => Ok(record),
            None => self.fetch(account, wanted).await,
        }
    }

    /// An order as the upstream says now, kept before it is returned.
    ///
    /// # Errors
    /// [`Rejection::UnknownOrder`] when the upstream knows no such order; [`Error::Upstream`] when it
    /// cannot be asked; [`Error::UnknownAccount`]; storage errors.
    pub async fn fetch(&self, account: &AccountName, wanted: &Wanted) -> Result<Arc<OrderRecord>, Error> {
        let connected = self.inner.account(account)?;
        let numbers = match self.inner.find(account, wanted).await? {
            Some(order) => self.inner.get(&order).await?.facts.all_references().collect(),
            None => super::import::askable(&*connected.gateway, wanted),
        };
        let answered = connected.gateway.fetch_order(&numbers).await;
        let facts = answered.map_err(|error| Error::Upstream { account: account.clone(), error })?;
        let Some(facts) = facts else {
            return Err(Rejection::UnknownOrder { account: account.clone(), wanted: wanted.to_string() }.into());
        };
        self.inner.import_one(&connected, facts).await
    }
}
