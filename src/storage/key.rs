//! The keys of the index: one byte that says which kind, then its parts in the order in which they are looked up.
//!
//! A text part ends in a zero byte, and zero and one inside it are escaped, so that keys sort by
//! their parts and no text (order ids hold nearly any byte) can be taken for two.

use std::sync::Arc;

use super::value::Value;
use crate::domain::{AccountName, OrderId, RefundKey, RefundState};

/// A key of the index.
pub(crate) type Key = Arc<[u8]>;
/// A key with its new value; `None` removes it.
pub(crate) type Change = (Key, Option<Value>);

/// Through which frame the index was brought up to date. Below all kinds, so that no range sees it.
pub(crate) const APPLIED: &[u8] = &[0];
/// Order: the record itself.
pub(crate) const RECORD: u8 = b'o';
/// Account and number: the orders that bear it, with the kind by which each does.
pub(crate) const REFERENCE: u8 = b'r';
/// Account and refund key: the order.
pub(crate) const REFUND: u8 = b'k';
/// Time, newest first, and order: the account.
pub(crate) const TIME: u8 = b't';
/// State, time, account, refund key: the order.
pub(crate) const STATE: u8 = b's';
/// Account, kind and number: several orders bear it. Below [`REFERENCE`], so that it is put before the entry that
/// shows them: a process killed in between makes up for it when the frames are replayed.
pub(crate) const CONTESTED: u8 = b'd';
/// The last sequence of a frame: where in the journal it lies.
pub(crate) const SEQUENCE: u8 = b'q';
/// Name: a cursor.
pub(crate) const CURSOR: u8 = b'c';
/// Key and number: a further part of a value too long for one. Below the index, where no range sees it.
const PART: u8 = b'p';

/// Order and part: an answer about it. In a tree of its own, so that it is in no range and no hash of the others.
const BODY: u8 = b'b';

/// All kinds, in order.
pub(crate) const KINDS: [u8; 8] = [CURSOR, CONTESTED, REFUND, RECORD, SEQUENCE, REFERENCE, STATE, TIME];

/// A key under construction.
pub(crate) struct Builder(Vec<u8>);

impl Builder {
    pub(crate) fn new(kind: u8) -> Builder {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(kind);
        Builder(bytes)
    }

    pub(crate) fn text(mut self, text: &str) -> Builder {
        for byte in text.bytes() {
            match byte {
                0 | 1 => self.0.extend([1, byte + 1]),
                _ => self.0.push(byte),
            }
        }
        self.0.push(0);
        self
    }

    pub(crate) fn byte(mut self, byte: u8) -> Builder {
        self.0.push(byte);
        self
    }

    pub(crate) fn number(mut self, number: u64) -> Builder {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// Microseconds since 1970, oldest first.
    pub(crate) fn time(self, micros: i64) -> Builder {
        self.number(sortable(micros))
    }

    /// Microseconds since 1970, newest first.
    pub(crate) fn time_down(self, micros: i64) -> Builder {
        self.number(!sortable(micros))
    }

    pub(crate) fn key(self) -> Key {
        Arc::from(self.0)
    }
}

/// Takes a key apart; every part is `None` where the key is not one of ours.
pub(crate) struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    pub(crate) fn of(key: &'a [u8]) -> Parts<'a> {
        Parts(key.get(1..).unwrap_or_default())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let (part, rest) = self.0.split_at(end);
        self.0 = rest.get(1..)?;
        let mut text = Vec::with_capacity(part.len());
        let mut bytes = part.iter();
        while let Some(byte) = bytes.next() {
            text.push(if *byte == 1 { bytes.next()?.checked_sub(1)? } else { *byte });
        }
        String::from_utf8(text).ok()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*first))
    }

    /// The time of [`Builder::time`].
    pub(crate) fn time(&mut self) -> Option<i64> {
        self.number().map(unsortable)
    }

    /// The time of [`Builder::time_down`].
    pub(crate) fn time_down(&mut self) -> Option<i64> {
        self.number().map(|sortable| unsortable(!sortable))
    }
}

/// Signed numbers sort as unsigned ones once their sign is turned.
fn sortable(micros: i64) -> u64 {
    micros.cast_unsigned() ^ (1 << 63)
}

fn unsortable(number: u64) -> i64 {
    (number ^ (1 << 63)).cast_signed()
}

pub(crate) fn record(order: &OrderId) -> Key {
    Builder::new(RECORD).text(order.as_str()).key()
}

/// Without the kind: whatever it is, a look-up is one key.
pub(crate) fn reference(account: &AccountName, number: &str) -> Key {
    Builder::new(REFERENCE).text(account.as_str()).text(number).key()
}

pub(crate) fn refund(account: &AccountName, key: &RefundKey) -> Key {
    Builder::new(REFUND).text(account.as_str()).text(key.as_str()).key()
}

pub(crate) fn time(micros: i64, order: &OrderId) -> Key {
    Builder::new(TIME).time_down(micros).text(order.as_str()).key()
}

pub(crate) fn state(state: RefundState, micros: i64, account: &AccountName, key: &RefundKey) -> Key {
    states(state).time(micros).text(account.as_str()).text(key.as_str()).key()
}

/// The start of all keys of a state.
pub(crate) fn states(state: RefundState) -> Builder {
    Builder::new(STATE).byte(state_code(state))
}

pub(crate) fn contested(account: &AccountName, kind: &str, number: &str) -> Key {
    Builder::new(CONTESTED).text(account.as_str()).text(kind).text(number).key()
}

pub(crate) fn sequence(last: u64) -> Key {
    Builder::new(SEQUENCE).number(last).key()
}

pub(crate) fn cursor(name: &str) -> Key {
    Builder::new(CURSOR).text(name).key()
}

/// Whether entries of that kind are short, and there are many of them for each record: several share a value on disk.
pub(crate) fn shares_a_page(key: &[u8]) -> bool {
    matches!(key.first(), Some(&(CONTESTED | REFUND | SEQUENCE | REFERENCE | STATE | TIME)))
}

/// A further part of the value under a key.
pub(crate) fn part(key: &[u8], number: u16) -> Vec<u8> {
    [&[PART], key, &number.to_be_bytes()].concat()
}

/// The start of the keys of all parts of an order's body.
pub(crate) fn body(order: &OrderId) -> Key {
    Builder::new(BODY).text(order.as_str()).key()
}

fn state_code(state: RefundState) -> u8 {
    match state {
        RefundState::Queued => 1,
        RefundState::Sending => 2,
        RefundState::Accepted => 3,
        RefundState::InDoubt => 4,
        RefundState::Succeeded => 5,
        RefundState::Declined => 6,
        RefundState::Review => 7,
        RefundState::Canceled => 8,
        RefundState::Reversed => 9,
    }
}

/// The first key that no longer has the prefix.
pub(crate) fn end_of(prefix: &[u8]) -> Key {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    Arc::from(end)
}

/// The first key after `key`.
pub(crate) fn after(key: &[u8]) -> Key {
    let mut next = key.to_vec();
    next.push(0);
    Arc::from(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_apart_into_what_it_was_made_of() {
        let key = Builder::new(TIME).time_down(-5).text("a\u{0}b\u{1}c").text("").byte(7).number(9).key();
        let mut parts = Parts::of(&key);
        assert_eq!(parts.time_down(), Some(-5));
        assert_eq!(parts.text().as_deref(), Some("a\u{0}b\u{1}c"));
        assert_eq!(parts.text().as_deref(), Some(""));
        assert_eq!((parts.byte(), parts.number(), parts.byte()), (Some(7), Some(9), None));
    }

    #[test]
    fn keys_sort_by_their_parts_whatever_the_texts_hold() {
        let texts = ["", "\u{0}", "\u{0}a", "\u{1}", "\u{1}z", "\u{2}", "a", "a\u{0}", "a\u{1}b", "ab", "b", "订单"];
        for (i, left) in texts.iter().enumerate() {
            for (j, right) in texts.iter().enumerate() {
                let of = |first: &str, second: &str| Builder::new(1).text(first).text(second).key();
                assert_eq!(of(left, "z").cmp(&of(right, "a")), i.cmp(&j).then(1.cmp(&0)), "{left:?} {right:?}");
            }
        }
        let times = [i64::MIN, -1, 0, 1, i64::MAX];
        assert!(times.map(|t| Builder::new(1).time(t).key()).is_sorted());
        assert!(times.map(|t| Builder::new(1).time_down(t).key()).iter().rev().is_sorted());
    }

    #[test]
    fn refunds_of_a_state_lie_together_oldest_first_and_each_in_its_own_place() {
        let account = AccountName::new("shop-1").expect("valid");
        let refund_key = RefundKey::new("k").expect("valid");
        for one in RefundState::ALL {
            let keys = [-5, 0, 5].map(|micros| state(one, micros, &account, &refund_key));
            assert_eq!(keys.each_ref().map(|key| Parts::of(&key[1..]).time()), [Some(-5), Some(0), Some(5)]);
            assert!(keys.is_sorted() && keys.iter().all(|key| key.starts_with(&states(one).key())));
            let others = RefundState::ALL.into_iter().filter(|other| *other != one);
            assert!(others.into_iter().all(|other| !keys[0].starts_with(&states(other).key())));
            let mut parts = Parts::of(&keys[0]);
            assert_eq!((parts.byte(), parts.time()), (Some(state_code(one)), Some(-5)));
            assert_eq!((parts.text().as_deref(), parts.text().as_deref()), (Some("shop-1"), Some("k")));
        }
    }

    #[test]
    fn orders_lie_newest_first_and_those_of_one_instant_by_their_names() {
        let at = |micros, order| time(micros, &OrderId::new(order).expect("valid"));
        let keys = [at(5, "a"), at(5, "b"), at(0, "a"), at(-5, "a")];
        assert!(keys.is_sorted());
        let mut parts = Parts::of(&keys[1]);
        assert_eq!((keys[1][0], parts.time_down(), parts.text().as_deref()), (TIME, Some(5), Some("b")));
    }

    #[test]
    fn the_end_of_a_prefix_is_past_all_its_keys() {
        assert_eq!(&*end_of(&[b'a', 0xff, 0xff]), b"b");
        assert_eq!(&*end_of(b"ab\0"), b"ab\x01");
    }
}
