//! Orders of the sandbox: what a test asks for ([`NewOrder`]), what it gets back ([`OrderHandle`]), and the numbers
//! an order bears.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SandboxError;
use super::fault::Upstream;
use super::numbers::{beijing, made_numbers, mix};

/// How the customer paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// 微信
    #[default]
    Wechat,
    /// 支付宝
    Alipay,
    /// 云闪付 (fubei and trade_order)
    Unionpay,
    /// 现金 (trade_order): its refunds never appear in `refund_order/list`
    Cash,
    /// 会员卡 (trade_order): its refunds never appear in `refund_order/list`
    Member,
}

/// An order to be put into an upstream's books. Amounts are fen, times are unix seconds.
///
/// What is left out is made: numbers in the upstream's own form, the present as time, a paid status.
///
/// # Examples
///
/// ```
/// use tillbook::sandbox::NewOrder;
///
/// let order = NewOrder { discount_fen: 2000, ..NewOrder::paid(8000) }.reference("merchant_order_sn", "20990101001");
/// assert_eq!(order.paid_fen, 8000);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewOrder {
    /// What the customer paid (or is to pay), in fen: the cap of all refunds.
    pub paid_fen: i64,
    /// What was taken off the price before paying, in fen; hydrogen knows none.
    pub discount_fen: i64,
    /// How it was paid.
    pub method: Method,
    /// The status in the upstream's own word (`SUCCESS`, `2`, `success`); a paid one unless given.
    pub status: Option<String>,
    /// When it was made, in unix seconds; now unless given.
    pub created_at: Option<i64>,
    /// When it was paid, in unix seconds; when it was made unless given. Ignored for a status that is not paid.
    pub paid_at: Option<i64>,
    /// What was bought, shown by upstreams that show it.
    pub subject: String,
    /// Chosen numbers by the upstream's own field name (`order_sn`, `tradeOrderId`, `transaction_no`, ..).
    pub references: BTreeMap<String, String>,
    /// hydrogen: bought by another user than the one whose token the sandbox knows, so that only the cloud function
    /// sees it.
    pub by_another_user: bool,
    /// Which of the shapes that the upstream documents contradict each other about its rows take; 0 = as in its
    /// seed document.
    pub variation: u64,
}

impl NewOrder {
    /// A paid order of this many fen.
    pub fn paid(paid_fen: i64) -> Self {
        Self { paid_fen, ..Self::default() }
    }

    /// Chooses one of the order's numbers.
    pub fn reference(mut self, name: &str, value: &str) -> Self {
        self.references.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// An order that is in an upstream's books, with all its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderHandle {
    /// Whose order it is.
    pub upstream: Upstream,
    /// The native number: fubei `order_sn`, trade_order `tradeOrderId`, hydrogen `transaction_no`.
    pub id: String,
    /// Every number by the upstream's own field name.
    pub references: BTreeMap<String, String>,
    /// The price before discounts, in fen.
    pub total_fen: i64,
    /// What was paid, in fen.
    pub paid_fen: i64,
}

/// An order as the books hold it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) upstream: Upstream,
    pub(crate) serial: u64,
    pub(crate) id: String,
    pub(crate) references: BTreeMap<&'static str, String>,
    pub(crate) status: String,
    pub(crate) method: Method,
    pub(crate) paid_fen: i64,
    pub(crate) discount_fen: i64,
    pub(crate) created_at_s: i64,
    pub(crate) paid_at_s: Option<i64>,
    pub(crate) updated_at_s: i64,
    pub(crate) subject: String,
    pub(crate) by_another_user: bool,
    pub(crate) variation: u64,
    /// The upstream's own running total of refunds that succeeded.
    pub(crate) refunded_fen: i64,
    /// Where its refunds lie in the books.
    pub(crate) refunds: Vec<usize>,
}

/// Larger orders than a hundred million yuan are a mistake in a test.
const MOST_FEN: i64 = 10_000_000_000;

impl Order {
    pub(crate) fn make(upstream: Upstream, serial: u64, new: NewOrder, now_s: i64) -> Result<Self, SandboxError> {
        let refuse = |why: &str| Err(SandboxError::Invalid(why.to_owned()));
        if !(0..=MOST_FEN).contains(&new.paid_fen) || !(0..=MOST_FEN).contains(&new.discount_fen) {
            return refuse("paid_fen and discount_fen lie between 0 and 10000000000");
        }
        if upstream == Upstream::Hydrogen && new.discount_fen != 0 {
            return refuse("hydrogen's orders know no discount");
        }
        let known_method = match upstream {
            Upstream::Hydrogen => matches!(new.method, Method::Wechat | Method::Alipay),
            Upstream::Fubei => matches!(new.method, Method::Wechat | Method::Alipay | Method::Unionpay),
            Upstream::TradeOrder => true,
        };
        if !known_method {
            return refuse("this upstream does not know this method");
        }
        let status = new.status.unwrap_or_else(|| paid_words(upstream)[0].to_owned());
        check_status(upstream, &status)?;
        let created_at_s = new.created_at.unwrap_or(now_s);
        if beijing(created_at_s).is_none() || new.paid_at.is_some_and(|at| beijing(at).is_none()) {
            return refuse("created_at and paid_at are unix seconds");
        }
        let paid_at_s = is_paid(upstream, &status).then(|| new.paid_at.unwrap_or(created_at_s));

        let mut references = made_numbers(upstream, serial, created_at_s, new.method);
        for (name, value) in new.references {
            let Some(known) = reference_names(upstream).iter().find(|known| **known == name) else {
                return Err(SandboxError::Invalid(format!("{upstream} has no number called {name}")));
            };
            if value.is_empty() || (*known == "id" && value.parse::<i64>().is_err()) {
                return Err(SandboxError::Invalid(format!("{value:?} cannot be a {known} of {upstream}")));
            }
            references.insert(known, value);
        }
        let id = references.get(native_name(upstream)).expect("made_numbers makes the native number").clone();
        Ok(Self {
            upstream,
            serial,
            id,
            references,
            status,
            method: new.method,
            paid_fen: new.paid_fen,
            discount_fen: new.discount_fen,
            created_at_s,
            paid_at_s,
            updated_at_s: paid_at_s.unwrap_or(created_at_s),
            subject: new.subject,
            by_another_user: new.by_another_user,
            variation: new.variation,
            refunded_fen: 0,
            refunds: Vec::new(),
        })
    }

    pub(crate) fn handle(&self) -> OrderHandle {
        OrderHandle {
            upstream: self.upstream,
            id: self.id.clone(),
            references: self.references.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            total_fen: self.total_fen(),
            paid_fen: self.paid_fen,
        }
    }

    pub(crate) fn total_fen(&self) -> i64 {
        // Both are at most MOST_FEN.
        self.paid_fen + self.discount_fen
    }

    pub(crate) fn number(&self, name: &str) -> Option<&str> {
        self.references.get(name).map(String::as_str)
    }

    pub(crate) fn is_paid(&self) -> bool {
        is_paid(self.upstream, &self.status)
    }

    /// Picks one of `choices` shapes for one aspect of this order's rows, always the same one; 0 for variation 0.
    pub(crate) fn vary(&self, aspect: &str, choices: u64) -> u64 {
        if self.variation == 0 {
            return 0;
        }
        let aspect = aspect
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        mix(self.variation ^ aspect) % choices
    }
}

/// Refuses a status that the upstream could not even write.
pub(crate) fn check_status(upstream: Upstream, status: &str) -> Result<(), SandboxError> {
    let fits = match upstream {
        Upstream::TradeOrder => status.parse::<i8>().is_ok(),
        Upstream::Fubei | Upstream::Hydrogen => !status.is_empty(),
    };
    if fits { Ok(()) } else { Err(SandboxError::Invalid(format!("{upstream} cannot have the status {status:?}"))) }
}

pub(crate) fn is_paid(upstream: Upstream, status: &str) -> bool {
    paid_words(upstream).contains(&status)
}

fn paid_words(upstream: Upstream) -> &'static [&'static str] {
    match upstream {
        Upstream::Hydrogen => &["success"],
        Upstream::TradeOrder => &["2", "4", "5"],
        Upstream::Fubei => &["SUCCESS"],
    }
}

fn native_name(upstream: Upstream) -> &'static str {
    match upstream {
        Upstream::Hydrogen => "transaction_no",
        Upstream::TradeOrder => "tradeOrderId",
        Upstream::Fubei => "order_sn",
    }
}

pub(crate) fn reference_names(upstream: Upstream) -> &'static [&'static str] {
    match upstream {
        Upstream::Hydrogen => &["transaction_no", "trade_no", "id"],
        Upstream::TradeOrder => &["tradeOrderId", "payOrderId", "channelOrderNo"],
        Upstream::Fubei => &["order_sn", "merchant_order_sn", "trade_no", "platform_order_no"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED_SECOND: i64 = 1_496_325_236; // 2017-06-01T21:53:56+08:00

    #[test]
    fn made_numbers_have_the_upstreams_forms() {
        let fubei = Order::make(Upstream::Fubei, 178_414, NewOrder::paid(8000), SEED_SECOND).expect("valid");
        assert_eq!(fubei.id, "20170601215356178414");
        assert_eq!(fubei.number("merchant_order_sn").map(str::len), Some(21));
        assert_eq!(fubei.number("trade_no").map(str::len), Some(28));
        let trade_order = Order::make(Upstream::TradeOrder, 6, NewOrder::paid(1), SEED_SECOND).expect("valid");
        assert_eq!(trade_order.id, "E01201706010953560000006");
        let hydrogen = Order::make(Upstream::Hydrogen, 0, NewOrder::paid(1), SEED_SECOND).expect("valid");
        assert_eq!(hydrogen.number("id"), Some("47963"));
        assert_eq!((hydrogen.id.len(), hydrogen.number("trade_no").map(str::len)), (32, Some(32)));
    }

    #[test]
    fn orders_no_upstream_could_hold_are_refused() {
        let make = |upstream, new| Order::make(upstream, 1, new, SEED_SECOND).map(|order| order.id);
        assert!(make(Upstream::Fubei, NewOrder::paid(-1)).is_err());
        assert!(make(Upstream::Hydrogen, NewOrder { discount_fen: 1, ..NewOrder::paid(1) }).is_err());
        assert!(make(Upstream::Fubei, NewOrder { method: Method::Cash, ..NewOrder::paid(1) }).is_err());
        assert!(make(Upstream::Fubei, NewOrder::paid(1).reference("tradeOrderId", "1")).is_err());
        assert!(make(Upstream::Hydrogen, NewOrder::paid(1).reference("id", "x")).is_err());
        let deposit = NewOrder { status: Some("deposit".to_owned()), ..NewOrder::paid(1) };
        assert!(make(Upstream::TradeOrder, deposit).is_err());
    }
}
