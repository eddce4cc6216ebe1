//! The numbers that upstreams make for orders and refunds, and the Beijing clock inside them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::fault::Upstream;
use super::order::Method;

pub(crate) fn made_numbers(
    upstream: Upstream,
    serial: u64,
    at_s: i64,
    method: Method,
) -> BTreeMap<&'static str, String> {
    match upstream {
        Upstream::Hydrogen => BTreeMap::from([
            ("id", (47_963 + serial).to_string()),
            ("trade_no", format!("1gAta{}", letters(mix(serial), 27))),
            ("transaction_no", letters(mix(!serial), 32)),
        ]),
        Upstream::TradeOrder => {
            let mut numbers = BTreeMap::from([("tradeOrderId", clock_number("E01", at_s, serial))]);
            if !matches!(method, Method::Cash | Method::Member) {
                numbers.insert("payOrderId", clock_number("P01", at_s, serial));
                numbers.insert("channelOrderNo", format!("42000{serial:023}"));
            }
            numbers
        }
        Upstream::Fubei => {
            let clock = beijing_text(at_s, "%Y%m%d%H%M%S");
            BTreeMap::from([
                ("order_sn", format!("{clock}{serial:06}")),
                ("merchant_order_sn", format!("{}{serial:07}", beijing_text(at_s, "%Y%m%d%H%M%S"))),
                ("trade_no", format!("{clock}{:014}", 83_049_000_000 + serial)),
                ("platform_order_no", format!("4200{serial:016}")),
            ])
        }
    }
}

/// `E01` + date + the twelve-hour clock (the family's own bug) + seven digits that count.
pub(crate) fn clock_number(prefix: &str, at_s: i64, serial: u64) -> String {
    format!("{prefix}{}{:07}", beijing_text(at_s, "%Y%m%d%I%M%S"), serial % 10_000_000)
}

/// A text of letters and digits that depends on the seed alone.
pub(crate) fn letters(seed: u64, count: usize) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = mix(state);
            let place = usize::try_from(state % 62).expect("less than 62");
            char::from(ALPHABET[place])
        })
        .collect()
}

/// splitmix64: a fixed scramble, so that the same seed gives the same orders everywhere.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Wall clock of Beijing; none when the second lies outside of what can be written.
pub(crate) fn beijing(at_s: i64) -> Option<DateTime> {
    Timestamp::from_second(at_s).ok().map(|at| Offset::constant(8).to_datetime(at))
}

/// Wall clock of Beijing in the given pattern.
pub(crate) fn beijing_text(at_s: i64, pattern: &str) -> String {
    beijing(at_s).map_or_else(String::new, |at| at.strftime(pattern).to_string())
}

/// Reads `yyyy-MM-dd HH:mm:ss` of Beijing.
pub(crate) fn beijing_second(text: &str) -> Option<i64> {
    let at = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    Offset::constant(8).to_timestamp(at).ok().map(|at| at.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beijing_wall_clock_is_read_back() {
        assert_eq!(beijing_text(1_496_325_236, "%Y-%m-%d %H:%M:%S"), "2017-06-01 21:53:56");
        assert_eq!(beijing_second("2017-06-01 21:53:56"), Some(1_496_325_236));
        assert_eq!(beijing_second("2017-06-01"), None);
    }
}
