//! The living books: orders, refunds and the cloud function's table, changed under one lock.
//!
//! Money moves here and nowhere else; what each upstream says about it lies in that upstream's own file.

use std::collections::{BTreeMap, HashMap};

use super::SandboxError;
use super::books::{Books, Calls, OrderBook, RefundBook, RefundState};
use super::fault::Upstream;
use super::numbers::{beijing_text, clock_number, letters, mix};
use super::order::{NewOrder, Order, check_status, reference_names};

/// More orders or refunds than this are a runaway test; the books refuse them and stay small.
const MOST_ROWS: usize = 500_000;

/// A refund as the books hold it.
#[derive(Clone, Debug)]
pub(crate) struct Refund {
    pub(crate) order: usize,
    pub(crate) serial: u64,
    pub(crate) client_no: Option<String>,
    pub(crate) server_no: String,
    pub(crate) amount_fen: i64,
    pub(crate) memo: String,
    pub(crate) at_s: i64,
    pub(crate) finished_at_s: Option<i64>,
    pub(crate) state: RefundState,
    pub(crate) money_moved: bool,
    pub(crate) elsewhere: bool,
}

/// One row of the cloud function's own table.
#[derive(Clone, Debug)]
pub(crate) struct FunctionRow {
    pub(crate) state: RowState,
    /// The order number's kind and value as the caller named it.
    pub(crate) kind: String,
    pub(crate) value: String,
    pub(crate) amount_fen: Option<i64>,
    pub(crate) memo: String,
    /// What `BaaS.refund` answered.
    pub(crate) refund: Option<usize>,
    /// Why `BaaS.refund` refused.
    pub(crate) error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowState {
    Started,
    Done,
    Failed,
    Void,
}

/// What is asked for when a refund is taken.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) client_no: Option<String>,
    pub(crate) amount_fen: i64,
    pub(crate) memo: String,
    pub(crate) elsewhere: bool,
}

/// Orders, refunds, the function's rows, and the calls counted.
#[derive(Debug, Default)]
pub(crate) struct Bookkeeping {
    pub(crate) orders: Vec<Order>,
    pub(crate) refunds: Vec<Refund>,
    pub(crate) rows: BTreeMap<String, FunctionRow>,
    pub(crate) calls: Calls,
    numbers: HashMap<(Upstream, &'static str, String), usize>,
    refund_numbers: HashMap<(Upstream, String), usize>,
}

impl Bookkeeping {
    pub(crate) fn add_order(&mut self, upstream: Upstream, new: NewOrder, now_s: i64) -> Result<usize, SandboxError> {
        if self.orders.len() >= MOST_ROWS {
            return Err(SandboxError::Full);
        }
        let serial = u64::try_from(self.orders.len()).expect("MOST_ROWS fits") + 1;
        let order = Order::make(upstream, serial, new, now_s)?;
        for (name, number) in &order.references {
            if self.numbers.contains_key(&(upstream, *name, number.clone())) {
                return Err(SandboxError::NumberTaken { name: (*name).to_owned(), number: number.clone() });
            }
        }
        let place = self.orders.len();
        for (name, number) in &order.references {
            self.numbers.insert((upstream, *name, number.clone()), place);
        }
        self.orders.push(order);
        Ok(place)
    }

    /// The order that bears this number under this name.
    pub(crate) fn order_by(&self, upstream: Upstream, name: &str, number: &str) -> Option<usize> {
        let name = reference_names(upstream).iter().find(|known| **known == name)?;
        self.numbers.get(&(upstream, *name, number.to_owned())).copied()
    }

    /// The order that bears this number under whatever name.
    pub(crate) fn find_order(&self, upstream: Upstream, number: &str) -> Result<usize, SandboxError> {
        reference_names(upstream)
            .iter()
            .find_map(|name| self.order_by(upstream, name, number))
            .ok_or_else(|| SandboxError::UnknownOrder { upstream, number: number.to_owned() })
    }

    pub(crate) fn refunds_of(&self, order: usize) -> impl Iterator<Item = &Refund> {
        self.orders[order].refunds.iter().map(|place| &self.refunds[*place])
    }

    /// What the upstream would still pay out: paid, less all that was taken and did not fail.
    pub(crate) fn left_fen(&self, order: usize) -> i64 {
        let taken: i64 = self
            .refunds_of(order)
            .filter(|refund| refund.state != RefundState::Failed)
            .map(|refund| refund.amount_fen)
            .sum();
        self.orders[order].paid_fen - taken
    }

    /// What really went back to the customer.
    pub(crate) fn money_out_fen(&self, order: usize) -> i64 {
        self.refunds_of(order).filter(|refund| refund.money_moved).map(|refund| refund.amount_fen).sum()
    }

    /// The refund with this number, the caller's or the upstream's own.
    pub(crate) fn refund_by(&self, upstream: Upstream, number: &str) -> Option<usize> {
        self.refund_numbers.get(&(upstream, number.to_owned())).copied()
    }

    /// Takes a refund without moving money: it is processing.
    pub(crate) fn take_refund(&mut self, order: usize, draft: Draft, now_s: i64) -> Result<usize, SandboxError> {
        if self.refunds.len() >= MOST_ROWS {
            return Err(SandboxError::Full);
        }
        let place = self.refunds.len();
        let serial = u64::try_from(place).expect("MOST_ROWS fits") + 1;
        let upstream = self.orders[order].upstream;
        let server_no = match upstream {
            Upstream::Fubei => format!("{}{serial:06}", beijing_text(now_s, "%Y%m%d%H%M%S")),
            Upstream::TradeOrder => clock_number("MR01", now_s, serial),
            Upstream::Hydrogen => format!("1gB{}", letters(mix(serial ^ 0x5246), 29)),
        };
        for number in draft.client_no.iter().chain([&server_no]) {
            // A client number used twice keeps naming the first refund: the upstream's own number names the second.
            self.refund_numbers.entry((upstream, number.clone())).or_insert(place);
        }
        self.refunds.push(Refund {
            order,
            serial,
            client_no: draft.client_no,
            server_no,
            amount_fen: draft.amount_fen,
            memo: draft.memo,
            at_s: now_s,
            finished_at_s: None,
            state: RefundState::Processing,
            money_moved: false,
            elsewhere: draft.elsewhere,
        });
        self.orders[order].refunds.push(place);
        Ok(place)
    }

    /// The refund succeeds: the money moves (if it has not), and the order's own total knows it.
    pub(crate) fn succeed(&mut self, refund: usize, now_s: i64) {
        let entry = &mut self.refunds[refund];
        if entry.state != RefundState::Processing {
            return;
        }
        entry.state = RefundState::Succeeded;
        entry.money_moved = true;
        entry.finished_at_s = Some(now_s);
        let order = &mut self.orders[entry.order];
        order.refunded_fen += entry.amount_fen;
        order.updated_at_s = now_s;
        if order.upstream == Upstream::TradeOrder && matches!(order.status.as_str(), "2" | "4") {
            order.status = if order.refunded_fen == order.paid_fen { "5" } else { "4" }.to_owned();
        }
    }

    pub(crate) fn fail(&mut self, refund: usize, now_s: i64) {
        let entry = &mut self.refunds[refund];
        entry.state = RefundState::Failed;
        entry.finished_at_s = Some(now_s);
    }

    /// A refund that had succeeded comes back: the customer's bank would not take it, say.
    pub(crate) fn reverse(&mut self, refund: usize, now_s: i64) {
        let entry = &mut self.refunds[refund];
        if entry.state != RefundState::Succeeded {
            return;
        }
        entry.state = RefundState::Failed;
        entry.money_moved = false;
        entry.finished_at_s = Some(now_s);
        let order = &mut self.orders[entry.order];
        order.refunded_fen -= entry.amount_fen;
        order.updated_at_s = now_s;
        if order.upstream == Upstream::TradeOrder && matches!(order.status.as_str(), "4" | "5") {
            order.status = if order.refunded_fen == 0 { "2" } else { "4" }.to_owned();
        }
    }

    /// Somebody refunds in the merchant's back office.
    pub(crate) fn refund_elsewhere(&mut self, order: usize, fen: i64, now_s: i64) -> Result<usize, SandboxError> {
        let left_fen = self.left_fen(order);
        if !self.orders[order].is_paid() {
            return Err(SandboxError::Invalid("only a paid order can be refunded".to_owned()));
        }
        if fen <= 0 || fen > left_fen {
            return Err(SandboxError::NotEnough { asked_fen: fen, left_fen });
        }
        let draft = Draft { amount_fen: fen, memo: "商户后台".to_owned(), elsewhere: true, client_no: None };
        let refund = self.take_refund(order, draft, now_s)?;
        self.succeed(refund, now_s);
        Ok(refund)
    }

    pub(crate) fn set_status(&mut self, order: usize, status: &str, now_s: i64) -> Result<(), SandboxError> {
        let order = &mut self.orders[order];
        check_status(order.upstream, status)?;
        order.status = status.to_owned();
        order.updated_at_s = now_s;
        if order.is_paid() && order.paid_at_s.is_none() {
            order.paid_at_s = Some(now_s);
        }
        Ok(())
    }

    pub(crate) fn books(&self) -> Books {
        let refund_book = |refund: &Refund| RefundBook {
            client_no: refund.client_no.clone(),
            server_no: refund.server_no.clone(),
            amount_fen: refund.amount_fen,
            state: refund.state,
            money_moved: refund.money_moved,
            elsewhere: refund.elsewhere,
            memo: refund.memo.clone(),
            at: refund.at_s,
        };
        let order_book = |(place, order): (usize, &Order)| OrderBook {
            upstream: order.upstream,
            id: order.id.clone(),
            status: order.status.clone(),
            paid_fen: order.paid_fen,
            money_out_fen: self.money_out_fen(place),
            refunds: self.refunds_of(place).map(refund_book).collect(),
        };
        Books { orders: self.orders.iter().enumerate().map(order_book).collect(), calls: self.calls.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refund_elsewhere_never_exceeds_what_is_left() {
        let mut books = Bookkeeping::default();
        let order = books.add_order(Upstream::TradeOrder, NewOrder::paid(1900), 0).expect("valid");
        books.refund_elsewhere(order, 500, 1).expect("500 of 1900");
        assert_eq!(books.orders[order].status, "4");
        let refused = books.refund_elsewhere(order, 1401, 2);
        assert!(matches!(refused, Err(SandboxError::NotEnough { asked_fen: 1401, left_fen: 1400 })));
        books.refund_elsewhere(order, 1400, 3).expect("the rest");
        assert_eq!(books.orders[order].status, "5");
        assert_eq!(books.books().total_money_out_fen(), 1900);
    }

    #[test]
    fn numbers_name_one_order_each() {
        let mut books = Bookkeeping::default();
        let new = NewOrder::paid(1).reference("order_sn", "A1");
        let order = books.add_order(Upstream::Fubei, new.clone(), 0).expect("valid");
        assert_eq!(books.find_order(Upstream::Fubei, "A1").ok(), Some(order));
        assert!(books.find_order(Upstream::Hydrogen, "A1").is_err());
        let again = books.add_order(Upstream::Fubei, new, 0);
        assert!(matches!(again, Err(SandboxError::NumberTaken { .. })));
    }
}
