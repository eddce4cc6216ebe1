//! What may have been met before: most keys of a history are new when they come, and need not be looked for.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A set that never denies what was put into it, and now and then claims what was not (a Bloom filter).
pub(crate) struct Seen {
    bits: RefCell<Vec<u64>>,
}

/// Bits of the set, 4 MiB of them: of four million keys (a million orders with three numbers each) it claims some three
/// in a hundred in vain.
const BITS: u64 = 1 << 25;

impl Seen {
    pub(crate) fn nothing() -> Seen {
        Seen { bits: RefCell::new(vec![0; (BITS / 64) as usize]) }
    }

    pub(crate) fn put(&self, key: &[u8]) {
        let mut bits = self.bits.borrow_mut();
        for bit in places(key) {
            bits[(bit / 64) as usize] |= 1 << (bit % 64);
        }
    }

    pub(crate) fn may_have(&self, key: &[u8]) -> bool {
        let bits = self.bits.borrow();
        places(key).all(|bit| bits[(bit / 64) as usize] & (1 << (bit % 64)) != 0)
    }
}

/// The bits of a key: steps of one half of its hash from the other.
fn places(key: &[u8]) -> impl Iterator<Item = u64> {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let hash = hasher.finish();
    let (start, step) = (hash >> 32, (hash & 0xffff_ffff) | 1);
    (0..5).map(move |number| (start + number * step) % BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_never_denied_and_little_else_is_claimed() {
        let (seen, key) = (Seen::nothing(), |number: u32| number.to_be_bytes());
        (0..200_000).for_each(|number| seen.put(&key(number)));
        assert!((0..200_000).all(|number| seen.may_have(&key(number))));
        let claimed = (200_000..400_000).filter(|number| seen.may_have(&key(*number))).count();
        assert!(claimed < 200, "{claimed} of 200,000 were claimed in vain");
    }
}
