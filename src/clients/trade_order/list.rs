//! Lists of orders: what is asked for, where the next page begins, and which row of a list is the one asked for.

use jiff::ToSpan;

use crate::clients::fields::Strange;
use crate::clients::rows::read_each;
use crate::clients::wire::{Count, Rows, Text};
use crate::domain::{Facts, OrderStatus, Reference, RefundStatus, Timestamp};
use crate::gateway::{OrderFilter, OrderPage, PageAt, ReadError, ReadErrorKind};

use super::api::builder::ListTradeOrders;
use super::api::types;
use super::orders;

/// A page as the server counts them: from 1, all of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pages {
    /// The page's number.
    pub(super) number: u64,
    /// Its size.
    pub(super) limit: u64,
    /// How many of its rows lie before the offset asked for.
    pub(super) skip: usize,
}

impl Pages {
    /// The server's page in which `page` begins.
    pub(super) fn of(page: PageAt) -> Pages {
        let limit = u64::from(page.limit.max(1));
        let skip = usize::try_from(page.offset % limit).expect("less than a u32");
        Pages { number: page.offset / limit + 1, limit, skip }
    }

    /// Where the next of the server's pages begins.
    pub(super) fn next(self) -> u64 {
        self.number.saturating_mul(self.limit)
    }
}

/// Adds what the server can filter by and what loses no row that is wanted; the caller checks the rest.
///
/// Not the way of paying: the server compares `productType`, which seed 002 shows null on a paid WeChat order.
pub(super) fn filtered<'a>(mut request: ListTradeOrders<'a>, wanted: &OrderFilter) -> ListTradeOrders<'a> {
    if let Some(words) = status_words(wanted) {
        request = request.ps_status_in_string(words);
    }
    if let Some(from) = wanted.from {
        request = request.create_time_start(from.beijing());
    }
    if let Some(to) = wanted.to {
        request = request.create_time_end(whole_second(to).beijing());
    }
    request
}

/// The whole second at or after `to`, for the server knows no others: cut off, the last part of one would be lost.
pub(super) fn whole_second(to: Timestamp) -> Timestamp {
    to.to_jiff().checked_add(999.milliseconds()).map_or(to, Timestamp::from)
}

fn status_words(wanted: &OrderFilter) -> Option<&'static str> {
    match (&wanted.status, wanted.refund_status) {
        (None | Some(OrderStatus::Paid), Some(RefundStatus::Partial)) => Some("4"),
        (None | Some(OrderStatus::Paid), Some(RefundStatus::Complete)) => Some("5"),
        (Some(OrderStatus::Paid), _) => Some("2,4,5"),
        (Some(OrderStatus::Pending), _) => Some("0"),
        (Some(OrderStatus::Processing), _) => Some("1,6"),
        (Some(OrderStatus::Failed), _) => Some("-1"),
        (Some(OrderStatus::Closed), _) => Some("7"),
        (Some(OrderStatus::Other(_)) | None, _) => None,
    }
}

/// A page of facts. The list ends with an empty page (`data: null`): the count is not asked, for rows come and go
/// between pages.
pub(super) fn page_of(
    rows: Rows<types::TradeOrder>,
    count: Option<Count>,
    pages: Pages,
    asked_at: Timestamp,
) -> OrderPage {
    let some = !rows.rows.is_empty() || !rows.bad.is_empty();
    let (orders, bad_rows) = read_each("data", after(rows, pages.skip).with_bodies(), |(row, body)| {
        Ok(Facts { body, ..orders::facts(row, asked_at)? })
    });
    OrderPage {
        orders,
        bad_rows,
        next: some.then(|| pages.next()),
        total: count.and_then(|count| u64::try_from(count.get()).ok()),
        ..OrderPage::default()
    }
}

/// The rows from place `skip` on, in their own places' order.
pub(super) fn after<T>(rows: Rows<T>, skip: usize) -> Rows<T> {
    if skip == 0 {
        return rows;
    }
    let bad_before = rows.bad.iter().filter(|row| row.index < skip).count();
    let bad = rows.bad.into_iter().filter(|row| row.index >= skip);
    Rows {
        rows: rows.rows.into_iter().skip(skip - bad_before).collect(),
        bodies: rows.bodies.into_iter().skip(skip - bad_before).collect(),
        bad: bad
            .map(|mut row| {
                row.index -= skip;
                row
            })
            .collect(),
    }
}

/// The one row that bears `number`; `Ok(None)`: the list is empty. Filters the server does not know are ignored in
/// silence, so rows that do not bear it prove nothing about it.
pub(super) fn one_of(
    rows: Rows<types::TradeOrder>,
    number: &Reference,
    asked_at: Timestamp,
) -> Result<Option<Facts>, ReadError> {
    if let Some(bad) = rows.bad.first() {
        let message = format!("trade_order.list: data[{}]: {}", bad.index, bad.why);
        return Err(ReadError::new(ReadErrorKind::Unreadable, message));
    }
    let any = !rows.rows.is_empty();
    let mut ours: Vec<_> = rows.with_bodies().rows.into_iter().filter(|(row, _)| bears(row, number)).collect();
    match ours.len() {
        0 if any => Err(other_number(number)),
        0 => Ok(None),
        1 => {
            let (row, body) = ours.remove(0);
            Ok(one(row, number, asked_at)?.map(|facts| Facts { body, ..facts }))
        }
        count => {
            let named = ours.iter().filter_map(|(row, _)| row.trade_order_id.as_ref()).map(Text::as_str);
            let named = named.collect::<Vec<_>>().join(", ");
            let message = format!("{number} names {count} orders: {} {named}", orders::NATIVE);
            Err(ReadError::new(ReadErrorKind::Refused, message))
        }
    }
}

/// The facts of a row that must bear `number`.
pub(super) fn one(row: types::TradeOrder, number: &Reference, asked_at: Timestamp) -> Result<Option<Facts>, ReadError> {
    if !bears(&row, number) {
        return Err(other_number(number));
    }
    orders::facts(row, asked_at)
        .map(Some)
        .map_err(|Strange(why)| ReadError::new(ReadErrorKind::Unreadable, format!("{number}: {why}")))
}

fn bears(row: &types::TradeOrder, number: &Reference) -> bool {
    let shown = match number.kind.as_str() {
        orders::NATIVE => &row.trade_order_id,
        _ => &row.pay_order_id,
    };
    shown.as_ref().is_some_and(|shown| shown.as_str() == number.number)
}

fn other_number(number: &Reference) -> ReadError {
    ReadError::new(ReadErrorKind::Unreadable, format!("asked for {number}, the answer bears another number"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(number: &str) -> Value {
        json!({"tradeOrderId": number, "payOrderId": "P1", "mchId": 1, "status": 0, "amount": 1})
    }

    fn rows(list: Value) -> Rows<types::TradeOrder> {
        serde_json::from_value(list).expect("a list")
    }

    #[test]
    fn an_offset_within_a_page_skips_what_lies_before_it() {
        let page = |offset, limit| Pages::of(PageAt { offset, limit });
        assert_eq!(page(0, 20), Pages { number: 1, limit: 20, skip: 0 });
        assert_eq!(page(40, 20), Pages { number: 3, limit: 20, skip: 0 });
        assert_eq!(page(43, 20), Pages { number: 3, limit: 20, skip: 3 });
        assert_eq!(page(7, 0), Pages { number: 8, limit: 1, skip: 0 });
        let list = json!([row("E0"), {"amount": 0.5}, row("E2"), {"amount": 1.5}, row("E4")]);
        let read = page_of(rows(list), None, page(22, 20), Timestamp::EPOCH);
        let numbers: Vec<String> = read.orders.into_iter().filter_map(|facts| facts.native).map(|n| n.number).collect();
        assert_eq!((numbers, read.next), (vec!["E2".to_owned(), "E4".to_owned()], Some(40)));
        let bad: Vec<String> = read.bad_rows.into_iter().map(|row| row.path).collect();
        assert_eq!(bad, ["data[1].amount"]);
    }

    #[test]
    fn a_list_ends_with_an_empty_page_only() {
        let next = |list: Value, count| {
            page_of(rows(list), Some(Count::new(count)), Pages::of(PageAt { offset: 20, limit: 20 }), Timestamp::EPOCH)
                .next
        };
        assert_eq!(next(json!([row("E1")]), 21), Some(40), "a short page is no end");
        assert_eq!(next(json!([{"amount": 0.5}]), 21), Some(40), "bad rows are rows");
        assert_eq!(next(json!(null), 0), None);
        assert_eq!(next(json!([]), 99), None);
    }

    #[test]
    fn statuses_are_asked_for_in_the_servers_numbers() {
        let words = |status: Option<OrderStatus>, refund_status| {
            status_words(&OrderFilter { status, refund_status, ..OrderFilter::default() })
        };
        assert_eq!(words(None, None), None);
        assert_eq!(words(Some(OrderStatus::Paid), None), Some("2,4,5"));
        assert_eq!(words(Some(OrderStatus::Paid), Some(RefundStatus::None)), Some("2,4,5"));
        assert_eq!(words(None, Some(RefundStatus::Partial)), Some("4"));
        assert_eq!(words(Some(OrderStatus::Paid), Some(RefundStatus::Complete)), Some("5"));
        assert_eq!(words(Some(OrderStatus::Processing), None), Some("1,6"));
        assert_eq!(words(Some(OrderStatus::Other("other".to_owned())), None), None);
    }

    #[test]
    fn the_row_that_is_taken_bears_the_number_asked_for() {
        let found = |number: &str, list: Value| {
            let number = Reference::new("payOrderId", number).expect("a number");
            one_of(rows(list), &number, Timestamp::EPOCH)
                .map(|found| found.and_then(|facts| facts.native).map(|native| native.number))
                .map_err(|error| error.to_string())
        };
        assert_eq!(found("P1", json!(null)), Ok(None));
        assert_eq!(found("P1", json!([row("E1")])), Ok(Some("E1".to_owned())));
        let other = "asked for payOrderId=P2, the answer bears another number";
        assert_eq!(found("P2", json!([row("E1")])), Err(other.to_owned()));
        let two = "payOrderId=P1 names 2 orders: tradeOrderId E1, E2";
        assert_eq!(found("P1", json!([row("E1"), row("E2")])), Err(two.to_owned()));
    }
}
