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
    let committed = record.committed();
    assert!(record.excess() > Money::ZERO || committed <= record.paid(), "order {id} holds {committed}: {record:?}");
    record.refunds.iter().for_each(|of| refund(book, of));
}

/// Whether nothing more can happen to a refund by itself.
pub(crate) fn is_at_rest(state: RefundState) -> bool {
    use RefundState::{Canceled, Declined, Reversed, Review, Succeeded};
    matches!(state, Succeeded | Declined | Canceled | Reversed | Review)
}

/// What must be true once nothing is under way and fresh facts are in: all that was refunded is known.
pub(crate) fn order_at_rest(book: &OrderBook, record: &OrderRecord) {
    order(book, record);
    for of in &record.refunds {
        assert!(is_at_rest(of.state), "refund {} is still {}: {of:?}", of.key, of.state);
    }
    let out = Money::from_fen(book.money_out_fen).expect("never negative");
    let in_review = record.refunds.iter().any(|of| of.state == RefundState::Review);
    let granted = record.refundable().saturating_add(out);
    assert!(granted <= record.paid(), "{granted} would be paid out: {record:?} {book:?}");
    if !in_review {
        assert_eq!(record.refunded(), out, "{record:?} {book:?}");
        assert_eq!((record.held(), granted), (Money::ZERO, record.paid()), "{record:?} {book:?}");
    }
}

/// The book of an order.
pub(crate) fn book_of<'a>(books: &'a Books, upstream: Upstream, id: &str) -> &'a OrderBook {
    books.order(upstream, id).expect("the sandbox's own order")
}
