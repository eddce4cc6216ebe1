//! The upstream's own books against what a ledger says: who is right is never in question.

use tillbook::domain::{Money, OrderRecord, Refund, RefundState};
use tillbook::sandbox::{Books, OrderBook, RefundBook, Upstream};

/// What the books hold of the refund with that key: by its number where the upstream takes one, else by its memo.
pub(crate) fn rows<'a>(book: &'a OrderBook, key: &'a str) -> impl Iterator<Item = &'a RefundBook> {
    book.refunds.iter().filter(move |refund| match &refund.client_no {
        // Behind hydrogen's second door it is KEY.1, and so on.
        Some(number) => number.split('.').next() == Some(key),
        None => refund.memo == key,
    })
}

/// How often it was executed.
pub(crate) fn executed(book: &OrderBook, key: &str) -> usize {
    rows(book, key).filter(|refund| refund.money_moved).count()
}

/// What is true of a refund at any time.
///
/// # Panics
/// Where it is not.
pub(crate) fn refund(book: &OrderBook, refund: &Refund) {
    let (key, times) = (refund.key.as_str(), executed(book, refund.key.as_str()));
    assert!(times <= 1, "refund {key} was executed {times} times: {book:?}");
    match refund.state {
        RefundState::Succeeded => {
            assert_eq!(times, 1, "refund {key} is called succeeded, and was not executed: {book:?}")
        }
        RefundState::Declined | RefundState::Canceled => {
            assert_eq!(times, 0, "refund {key} is called {}, and was executed: {book:?}", refund.state);
        }
        _ => {}
    }
}

/// What is true of an order at any time, whoever else refunds it.
pub(crate) fn order(book: &OrderBook, record: &OrderRecord) {
    let id = &record.id;
    assert!(book.money_out_fen <= book.paid_fen, "order {id} paid out more than was paid: {book:?}");
    granted(record);
    record.refunds.iter().for_each(|of| refund(book, of));
}

/// What is true of a record at any time, whatever the upstream's totals look like: what was granted here and not let go
/// again fits under what was paid.
///
/// # Panics
/// Where it does not.
pub(crate) fn granted(record: &OrderRecord) {
    use RefundState::{Canceled, Declined, Reversed};
    let kept = record.refunds.iter().filter(|of| !matches!(of.state, Declined | Canceled | Reversed));
    let granted = Money::total(kept.map(|of| of.amount));
    assert!(granted <= record.paid(), "{granted} were granted:\n{}", short(record));
}

/// Whether a refund has found its end.
pub(crate) fn is_settled(state: RefundState) -> bool {
    use RefundState::{Canceled, Declined, Reversed, Succeeded};
    matches!(state, Succeeded | Declined | Canceled | Reversed)
}

/// What is true besides where nobody else refunds the order.
pub(crate) fn sole(record: &OrderRecord) {
    let (committed, external) = (record.committed(), record.external);
    assert!(committed <= record.paid(), "{committed} are refunded and held:\n{}", short(record));
    assert_eq!(external, Money::ZERO, "nobody else refunded it:\n{}", short(record));
}

/// A record's figures, for whoever reads why it is wrong.
fn short(record: &OrderRecord) -> String {
    let (paid, refunded, held, refundable) = (record.paid(), record.refunded(), record.held(), record.refundable());
    let mut words = format!(
        "order {} version {}: paid {paid}, refunded {refunded} (external {}), held {held}, unsettled {}, refundable {refundable}\n",
        record.id, record.version, record.external, record.unsettled
    );
    for of in &record.refunds {
        let what = of.message.as_deref().unwrap_or_default();
        words +=
            &format!("  {} {} {} after {} attempts, {}: {what}\n", of.key, of.amount, of.state, of.attempts, of.probes);
    }
    words
}

/// What must be true once nothing is under way and fresh facts are in: all that was refunded is known.
pub(crate) fn order_at_rest(book: &OrderBook, record: &OrderRecord) {
    order(book, record);
    for of in &record.refunds {
        let at_rest = is_settled(of.state) || of.state == RefundState::Review;
        assert!(at_rest, "refund {} is still {}:\n{}", of.key, of.state, short(record));
    }
    let out = Money::from_fen(book.money_out_fen).expect("never negative");
    let in_review = record.refunds.iter().any(|of| of.state == RefundState::Review);
    let granted = record.refundable().saturating_add(out);
    assert!(granted <= record.paid(), "{granted} would be paid out: {}{book:?}", short(record));
    if !in_review {
        assert_eq!(record.refunded(), out, "{}{book:?}", short(record));
        assert_eq!((record.held(), granted), (Money::ZERO, record.paid()), "{}{book:?}", short(record));
    }
}

/// The book of an order.
pub(crate) fn book_of<'a>(books: &'a Books, upstream: Upstream, id: &str) -> &'a OrderBook {
    books.order(upstream, id).expect("the sandbox's own order")
}
