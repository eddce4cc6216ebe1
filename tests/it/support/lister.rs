//! A desk that lists its refunds, row by row as a test says, and whose lists can break off.

use std::sync::{Arc, Mutex};

use tillbook::gateway::{
    BadRow, BoxFuture, Capabilities, Gateway, OrderFilter, OrderPage, PageAt, ReadError, ReadErrorKind, RefundPage,
    RefundSpan, SeenRefund,
};

use super::desk::Desk;
use super::forward_gateway::forward_gateway;

/// What its lists show.
#[derive(Default)]
pub(crate) struct Lists {
    /// The refund rows, two a page.
    pub(crate) refunds: Vec<SeenRefund>,
    /// Lists of refunds break off before this row.
    pub(crate) refunds_break_at: Option<u64>,
    /// Lists of orders break off at their end instead of ending.
    pub(crate) orders_break: bool,
    /// Rows of the list of orders that cannot be read.
    pub(crate) bad_orders: Vec<BadRow>,
    /// The spans of orders and of refunds asked for.
    pub(crate) asked: Vec<String>,
}

/// The desk with such lists: clones are one.
#[derive(Clone)]
pub(crate) struct Lister {
    pub(crate) desk: Desk,
    pub(crate) lists: Arc<Mutex<Lists>>,
}

impl Lister {
    pub(crate) fn new(desk: Desk) -> Lister {
        Lister { desk, lists: Arc::default() }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Lists)) {
        change(&mut self.lists.lock().expect("no test panics with the lists open"));
    }

    fn page(&self, span: RefundSpan, page: PageAt) -> Result<RefundPage, ReadError> {
        let mut lists = self.lists.lock().expect("no test panics with the lists open");
        lists.asked.push(format!("refunds {} to {}", span.from.beijing(), span.to.beijing()));
        if lists.refunds_break_at.is_some_and(|row| page.offset >= row) {
            return Err(broken());
        }
        let skip = usize::try_from(page.offset).expect("small");
        let refunds: Vec<SeenRefund> = lists.refunds.iter().skip(skip).take(2).cloned().collect();
        let end = page.offset + refunds.len() as u64;
        let next = (end < lists.refunds.len() as u64).then_some(end);
        Ok(RefundPage { refunds, next, ..RefundPage::default() })
    }
}

fn broken() -> ReadError {
    ReadError::new(ReadErrorKind::Refused, "the list broke off")
}

impl Gateway for Lister {
    forward_gateway!(self.desk: name, merchant, fetch_order, refund, probe, check);

    fn capabilities(&self) -> Capabilities {
        Capabilities { lists_refunds: true, ..self.desk.capabilities() }
    }

    fn list_orders<'a>(&'a self, wanted: &'a OrderFilter, page: PageAt) -> BoxFuture<'a, Result<OrderPage, ReadError>> {
        Box::pin(async move {
            let (breaks, bad_rows) = {
                let mut lists = self.lists.lock().expect("no test panics with the lists open");
                let shown = |at: Option<tillbook::Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.beijing());
                lists.asked.push(format!("orders {} to {}", shown(wanted.from), shown(wanted.to)));
                (lists.orders_break, lists.bad_orders.clone())
            };
            if breaks && page.offset > 0 {
                return Err(broken());
            }
            let mut found = self.desk.list_orders(wanted, page).await?;
            found.bad_rows = bad_rows;
            if breaks {
                found.next = Some(page.offset + found.orders.len() as u64);
            }
            Ok(found)
        })
    }

    fn list_refunds<'a>(&'a self, span: RefundSpan, page: PageAt) -> BoxFuture<'a, Result<RefundPage, ReadError>> {
        let page = self.page(span, page);
        Box::pin(async move { page })
    }
}
