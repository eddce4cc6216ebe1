//! A varied set of orders, the same every time: statuses, methods, discounts, subjects in many scripts, some refunded
//! elsewhere, and rows in all the shapes in which the documents contradict each other.

use super::SandboxError;
use super::fault::Upstream;
use super::inside::Inside;
use super::numbers::mix;
use super::order::{Method, NewOrder, OrderHandle};

const SUBJECTS: [&str; 10] = [
    "珍珠奶茶 大杯",
    "Crème brûlée ☕",
    "被扫支付",
    "海盐芝士🧀 + 纸袋",
    "牛肉麵（加辣）",
    "ขนมปังกับชา",
    "قهوة عربية",
    "一条支付描述",
    "𠮷野家 丼飯",
    "\"quoted\" \\ back\\slash",
];

const MINUTE_S: i64 = 60;
const DAY_S: i64 = 24 * 60 * MINUTE_S;

/// Statuses of orders that nobody paid, or that were taken back, in the upstream's words.
fn unpaid_statuses(upstream: Upstream) -> &'static [&'static str] {
    match upstream {
        Upstream::Hydrogen => &["pending", "failed"],
        Upstream::TradeOrder => &["0", "1", "-1", "6", "7"],
        Upstream::Fubei => &["USERPAYING", "REVOKED", "REVOKING", "REVOKED_ERROR", "CLOSED"],
    }
}

fn methods(upstream: Upstream) -> &'static [Method] {
    match upstream {
        Upstream::Hydrogen => &[Method::Wechat, Method::Wechat, Method::Alipay],
        Upstream::TradeOrder => &[Method::Wechat, Method::Alipay, Method::Unionpay, Method::Cash, Method::Member],
        Upstream::Fubei => &[Method::Wechat, Method::Alipay, Method::Unionpay],
    }
}

fn pick<T: Copy>(from: &[T], by: u64) -> T {
    let count = u64::try_from(from.len()).expect("short lists");
    from[usize::try_from(by % count).expect("less than the list's length")]
}

/// The nth order of a seed; times go back from `now_s`, 53 minutes each, every 17th order being 100 days old.
fn nth_order(upstream: Upstream, nth: u64, now_s: i64) -> NewOrder {
    let chance = mix(nth ^ (upstream as u64).wrapping_mul(0x9e37_79b9));
    let age_s = i64::try_from(nth).unwrap_or(i64::MAX / DAY_S).saturating_mul(53 * MINUTE_S);
    let old_s = if nth.is_multiple_of(17) { 100 * DAY_S } else { 0 };
    let created_at = now_s.saturating_sub(age_s).saturating_sub(old_s);
    // Round prices, odd ones, and single fens.
    let paid_fen = match chance % 5 {
        0 => 1 + (chance >> 8) % 99,
        1 | 2 => 100 * (1 + (chance >> 8) % 500),
        _ => 100 + (chance >> 8) % 80_000,
    };
    let has_discount = upstream != Upstream::Hydrogen && nth.is_multiple_of(3);
    NewOrder {
        paid_fen: i64::try_from(paid_fen).expect("below 100000"),
        discount_fen: if has_discount { 100 + 50 * i64::try_from(nth % 40).expect("below 40") } else { 0 },
        method: pick(methods(upstream), chance >> 16),
        status: (nth % 9 == 4).then(|| pick(unpaid_statuses(upstream), nth / 9).to_owned()),
        created_at: Some(created_at),
        paid_at: Some(created_at + i64::try_from(chance % 50).expect("below 50")),
        subject: pick(&SUBJECTS, nth).to_owned(),
        by_another_user: nth % 8 == 3,
        variation: if nth % 10 == 1 { 0 } else { nth },
        ..NewOrder::default()
    }
}

/// Puts `count` orders into each upstream's books.
pub(crate) fn seed_orders(inside: &mut Inside, count: u32) -> Result<Vec<OrderHandle>, SandboxError> {
    let now_s = inside.now_s();
    let mut handles = Vec::new();
    for upstream in [Upstream::Fubei, Upstream::TradeOrder, Upstream::Hydrogen] {
        for nth in 1..=u64::from(count) {
            let place = inside.books.add_order(upstream, nth_order(upstream, nth, now_s), now_s)?;
            let order = &inside.books.orders[place];
            let (paid_fen, paid_at_s) = (order.paid_fen, order.paid_at_s);
            handles.push(order.handle());
            let Some(paid_at_s) = paid_at_s else { continue };
            let at_s = now_s.min(paid_at_s + 10 * MINUTE_S);
            match nth % 12 {
                5 if paid_fen >= 3 => {
                    inside.books.refund_elsewhere(place, paid_fen / 3, at_s)?;
                }
                7 => {
                    inside.books.refund_elsewhere(place, paid_fen, at_s)?;
                }
                _ => {}
            }
        }
    }
    Ok(handles)
}

#[cfg(test)]
mod tests {
    use super::super::books::Books;
    use super::super::inside::Clock;
    use super::*;

    #[test]
    fn a_seed_is_varied_and_the_same_every_time() {
        let seeded = || -> Books {
            let mut inside = Inside { clock_ahead_s: 1_700_000_000 - Clock::Machine.now_s(), ..Inside::default() };
            seed_orders(&mut inside, 60).expect("60 orders each");
            inside.books.books()
        };
        let books = seeded();
        assert_eq!(books.orders.len(), 180);
        assert_eq!(books.overpaid(), Vec::<&super::super::books::OrderBook>::new());
        let money: Vec<(i64, i64)> = books.orders.iter().map(|o| (o.paid_fen, o.money_out_fen)).collect();
        let again: Vec<(i64, i64)> = seeded().orders.iter().map(|o| (o.paid_fen, o.money_out_fen)).collect();
        assert_eq!(money, again);
        for (upstream, words) in [
            (Upstream::Fubei, &["SUCCESS", "USERPAYING", "REVOKED", "CLOSED"][..]),
            (Upstream::TradeOrder, &["2", "4", "5", "0", "1", "-1"][..]),
            (Upstream::Hydrogen, &["success", "pending", "failed"][..]),
        ] {
            for word in words {
                let found = books.orders.iter().any(|order| order.upstream == upstream && order.status == *word);
                assert!(found, "{upstream} {word}");
            }
        }
        assert!(books.orders.iter().any(|order| order.money_out_fen > 0 && order.money_out_fen < order.paid_fen));
        assert!(books.orders.iter().any(|order| order.money_out_fen == order.paid_fen));
    }
}
