//! All chance there is, from one seed.

use std::sync::{Arc, Mutex};

/// Dice that all throwers share, so that the order of throws is a part of the run.
#[derive(Clone)]
pub(crate) struct Dice(Arc<Mutex<fastrand::Rng>>);

impl Dice {
    pub(crate) fn of(seed: u64) -> Dice {
        Dice(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    fn throw<T>(&self, throw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        throw(&mut self.0.lock().expect("nothing panics with the dice in hand"))
    }

    /// Below `limit`, which is not zero.
    pub(crate) fn below(&self, limit: u64) -> u64 {
        self.throw(|dice| dice.u64(..limit))
    }

    /// Whether something with a chance of `of` in `all` happens.
    pub(crate) fn chance(&self, of: u64, all: u64) -> bool {
        self.below(all) < of
    }

    pub(crate) fn one_of<T: Copy>(&self, these: &[T]) -> T {
        let at = self.throw(|dice| dice.usize(..these.len()));
        these[at]
    }
}
