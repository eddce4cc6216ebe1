//! One lane per order: attempts on one order follow each other, orders do not wait for each other.
//!
//! The lane is for order and for sparing calls; that no refund is granted or sent twice is decided
//! by the storage alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, OwnedMutexGuard};

use crate::domain::OrderId;

type Lane = Arc<tokio::sync::Mutex<()>>;

/// The lanes in use.
#[derive(Default)]
pub(super) struct Lanes {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    lanes: Mutex<HashMap<OrderId, Lane>>,
    empty: Notify,
}

impl Lanes {
    /// Waits for the order's turn; the lane is free again when the guard is dropped.
    pub(super) async fn enter(&self, order: &OrderId) -> LaneGuard {
        let lane = {
            let mut lanes = self.shared.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.entry(order.clone()).or_default().clone()
        };
        let turn = lane.lock_owned().await;
        LaneGuard { shared: self.shared.clone(), order: order.clone(), turn: Some(turn) }
    }

    /// Waits until no lane is in use.
    pub(super) async fn drain(&self) {
        loop {
            let emptied = self.shared.empty.notified();
            tokio::pin!(emptied);
            // Registered before looking, so that a lane that empties in between is not missed.
            emptied.as_mut().enable();
            if self.shared.lanes.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
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
        let mut lanes = self.shared.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.turn.take());
        // Nobody else waits: the map's own handle is the last one. Those who want in must take the
        // map's lock first, so the count cannot grow meanwhile.
        if lanes.get(&self.order).is_some_and(|lane| Arc::strong_count(lane) == 1) {
            lanes.remove(&self.order);
        }
        if lanes.is_empty() {
            self.shared.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lane_is_exclusive_and_disappears_when_nobody_waits() {
        let lanes = Arc::new(Lanes::default());
        let order = OrderId::new("fubei:m:1").expect("valid");
        let first = lanes.enter(&order).await;
        let waiting = {
            let (lanes, order) = (lanes.clone(), order.clone());
            tokio::spawn(async move { drop(lanes.enter(&order).await) })
        };
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.expect("enters after the first");
        lanes.drain().await;
        assert!(lanes.shared.lanes.lock().expect("not poisoned").is_empty());
    }
}
