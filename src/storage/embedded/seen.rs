//! What an index may hold: most numbers, orders and refund keys are new when they come, and need not be looked for.
//!
//! An import asks for each number twice, first to learn whose order it is and then whether another bears it, and all but
//! a few are borne by nobody: two fifths of its writer's time went into finding that out from sled.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::storage::lock::{AtomicU64, Ordering};

/// A set that never denies what was put into it, and now and then claims what was not (a Bloom filter).
///
/// Only what is put and then shown needs to be found: the overlay's lock lies between the two.
pub(super) struct Seen {
    bits: Vec<AtomicU64>,
}

/// The most bytes of a set: of four million keys (a million orders with three numbers each) it claims some three in a
/// hundred in vain then.
const MOST_BYTES: u64 = 4 << 20;

impl Seen {
    /// In an eighth of the memory that the index's pages may have.
    pub(super) fn nothing(cache_bytes: u64) -> Seen {
        let words = (cache_bytes / 8).min(MOST_BYTES) / 8;
        Seen { bits: (0..words.max(1)).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(super) fn put(&self, key: &[u8]) {
        for bit in self.places(key) {
            self.bits[(bit / 64) as usize].fetch_or(1 << (bit % 64), Ordering::Relaxed);
        }
    }

    pub(super) fn may_have(&self, key: &[u8]) -> bool {
        self.places(key).all(|bit| self.bits[(bit / 64) as usize].load(Ordering::Relaxed) & (1 << (bit % 64)) != 0)
    }

    /// The bits of a key: steps of one half of its hash from the other.
    fn places(&self, key: &[u8]) -> impl Iterator<Item = u64> {
        let bits = self.bits.len() as u64 * 64;
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let hash = hasher.finish();
        let (start, step) = (hash >> 32, (hash & 0xffff_ffff) | 1);
        (0..5).map(move |number| (start + number * step) % bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_never_denied_and_little_else_is_claimed() {
        let (seen, key) = (Seen::nothing(1 << 30), |number: u32| number.to_be_bytes());
        (0..200_000).for_each(|number| seen.put(&key(number)));
        assert!((0..200_000).all(|number| seen.may_have(&key(number))));
        let claimed = (200_000..400_000).filter(|number| seen.may_have(&key(*number))).count();
        assert!(claimed < 200, "{claimed} of 200,000 were claimed in vain");
    }
}
