//! What a key of the index leads to.

use std::borrow::Cow;
use std::sync::Arc;

use super::StorageError;
use crate::domain::{OrderId, OrderRecord};

/// A value of the index, as bytes or as what its bytes would be made of.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Bytes(Arc<[u8]>),
    /// A record as its writer left it: most are written again before anybody needs their bytes, and whoever reads
    /// them first need not decode them.
    Record(Arc<OrderRecord>),
}

impl Value {
    /// The bytes that are kept.
    pub(crate) fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Value::Bytes(bytes) => Cow::Borrowed(bytes),
            Value::Record(record) => {
                // Room for most, so that it is not moved while it grows.
                let mut json = Vec::with_capacity(2048 + 512 * record.refunds.len());
                serde_json::to_writer(&mut json, record).expect("a record's maps have text keys and memory takes all");
                Cow::Owned(json)
            }
        }
    }

    /// The same as bytes: for those who keep many for long.
    pub(crate) fn packed(self) -> Value {
        match self {
            Value::Bytes(_) => self,
            Value::Record(_) => Value::from(self.bytes().into_owned()),
        }
    }

    /// The record of an order, decoded where it is not yet.
    pub(crate) fn record(self, order: &OrderId) -> Result<Arc<OrderRecord>, StorageError> {
        match self {
            Value::Record(record) => Ok(record),
            Value::Bytes(bytes) => serde_json::from_slice(&bytes).map(Arc::new).map_err(|e| StorageError::Poisoned {
                why: format!("the index's record of order {order} cannot be read: {e}"),
            }),
        }
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Value::Bytes(bytes) => bytes.len(),
            // Facts of some thirty texts, and some ten for each refund.
            Value::Record(record) => 4096 + 1024 * record.refunds.len(),
        }
    }
}

impl<B: Into<Arc<[u8]>>> From<B> for Value {
    fn from(bytes: B) -> Value {
        Value::Bytes(bytes.into())
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.bytes() == other.bytes()
    }
}
