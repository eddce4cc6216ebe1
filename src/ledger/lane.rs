//! One lane per order: attempts on one order follow each other, orders do not wait for each other.
//!
//! The lane is for order and for sparing calls; that no refund is granted or sent twice is decided
//! by the storage alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedMutexGuard};

use crate::domain::OrderId;
use crate::storage::StorageError;

type Lane = Arc<tokio::sync::Mutex<()>>;

/// The lanes in use.
#[derive(Default)]
pub(super) struct Lanes {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    used: Mutex<Used>,
    empty: Notify,
}

#[derive(Default)]
struct Used {
    lanes: HashMap<OrderId, Lane>,
    /// Nobody enters any more.
    closed: bool,
}

impl Shared {
    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    /// Waits for the order's turn; the lane is free again when the guard is dropped.
    ///
    /// # Errors
    /// [`StorageError::Closed`] once the ledger is being closed.
    pub(super) async fn enter(&self, order: &OrderId) -> Result<LaneGuard, StorageError> {
        let (mut guard, lane) = {
            let mut used = self.shared.used();
            if used.closed {
                return Err(StorageError::Closed);
            }
            let lane = used.lanes.entry(order.clone()).or_default().clone();
            (LaneGuard { shared: self.shared.clone(), order: order.clone(), turn: None }, lane)
        };
        // The guard is there before the turn: one who gives up waiting tidies up as well.
        guard.turn = Some(lane.lock_owned().await);
        Ok(guard)
    }

    /// Lets nobody in any more, and waits until all who are in or wait at a lane are through.
    pub(super) async fn close(&self) {
        self.shared.used().closed = true;
        loop {
            let emptied = self.shared.empty.notified();
            tokio::pin!(emptied);
            // Registered before looking, so that a lane that empties in between is not missed.
            emptied.as_mut().enable();
            if self.shared.used().lanes.is_empty() {
                return;
            }
            emptied.await;
        }
    }
}

/// Holding an order's turn.
pub(crate) struct LaneGuard {
    shared: Arc<Shared>,
    order: OrderId,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Drop for LaneGuard {
    fn drop(&mut self) {
        let mut used = self.shared.used();
        drop(self.turn.take());
        // Nobody else waits: the map's own handle is the last one. Those who want in must take the
        // map's lock first, so the count cannot grow meanwhile.
        if used.lanes.get(&self.order).is_some_and(|lane| Arc::strong_count(lane) == 1) {
            used.lanes.remove(&self.order);
        }
        if used.lanes.is_empty() {
            self.shared.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> OrderId {
        OrderId::new("fubei:m:1").expect("valid")
    }

    #[tokio::test]
    async fn a_lane_is_exclusive_and_disappears_when_nobody_waits() {
        let lanes = Arc::new(Lanes::default());
        let first = lanes.enter(&order()).await.expect("open");
        let waiting = {
            let lanes = lanes.clone();
            tokio::spawn(async move { drop(lanes.enter(&order()).await) })
        };
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.expect("enters after the first");
        assert!(lanes.shared.used().lanes.is_empty());
    }

    #[tokio::test]
    async fn one_who_gives_up_waiting_leaves_no_lane_behind() {
        let lanes = Lanes::default();
        let order = order();
        let first = lanes.enter(&order).await.expect("open");
        {
            let mut waiting = std::pin::pin!(lanes.enter(&order));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            drop(first);
        }
        assert!(lanes.shared.used().lanes.is_empty());
        lanes.close().await;
        assert!(matches!(lanes.enter(&order).await, Err(StorageError::Closed)));
    }
}
