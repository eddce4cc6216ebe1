//! Fubei's bill 账单: the orders of a span of time with their sums, for comparing with the ledger.

use std::time::Duration;

use crate::clients::call::{Call, RawAnswer};
use crate::clients::classify;
use crate::clients::wire::Yuan;
use crate::domain::{Facts, Timestamp};
use crate::gateway::{BadRow, Mentioned, OrderFilter, OrderPage, PageAt, ReadError, ReadErrorKind};

use super::api::types;
use super::decode;
use super::envelope::{Seen, envelope};
use super::gateway::{FubeiGateway, built};

/// The span of a bill where nobody asks for another: as long as refunds are taken.
const SPAN: Duration = Duration::from_secs(90 * 86_400);

/// The most rows that a page of the bill has (MerchantOrderApi of github.com/fubei-open/java-sdk at bf17df1).
const MOST_ROWS: u32 = 100;

/// A page of a span's bill, with the sums of the whole span.
#[derive(Clone, Debug)]
pub struct Bill {
    /// The rows of this page: they bear no state, so they are for comparing, never for importing.
    pub orders: Vec<Facts>,
    /// The rows that could not be read.
    pub bad_rows: Vec<BadRow>,
    /// How many orders the span has.
    pub order_count: Option<i64>,
    /// What they brought, in fen.
    pub received_fen: Option<i64>,
    /// How many refunds the span has.
    pub refund_count: Option<i64>,
    /// What they took, in fen.
    pub refunded_fen: Option<i64>,
}

impl FubeiGateway {
    /// One page of the bill of a span of time (`openapi.payment.order.bill`).
    ///
    /// # Errors
    /// Any failure to get or to understand the answer; nothing changed upstream.
    pub async fn bill(&self, from: Timestamp, to: Timestamp, page: u32, rows: u32) -> Result<Bill, ReadError> {
        let (bill, answer) = self.bill_page(from, to, page, rows).await?;
        let asked_at = Timestamp::from(answer.sent_at);
        let (orders, bad_rows) = decode::bill_rows(bill.list.unwrap_or_default(), &self.settings.app_id, asked_at);
        Ok(Bill {
            orders,
            bad_rows,
            order_count: bill.summary_num.map(|count| count.get()),
            received_fen: bill.summary_total_fee.map(Yuan::fen),
            refund_count: bill.refund_num.map(|count| count.get()),
            refunded_fen: bill.refund_money.map(Yuan::fen),
        })
    }

    pub(super) async fn bill_page(
        &self,
        from: Timestamp,
        to: Timestamp,
        page: u32,
        rows: u32,
    ) -> Result<(types::Bill, RawAnswer), ReadError> {
        let call = Call::read();
        let biz = types::OrderBillBiz::builder()
            .start_time(Some(from.beijing()))
            .end_time(Some(to.beijing()))
            .page(Some(i64::from(page)))
            .limit(Some(i64::from(rows)));
        let biz: types::OrderBillBiz =
            biz.try_into().map_err(|error| classify::read_error("order.bill", &built(error)))?;
        let request = self.client.with_call(&call);
        let result = request.order_bill().body_map(|body| envelope!(body, biz)).send().await;
        let seen = Seen::of(call.conclude(result), |answer: types::OrderBillAnswer| answer.data);
        seen.read("order.bill", &self.settings.credential_codes)
    }

    /// The orders that a page of the bill names. It has neither state nor refunds, so its rows are no facts: each order
    /// is only mentioned, to be fetched where it is not known.
    pub(super) async fn mentioned(&self, wanted: &OrderFilter, page: PageAt) -> Result<OrderPage, ReadError> {
        let to = wanted.to.unwrap_or_else(|| self.now());
        let from = wanted.from.unwrap_or_else(|| to.saturating_sub(SPAN));
        let rows = page.limit.clamp(1, MOST_ROWS);
        let number = page.offset / u64::from(rows) + 1;
        let number = u32::try_from(number)
            .map_err(|_| ReadError::new(ReadErrorKind::Unsupported, format!("order.bill has no page {number}")))?;
        let mut bill = self.bill(from, to, number, rows).await;
        if bill.as_ref().is_err_and(|error| self.renew_after(error)) {
            bill = self.bill(from, to, number, rows).await;
        }
        let bill = bill?;
        let total = bill.order_count.and_then(|count| u64::try_from(count).ok());
        let here = bill.orders.len() + bill.bad_rows.len();
        let next = u64::from(number) * u64::from(rows);
        let more = here > 0 && total.map_or(here >= rows as usize, |total| next < total);
        Ok(OrderPage {
            mentioned: bill
                .orders
                .into_iter()
                .filter_map(|order| {
                    // No row says that it is paid, so none has it as a fact; what it says was paid is among the rest.
                    let paid = order.details.get("total_fee").and_then(|fee| fee.as_str()?.parse().ok());
                    Some(Mentioned { number: order.native?, paid, paid_at: order.paid_at })
                })
                .collect(),
            bad_rows: bill.bad_rows,
            next: more.then_some(next),
            total,
            ..OrderPage::default()
        })
    }
}
