//! Where a page ended: keys of the index as texts that callers hand back, and read again.

use super::StorageError;
use super::key::{self, Key, Parts};
use crate::domain::{AccountName, OrderId, RefundKey, RefundState};

pub(super) fn time_key(key: &[u8]) -> Option<(i64, OrderId)> {
    let mut parts = Parts::of(key);
    let (micros, order) = (parts.time_down()?, parts.text()?);
    Some((micros, OrderId::new(order).ok()?))
}

pub(super) fn state_key(key: &[u8]) -> Option<(i64, AccountName, RefundKey)> {
    let mut parts = Parts::of(key);
    let (_state, time) = (parts.byte()?, parts.time()?);
    let (account, refund) = (parts.text()?, parts.text()?);
    Some((time, AccountName::new(account).ok()?, RefundKey::new(refund).ok()?))
}

pub(super) fn refund_key(key: &[u8]) -> Option<(AccountName, RefundKey)> {
    let mut parts = Parts::of(key);
    let (account, refund) = (parts.text()?, parts.text()?);
    Some((AccountName::new(account).ok()?, RefundKey::new(refund).ok()?))
}

/// Where a page ended: the time and the order by which the next one begins.
pub(super) fn token(micros: i64, order: &OrderId) -> String {
    format!("{micros}/{order}")
}

pub(super) fn position(token: &str) -> Result<Key, StorageError> {
    let unknown = || unknown_page(token);
    let (micros, order) = token.split_once('/').ok_or_else(unknown)?;
    let micros = micros.parse().map_err(|_| unknown())?;
    Ok(key::time(micros, &OrderId::new(order).map_err(|_| unknown())?))
}

/// Where a page of refunds ended: its key again.
pub(super) fn refund_position(state: Option<RefundState>, token: &str) -> Result<Key, StorageError> {
    let position = || {
        let (token, refund) = token.rsplit_once('/')?;
        let refund = RefundKey::new(refund).ok()?;
        match state {
            Some(state) => {
                let (micros, account) = token.split_once('/')?;
                Some(key::state(state, micros.parse().ok()?, &AccountName::new(account).ok()?, &refund))
            }
            None => Some(key::refund(&AccountName::new(token).ok()?, &refund)),
        }
    };
    position().ok_or_else(|| unknown_page(token))
}

fn unknown_page(token: &str) -> StorageError {
    StorageError::UnknownPage { after: token.chars().take(60).collect() }
}
