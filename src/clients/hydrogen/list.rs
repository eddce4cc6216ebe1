//! Lists of orders: what is asked for, where the next page begins, and which row of a list is the one asked for.

use crate::clients::fields::Strange;
use crate::clients::rows::read_each;
use crate::clients::wire::{Count, Rows, Text};
use crate::domain::{Body, Facts, OrderStatus, PaymentMethod, Reference, RefundStatus, Timestamp};
use crate::gateway::{OrderFilter, OrderPage, PageAt, ReadError, ReadErrorKind};

use super::api::builder::ListOrders;
use super::api::open;
use super::api::types;
use super::orders;

/// What hydrogen can filter by; the caller checks the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    status: Option<open::OrderStatus>,
    refund_status: Option<open::OrderRefundStatus>,
    gateway_type: Option<open::GatewayType>,
    paid_from_s: Option<i64>,
    paid_to_s: Option<i64>,
}

impl Filter {
    /// Only what loses no row that is wanted: one channel has many words of `gateway_type`, so only a word that is none
    /// of ours is passed on, and "no refund" has three spellings.
    ///
    /// `from` and `to` become bounds on `paid_at`, the only ones documented: an order without a paid time, as seed 001
    /// shows some paid ones, is in no span.
    pub(super) fn of(wanted: &OrderFilter) -> Filter {
        Filter {
            status: match wanted.status {
                Some(OrderStatus::Pending) => Some(open::OrderStatus::Pending),
                Some(OrderStatus::Paid) => Some(open::OrderStatus::Success),
                Some(OrderStatus::Failed) => Some(open::OrderStatus::Failed),
                Some(OrderStatus::Processing | OrderStatus::Closed | OrderStatus::Other(_)) | None => None,
            },
            refund_status: match wanted.refund_status {
                Some(RefundStatus::Complete) => Some(open::OrderRefundStatus::Complete),
                Some(RefundStatus::Partial) => Some(open::OrderRefundStatus::Partial),
                Some(RefundStatus::None) | None => None,
            },
            gateway_type: match &wanted.payment_method {
                Some(PaymentMethod::Other(word)) => Some(open::GatewayType::from(word.as_str())),
                _ => None,
            },
            paid_from_s: wanted.from.map(Timestamp::unix_seconds),
            paid_to_s: wanted.to.map(Timestamp::unix_seconds),
        }
    }

    pub(super) fn for_function(&self) -> Result<Option<types::OrderFilter>, ReadError> {
        if *self == Filter::default() {
            return Ok(None);
        }
        let filter = types::OrderFilter::builder()
            .status(self.status.clone())
            .refund_status(self.refund_status.clone())
            .gateway_type(self.gateway_type.clone())
            .paid_at_gte(self.paid_from_s)
            .paid_at_lte(self.paid_to_s);
        let refused =
            |error: types::error::ConversionError| ReadError::new(ReadErrorKind::Unsupported, format!("list: {error}"));
        filter.try_into().map(Some).map_err(refused)
    }

    pub(super) fn for_rest<'a>(&self, mut request: ListOrders<'a>) -> ListOrders<'a> {
        if let Some(status) = &self.status {
            request = request.status(status.clone());
        }
        if let Some(status) = &self.refund_status {
            request = request.refund_status(status.clone());
        }
        if let Some(word) = &self.gateway_type {
            request = request.gateway_type(word.clone());
        }
        if let Some(seconds) = self.paid_from_s {
            request = request.paid_at_gte(seconds);
        }
        if let Some(seconds) = self.paid_to_s {
            request = request.paid_at_lte(seconds);
        }
        request
    }
}

/// A page. The list ends at `total`, or with an empty page: seed 001 shows `meta.next` set on a last page, so it is not
/// asked.
pub(super) fn page_of(
    rows: Rows<types::Order>,
    total: Option<Count>,
    page: PageAt,
    merchant: &str,
    asked_at: Timestamp,
) -> OrderPage {
    let total = total.and_then(|total| u64::try_from(total.get()).ok());
    let end = page.offset.saturating_add((rows.rows.len() + rows.bad.len()) as u64);
    let more = end > page.offset && total.is_none_or(|total| end < total);
    let (orders, bad_rows) = read_each("objects", rows.with_bodies(), |(row, body)| {
        Ok(Facts { body, ..orders::facts(row, merchant, asked_at)? })
    });
    OrderPage { orders, bad_rows, next: more.then_some(end), total, ..OrderPage::default() }
}

/// The one row that bears `number`; `Ok(None)`: the list is empty.
///
/// Rows that do not bear it are the sign of a filter that was ignored, and two that do of a number that names two
/// orders: neither is guessed at.
pub(super) fn one_of(
    rows: Rows<types::Order>,
    number: &Reference,
    asked: &str,
    merchant: &str,
    asked_at: Timestamp,
) -> Result<Option<Facts>, ReadError> {
    if let Some(bad) = rows.bad.first() {
        return Err(ReadError::new(ReadErrorKind::Unreadable, format!("{asked}: objects[{}]: {}", bad.index, bad.why)));
    }
    let mut rows = rows.with_bodies().rows;
    let only = |(row, body): (types::Order, Option<Body>)| -> Result<Option<Facts>, ReadError> {
        Ok(one_of_one(row, number, merchant, asked_at)?.map(|facts| Facts { body, ..facts }))
    };
    match rows.len() {
        0 => Ok(None),
        1 => only(rows.remove(0)),
        _ => {
            rows.retain(|(row, _)| bears(row, number));
            let names = |(row, _): &(types::Order, Option<Body>)| {
                row.transaction_no.as_ref().map_or("?", Text::as_str).to_owned()
            };
            match rows.as_slice() {
                [] => Err(other_number(number)),
                [_] => only(rows.remove(0)),
                two => {
                    let named: Vec<String> = two.iter().map(names).collect();
                    let message =
                        format!("{number} names {} orders: {} {}", named.len(), orders::NATIVE, named.join(", "));
                    Err(ReadError::new(ReadErrorKind::Refused, message))
                }
            }
        }
    }
}

/// The facts of a row that must bear `number`.
pub(super) fn one_of_one(
    row: types::Order,
    number: &Reference,
    merchant: &str,
    asked_at: Timestamp,
) -> Result<Option<Facts>, ReadError> {
    if !bears(&row, number) {
        return Err(other_number(number));
    }
    orders::facts(row, merchant, asked_at)
        .map(Some)
        .map_err(|Strange(why)| ReadError::new(ReadErrorKind::Unreadable, format!("{number}: {why}")))
}

fn bears(row: &types::Order, number: &Reference) -> bool {
    let shown = match number.kind.as_str() {
        "id" => &row.id,
        "trade_no" => &row.trade_no,
        _ => &row.transaction_no,
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

    fn rows(rows: Value) -> Rows<types::Order> {
        serde_json::from_value(rows).expect("a list")
    }

    fn one(number: &str, list: Value) -> Result<Option<String>, String> {
        let number = Reference::new("trade_no", number).expect("a number");
        one_of(rows(list), &number, "get", "client", Timestamp::EPOCH)
            .map(|found| found.and_then(|facts| facts.native).map(|native| native.number))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_row_that_is_taken_bears_the_number_asked_for() {
        let row = |native: &str, trade_no: &str| json!({"transaction_no": native, "trade_no": trade_no, "status": "pending", "total_cost": 1});
        assert_eq!(one("a", json!([])), Ok(None));
        assert_eq!(one("a", json!([row("t-1", "a")])), Ok(Some("t-1".to_owned())));
        assert_eq!(one("a", json!([row("t-0", "b"), row("t-1", "a")])), Ok(Some("t-1".to_owned())));
        let other = Err("asked for trade_no=a, the answer bears another number".to_owned());
        assert_eq!(one("a", json!([row("t-1", "b")])), other);
        assert_eq!(one("a", json!([row("t-1", "b"), row("t-2", "c")])), other);
        assert_eq!(
            one("a", json!([row("t-1", "a"), row("t-2", "a")])),
            Err("trade_no=a names 2 orders: transaction_no t-1, t-2".to_owned())
        );
        let bad = one("a", json!([row("t-1", "a"), {"total_cost": "0.001"}])).expect_err("a bad row");
        assert_eq!(bad, "get: objects[1]: total_cost: `0.001` has more than two decimals");
    }

    #[test]
    fn a_list_ends_at_its_total_or_with_an_empty_page() {
        let row = json!({"transaction_no": "t", "status": "pending", "total_cost": 1});
        let next = |offset, list: Value, total: Option<i64>| {
            let page = PageAt { offset, limit: 2 };
            page_of(rows(list), total.map(Count::new), page, "client", Timestamp::EPOCH).next
        };
        assert_eq!(next(0, json!([row, row]), Some(3)), Some(2));
        assert_eq!(next(2, json!([row]), Some(3)), None);
        assert_eq!(next(0, json!([row, {"bad": 1, "total_cost": []}]), None), Some(2), "bad rows take their place");
        assert_eq!(next(0, json!([row]), None), Some(1), "a short page is no end");
        assert_eq!(next(2, json!([]), None), None);
        assert_eq!(next(2, json!([]), Some(9)), None, "rows that went away do not loop");
    }

    #[test]
    fn the_filter_passes_on_only_what_loses_nothing() {
        let wanted = OrderFilter {
            status: Some(OrderStatus::Paid),
            refund_status: Some(RefundStatus::Partial),
            payment_method: Some(PaymentMethod::Other("baidu_miniapp_pay".to_owned())),
            from: Timestamp::from_unix_seconds(10),
            to: Timestamp::from_unix_seconds(20),
        };
        let sent = serde_json::to_value(Filter::of(&wanted).for_function().expect("a filter")).expect("JSON");
        let expected = json!({
            "status": "success", "refund_status": "partial", "gateway_type": "baidu_miniapp_pay",
            "paid_at__gte": 10, "paid_at__lte": 20,
        });
        assert_eq!(sent, expected);
        let wanted = OrderFilter {
            status: Some(OrderStatus::Closed),
            refund_status: Some(RefundStatus::None),
            payment_method: Some(PaymentMethod::Wechat),
            ..OrderFilter::default()
        };
        assert_eq!(Filter::of(&wanted), Filter::default());
    }
}
