//! The gateway's refunds by the time they were made: a page for whoever compares books, and all of a span for a search.
//!
//! The list is newest first and paged by number, so rows move to later pages while refunds arrive, and rows made in one
//! second may change places between two pages. A span is therefore read until a whole reading brings nothing new.

use std::collections::BTreeMap;

use crate::clients::call::{Call, RawAnswer};
use crate::clients::rows::read_each;
use crate::clients::wire::{BadRow, Count, Rows, Text};
use crate::domain::{Finding, Timestamp};
use crate::gateway::{PageAt, ReadError, ReadErrorKind, RefundCall, RefundPage, RefundSpan};

use super::api::types;
use super::envelope::Seen;
use super::gateway::TradeOrderGateway;
use super::likeness::{self, Alike, Window};
use super::list::{Pages, after, whole_second};
use super::refunds;

/// Rows to a page of a search; the server's own number where nobody asks is 20.
const ROWS: u64 = 100;

/// More pages than this are a server that ignores the page's number.
const MOST_PAGES: u64 = 500;

/// How often a span is read that never stays the same.
const MOST_READINGS: u32 = 5;

/// All rows of a span, each once.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By number, as last seen: a status may change between two readings.
    pub(super) rows: BTreeMap<String, types::RefundOrder>,
    /// Those that cannot be read, by their text.
    pub(super) bad: BTreeMap<String, BadRow>,
    /// How far the upstream's clock is ahead of this one's, as the first answer's `Date` says.
    pub(super) ahead_s: i64,
}

impl Found {
    fn count(&self) -> usize {
        self.rows.len() + self.bad.len()
    }

    pub(super) fn take(&mut self, rows: Rows<types::RefundOrder>) {
        for row in rows.rows {
            let number = row.mch_refund_no.as_ref().and_then(Text::non_empty).map(str::to_owned);
            // Without a number a row is known by all it says.
            let name = number.unwrap_or_else(|| format!("{row:?}"));
            self.rows.insert(name, row);
        }
        self.bad.extend(rows.bad.into_iter().map(|row| (row.raw.to_string(), row)));
    }
}

impl TradeOrderGateway {
    /// Looks for a refund whose number nobody knows among all that were made around its attempt.
    pub(super) async fn find_alike(&self, about: &RefundCall, asked_at: Timestamp) -> Result<Finding, ReadError> {
        let alike = match Alike::of(about) {
            Ok(alike) => alike,
            Err(why) => return Ok(likeness::nothing_asked(why, asked_at, self.now())),
        };
        let asked = Window::around(alike.sent_at, asked_at, 0);
        let found = self.all(asked.from(), asked.to()).await?;
        let window = Window::around(alike.sent_at, asked_at, found.ahead_s);
        Ok(likeness::judge(&found, &alike, &window, asked_at, self.now()))
    }

    /// Every row of a span, read until a reading brings nothing new.
    async fn all(&self, from: Timestamp, to: Timestamp) -> Result<Found, ReadError> {
        let mut found = Found::default();
        for reading in 1..=MOST_READINGS {
            let before = found.count();
            let in_one_answer = self.reading(from, to, &mut found).await?;
            // One answer is whole by itself: nothing can move between its pages.
            if in_one_answer || (reading > 1 && found.count() == before) {
                return Ok(found);
            }
        }
        let message = "refund_order.list: the list changed in each of several readings";
        Err(ReadError::new(ReadErrorKind::Busy, message))
    }

    /// Reads a span page by page to its end; whether the first answer had all of it.
    async fn reading(&self, from: Timestamp, to: Timestamp, found: &mut Found) -> Result<bool, ReadError> {
        for page in 1..=MOST_PAGES {
            let (rows, count, raw) = self.refund_page(from, to, page, ROWS).await?;
            if page == 1 {
                found.ahead_s = raw.date.map_or(0, |date| date.as_second() - raw.received_at.as_second());
            }
            let here = rows.rows.len() + rows.bad.len();
            found.take(rows);
            // The end is an empty page; a short one is not, for a server may give fewer rows than it is asked for.
            if here == 0 {
                return Ok(page == 1);
            }
            let total = count.and_then(|count| usize::try_from(count.get()).ok());
            if page == 1 && total == Some(here) && (here as u64) < ROWS {
                return Ok(true);
            }
        }
        let message = format!("refund_order.list: no end after {MOST_PAGES} pages");
        Err(ReadError::new(ReadErrorKind::Refused, message))
    }

    /// One page of the refunds made in a span; rows that were surely made outside of it are left out.
    pub(super) async fn list_refunds_once(&self, span: RefundSpan, page: PageAt) -> Result<RefundPage, ReadError> {
        let pages = Pages::of(page);
        let (rows, count, _) = self.refund_page(span.from, span.to, pages.number, pages.limit).await?;
        let some = !rows.rows.is_empty() || !rows.bad.is_empty();
        let (refunds, bad_rows) = read_each("data", after(rows, pages.skip), |row| {
            if likeness::surely_outside(&row, span) { Ok(None) } else { refunds::seen(&row).map(Some) }
        });
        Ok(RefundPage {
            refunds: refunds.into_iter().flatten().collect(),
            bad_rows,
            next: some.then(|| pages.next()),
            total: count.and_then(|count| u64::try_from(count.get()).ok()),
        })
    }

    async fn refund_page(
        &self,
        from: Timestamp,
        to: Timestamp,
        page: u64,
        limit: u64,
    ) -> Result<(Rows<types::RefundOrder>, Option<Count>, RawAnswer), ReadError> {
        let too_long = |_| ReadError::new(ReadErrorKind::Unsupported, "no list is that long");
        let (page, limit) = (i64::try_from(page).map_err(too_long)?, i64::try_from(limit).map_err(too_long)?);
        let call = Call::read();
        let client = self.client.with_call(&call);
        let request = client.list_refund_orders().page(page).limit(limit);
        let request = request.create_time_start(from.beijing()).create_time_end(whole_second(to).beijing());
        let result = call.conclude(request.send().await);
        let seen = Seen::of(result, |answer: types::RefundOrderPage| Some((answer.data, answer.count)));
        let (data, raw) = seen.read("refund_order.list")?;
        let (rows, count) = data.unwrap_or_default();
        Ok((rows.unwrap_or_default(), count, raw))
    }
}
