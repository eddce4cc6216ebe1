//! What a person's word does to a copy of a ledger: nothing that the original may have sent goes out again.

use std::fs;

use tillbook::domain::Outcome;
use tillbook::gateway::ReadErrorKind;
use tillbook::storage::Storage;
use tillbook::{Error, Ledger, RecordOrder, Reference, RefundState, Rejection};

use crate::ledger::{account, request, state, sync, yuan};
use crate::quarantine::{copy, open, quarantined, queued, refunds, unfinished};
use crate::storage::fixture;
use crate::support::desk::Desk;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adopting_sends_everything_unfinished_to_review_and_nothing_out() {
    let (dir, desk) = (tempfile::tempdir().expect("a directory"), Desk::new());
    let (original, copied) = (dir.path().join("original"), dir.path().join("copied"));
    let orders = unfinished(&original, &desk).await;
    copy(&original, &copied);
    let ledger = open(&copied, &desk).await;
    let calls = desk.refund_calls();
    let nobody = ledger.adopt(" ").await.expect_err("nobody's word").kind();
    assert_eq!((nobody, ledger.quarantined().is_some()), ("malformed", true));
    let adopted = ledger.adopt("li").await.expect("adopted");
    assert!(adopted.quarantine.is_some());
    let mut told: Vec<_> = adopted
        .reviewed
        .iter()
        .map(|(_, refund)| (refund.key.to_string(), refund.state, refund.message.clone().unwrap_or_default()))
        .collect();
    told.sort();
    let reason = |state: &str| {
        format!(
            "it was {state} when li adopted this copy of the ledger; the original may have sent it, or may yet: look \
             at the upstream before anything else"
        )
    };
    assert_eq!(
        told,
        [
            ("r-accepted".to_owned(), RefundState::Review, reason("accepted")),
            ("r-doubt".to_owned(), RefundState::Review, reason("in_doubt")),
            ("r-queued".to_owned(), RefundState::Review, reason("queued")),
        ]
    );
    sync(&ledger).await;
    assert_eq!(desk.refund_calls(), calls, "sent although it was adopted");
    assert_eq!(state(&ledger, &orders[0], "r-queued").await, RefundState::Review);

    // It holds and sends again; a second adoption touches nothing of that.
    ledger.refund(queued(&orders[0], "r-new", "5.00")).await.expect("fetched by the sync since");
    let again = ledger.adopt("li").await.expect("answers");
    assert_eq!((again.quarantine, again.reviewed.len()), (None, 0));
    sync(&ledger).await;
    assert_eq!(state(&ledger, &orders[0], "r-new").await, RefundState::Succeeded);
    assert_eq!(ledger.verify().await.expect("readable").differences, []);
    ledger.close().await.expect("closes");
    // What was adopted is an original of its own.
    let ledger = open(&copied, &desk).await;
    assert_eq!(ledger.quarantined(), None);
    ledger.close().await.expect("closes");
    copy(&copied, &dir.path().join("copied again"));
    let ledger = open(&dir.path().join("copied again"), &desk).await;
    assert!(ledger.quarantined().is_some());
    ledger.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_under_way_in_the_copy_is_left_alone_until_it_is_adopted_and_in_review_then() {
    let dir = tempfile::tempdir().expect("a directory");
    let (original, copied) = (dir.path().join("original"), dir.path().join("copied"));
    let ledger = fixture::open(&original);
    fixture::must(&ledger, fixture::see(fixture::facts(1))).await;
    fixture::must(&ledger, fixture::refund_now(1, "r-sending", 100)).await;
    copy(&original, &copied);
    // The original lives on, and hears of it.
    fixture::must(&ledger, fixture::settle(&fixture::order(1), "r-sending", Outcome::Succeeded)).await;
    ledger.close().await.expect("closed");
    let ledger = Ledger::builder().open(&copied).await.expect("opens");
    assert_eq!(refunds(&ledger).await, [("r-sending".to_owned(), RefundState::Sending)]);
    let adopted = ledger.adopt("li").await.expect("adopted");
    let [(record, refund)] = &adopted.reviewed[..] else { panic!("one refund: {adopted:?}") };
    // It may have been executed: it still counts, whatever is released of it needs a person.
    assert!(refund.is_unsettled() && refund.state == RefundState::Review);
    assert_eq!(record.held(), refund.amount);
    assert_eq!(ledger.verify().await.expect("readable").differences, []);
    ledger.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_the_reviews_and_the_claim_leaves_the_quarantine() {
    let (dir, desk) = (tempfile::tempdir().expect("a directory"), Desk::new());
    let (original, copied) = (dir.path().join("original"), dir.path().join("copied"));
    let [order, ..] = unfinished(&original, &desk).await;
    copy(&original, &copied);
    // The file cannot be written: as far as the disk goes, that is a crash before it.
    let in_the_way = copied.join("INSTANCE.new");
    fs::create_dir(&in_the_way).expect("made");
    let ledger = open(&copied, &desk).await;
    assert_eq!(ledger.adopt("li").await.expect_err("cannot be claimed").kind(), "io");
    assert!(ledger.quarantined().is_some());
    assert_eq!(state(&ledger, &order, "r-queued").await, RefundState::Review);
    quarantined(ledger.refund(request(&order, "r-new", "1.00")).await);
    ledger.close().await.expect("closes");
    fs::remove_dir(&in_the_way).expect("removed");

    let ledger = open(&copied, &desk).await;
    quarantined(ledger.refund(request(&order, "r-new", "1.00")).await);
    let adopted = ledger.adopt("li").await.expect("adopted");
    assert_eq!((adopted.quarantine.is_some(), adopted.reviewed.len()), (true, 0));
    assert_eq!(ledger.quarantined(), None);
    ledger.refund(request(&order, "r-new", "1.00")).await.expect("refunded");
    ledger.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_adoption_an_order_is_refunded_only_on_facts_asked_for_since() {
    let (dir, desk) = (tempfile::tempdir().expect("a directory"), Desk::new());
    let (original, copied) = (dir.path().join("original"), dir.path().join("copied"));
    let orders = unfinished(&original, &desk).await;
    copy(&original, &copied);
    let ledger = open(&copied, &desk).await;
    let adopted = ledger.adopt("li").await.expect("adopted");
    // Also after another open.
    ledger.close().await.expect("closes");
    let ledger = open(&copied, &desk).await;
    desk.down(Some(ReadErrorKind::Unreachable));
    for request in [request(&orders[0], "r-new", "1.00"), queued(&orders[0], "r-new", "1.00")] {
        let refused = ledger.refund(request).await.expect_err("older than the adoption");
        let Error::Rejected(Rejection::StaleFacts { adopted_at, .. }) = &refused else { panic!("{refused:?}") };
        assert_eq!((*adopted_at, refused.kind()), (adopted.at, "stale_facts"));
    }
    assert_eq!(refunds(&ledger).await.len(), 3, "held on what was known before");
    // An order that this copy itself recorded since is its own.
    let receipt = Reference::new("receipt", "r9").expect("a number");
    let offline = RecordOrder {
        account: account(),
        references: vec![receipt.clone()],
        paid: yuan("5.00"),
        paid_at: None,
        by: None,
    };
    ledger.record_order(offline).await.expect("recorded");
    ledger.refund(queued(&receipt, "r-own", "1.00")).await.expect("held");

    desk.down(None);
    let refunded = ledger.refund(request(&orders[0], "r-new", "1.00")).await.expect("refunded on fresh facts");
    assert_eq!(refunded.refund.state, RefundState::Succeeded);
    desk.down(Some(ReadErrorKind::Unreachable));
    let refunded = ledger.refund(request(&orders[0], "r-late", "1.00")).await.expect("fetched a moment ago");
    assert_eq!(refunded.refund.state, RefundState::Queued);
    ledger.close().await.expect("closes");
}
