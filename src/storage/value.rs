//! What a key of the index leads to.

use std::borrow::Cow;
use std::sync::Arc;

use super::StorageError;
use super::kept::Kept;
use super::place::History;
use crate::domain::OrderId;

/// A value of the index, as bytes or as what its bytes would be made of.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Bytes(Arc<[u8]>),
    /// A record as its writer left it: most are written again before anybody needs their bytes, and whoever reads
    /// them first need not decode them.
    Record(Kept),
}

impl Value {
    /// The bytes that are kept.
    pub(crate) fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Value::Bytes(bytes) => Cow::Borrowed(bytes),
            Value::Record(kept) => Cow::Owned(kept.bytes()),
        }
    }

    /// The same as bytes: for those who keep many for long.
    pub(crate) fn packed(self) -> Value {
        match self {
            Value::Bytes(_) => self,
            Value::Record(_) => Value::from(self.bytes().into_owned()),
        }
    }

    /// The order that it is the value of, decoded where it is not yet; `None`: it is not right.
    pub(crate) fn kept(self, order: &OrderId, history: &dyn History) -> Result<Option<Kept>, StorageError> {
        match self {
            Value::Record(kept) => Ok(Some(kept)),
            Value::Bytes(bytes) => Kept::read(order, &bytes, history),
        }
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Value::Bytes(bytes) => bytes.len(),
            // Facts of some thirty texts, and some ten for each refund.
            Value::Record(kept) => 4096 + 1024 * kept.record.refunds.len(),
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
