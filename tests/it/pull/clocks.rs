//! A clock that jumps here hides no order from there.

use tillbook::Timestamp;

use super::*;

/// Syncs at a time that lies `by` off the truth, then adds an order upstream at the true time, and syncs
/// at that wrong time and at the right one again.
async fn off_by(lists: Lists, move_clock: impl Fn(Timestamp) -> Timestamp) -> Vec<String> {
    let desk = Desk::that_lists(lists);
    fill(&desk, "a", 120, MINUTE);
    let till = Till::of(&desk).await;
    let truth = till.hands.now();
    till.sync().await;
    till.hands.set(move_clock(truth));
    till.sync().await;
    desk.order_made("b0000", "80.00", truth.saturating_add(MINUTE));
    till.sync().await;
    till.hands.set(truth.saturating_add(MINUTE * 2));
    desk.order_made("c0000", "80.00", truth.saturating_add(MINUTE));
    till.sync().await;
    till.numbers().await
}

#[tokio::test]
async fn orders_made_while_the_clock_is_wrong_are_seen() {
    let want = all(&[("a", 120), ("b", 1), ("c", 1)]);
    for lists in [Lists::ByTime, Lists::Whole] {
        for days in [1, 30, 3_650] {
            assert_eq!(off_by(lists, |truth| truth.saturating_add(DAY * days)).await, want, "{lists:?} +{days} d");
            assert_eq!(off_by(lists, |truth| truth.saturating_sub(DAY * days)).await, want, "{lists:?} -{days} d");
        }
    }
}

#[tokio::test]
async fn an_order_dated_in_the_future_hides_none_before_it() {
    let desk = Desk::new();
    fill(&desk, "a", 3, MINUTE);
    let till = Till::of(&desk).await;
    desk.order_made("f0000", "80.00", till.hands.now().saturating_add(DAY * 365));
    till.sync().await;
    fill(&desk, "b", 3, Duration::ZERO);
    till.sync().await;
    assert_eq!(till.numbers().await, all(&[("a", 3), ("b", 3), ("f", 1)]));
}
