//! The work that every contender is given: a shop's orders and the refunds that are held on them.
//!
//! All of it follows from numbers, so that contenders meet the same orders in the same sequence. Amounts are fen.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tillbook::domain::{Facts, GatewayName, OrderStatus, PaidAtSource, PaymentMethod, Reference};
use tillbook::{Money, Timestamp};

/// The first order's second of payment: 2026-01-01T00:00:00Z.
const EPOCH_S: i64 = 1_767_225_600;

/// Orders of a day: the shop of the year that is simulated.
pub const A_DAY: u64 = 2_000;

/// What each order paid: enough for every refund of the longest run on a hot order but the last.
pub const PAID_FEN: i64 = 5_000;

/// What each hold asks for. Fifty of them fit.
pub const HOLD_FEN: i64 = 100;

/// One order as an upstream told it: about 1 KB, three numbers, a time of payment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Its native number, the key under which every contender keeps it.
    pub number: String,
    /// The facts as JSON: what is kept and given back, whoever keeps it.
    pub facts: String,
    /// Its numbers by kind: all are unique and looked up by.
    pub references: Vec<(String, String)>,
    /// Microseconds since 1970.
    pub paid_at_us: i64,
    pub paid_fen: i64,
}

/// The native number of the n-th order.
pub fn number(n: u64) -> String {
    format!("20170601{n:012}")
}

/// The number that stands on the n-th order's receipt.
pub fn receipt(n: u64) -> String {
    format!("R{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// When the n-th order was paid: evenly over days.
pub fn paid_at_us(n: u64) -> i64 {
    let of_day = i64::try_from(n % A_DAY * 86_400_000_000 / A_DAY).expect("below a day");
    day_us(n / A_DAY) + of_day
}

/// When a day begins.
pub fn day_us(day: u64) -> i64 {
    (EPOCH_S + i64::try_from(day).expect("a day of this century") * 86_400) * 1_000_000
}

/// A time of the work, for the ledger.
pub fn timestamp(us: i64) -> Timestamp {
    Timestamp::EPOCH.saturating_add(Duration::from_micros(us.try_into().expect("after 1970")))
}

/// The facts of the n-th order, as the ledger takes them.
pub fn facts(n: u64) -> Facts {
    let number = number(n);
    let transaction = format!("4200000{:021}", u128::from(n) * 7_919);
    let native = Reference::new("order_sn", &number).expect("a number");
    let paid_at = timestamp(paid_at_us(n));
    let text = |text: &str| serde_json::Value::String(text.to_owned());
    let details = BTreeMap::from([
        ("body".to_owned(), text("门店消费：拿铁咖啡（大杯，少冰）一杯，可颂面包两只，苏打水一瓶")),
        ("store_id".to_owned(), text("1000023")),
        ("store_name".to_owned(), text("上海市徐汇区漕溪北路旗舰店")),
        ("cashier_id".to_owned(), text("8817")),
        ("device_no".to_owned(), text("FB-T1-0000193")),
        ("total_fee".to_owned(), text("52.00")),
        ("discount_fee".to_owned(), text("2.00")),
        ("platform_discount".to_owned(), text("0.00")),
        ("merchant_discount".to_owned(), text("2.00")),
        ("fee_rate".to_owned(), text("0.0038")),
        ("attach".to_owned(), text(&format!("table=12;ticket={n};source=pos"))),
    ]);
    Facts {
        gateway: GatewayName::new("fubei").expect("a name"),
        merchant: "20170601215348".to_owned(),
        references: BTreeMap::from([
            ("order_sn".to_owned(), number),
            ("merchant_order_sn".to_owned(), receipt(n)),
            ("channel_order_sn".to_owned(), transaction),
        ]),
        native: Some(native),
        status: OrderStatus::Paid,
        upstream_status: "SUCCESS".to_owned(),
        payment_method: Some(PaymentMethod::Wechat),
        currency: "CNY".to_owned(),
        total: Some(Money::from_fen(PAID_FEN + 200).expect("an amount")),
        paid: Money::from_fen(PAID_FEN).expect("an amount"),
        refunded: Some(Money::ZERO),
        refund_count: Some(0),
        upstream_refund_status: None,
        paid_at: Some(paid_at),
        paid_at_source: PaidAtSource::Upstream,
        created_at: Some(paid_at),
        updated_at: Some(paid_at),
        details,
        asked_at: paid_at,
        upstream_time: None,
        body: None,
    }
}

/// The n-th order, as the peers take it.
pub fn order(n: u64) -> Order {
    let facts = facts(n);
    Order {
        number: number(n),
        references: facts.references.clone().into_iter().collect(),
        facts: serde_json::to_string(&facts).expect("facts are JSON"),
        paid_at_us: paid_at_us(n),
        paid_fen: PAID_FEN,
    }
}

/// One refund to hold.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The order's native number.
    pub number: String,
    /// The refund's permanent name: unique, twenty to thirty characters.
    pub key: String,
    pub amount_fen: i64,
    /// The time of the hold.
    pub at_us: i64,
}

/// Which orders are refunded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// Any of so many, each as likely.
    Random(u64),
    /// A set of 64 from this order on, left for the next 64 once each has had fifty refunds of whoever counts them
    /// here: one process of `among`.
    Hot { first: u64, among: u64 },
}

/// Orders of the hot set.
const HOT: u64 = 64;

/// Refunds of each order of the hot set.
const HOT_REFUNDS: u64 = 50;

/// Makes holds: the same for the same seed.
pub struct Holds {
    spread: Spread,
    dice: fastrand::Rng,
    seed: u64,
    made: u64,
}

impl Holds {
    pub fn new(spread: Spread, seed: u64) -> Holds {
        Holds { spread, dice: fastrand::Rng::with_seed(seed), seed, made: 0 }
    }

    pub fn next_hold(&mut self) -> Hold {
        let n = match self.spread {
            Spread::Random(orders) => self.dice.u64(0..orders),
            Spread::Hot { first, among } => first + self.made / (HOT * HOT_REFUNDS / among) * HOT + self.made % HOT,
        };
        self.made += 1;
        Hold {
            number: number(n),
            key: format!("till3-{:08x}-{:012x}", self.seed, self.made),
            amount_fen: HOLD_FEN,
            at_us: day_us(365) + i64::try_from(self.made).expect("a count"),
        }
    }
}
