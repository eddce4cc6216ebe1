//! A fact that can be checked, and what a check tells: that it holds, that it was left out, or what differed.

use std::fmt;

use super::Bench;
use crate::BoxFuture;
use crate::domain::decide::Refusal;
use crate::storage::{StorageError, TransactError};

/// The longest description of one value: a record of any size must not fill a terminal.
const WORDS: usize = 1_500;

/// One thing that every storage promises.
pub struct Fact {
    /// The fact as a name: `one_refund_key_asked_for_by_many_orders_is_given_once`.
    pub name: &'static str,
    pub(super) check: for<'a> fn(&'a mut dyn Bench) -> BoxFuture<'a, Result<(), Stop>>,
}

impl Fact {
    /// Checks the fact on storages that the bench makes.
    ///
    /// # Errors
    /// [`Violation`] where the storage does otherwise, or a call failed that must not.
    pub async fn check(&self, bench: &mut dyn Bench) -> Result<Checked, Violation> {
        match (self.check)(bench).await {
            Ok(()) => Ok(Checked::Holds),
            Err(Stop::LeftOut(why)) => Ok(Checked::LeftOut(why)),
            Err(Stop::Wrong(what)) => Err(Violation { fact: self.name, what }),
        }
    }
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What a check told of a fact that was not violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The storage does as it says.
    Holds,
    /// This storage cannot be asked that; why not.
    LeftOut(&'static str),
}

/// A fact that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fact}: {what}")]
pub struct Violation {
    /// The fact's name.
    pub fact: &'static str,
    /// What differed, in words, with the values.
    pub what: String,
}

/// Why a check ends before its end.
#[derive(Debug)]
pub(super) enum Stop {
    Wrong(String),
    LeftOut(&'static str),
}

impl Stop {
    pub(super) fn wrong(what: impl Into<String>) -> Stop {
        Stop::Wrong(what.into())
    }

    /// Says also where the check was.
    pub(super) fn at(self, place: impl fmt::Display) -> Stop {
        match self {
            Stop::Wrong(what) => Stop::Wrong(format!("{place}: {what}")),
            left_out @ Stop::LeftOut(_) => left_out,
        }
    }
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Stop {
        Stop::Wrong(format!("a call failed that must not: {error}"))
    }
}

impl From<TransactError> for Stop {
    fn from(error: TransactError) -> Stop {
        Stop::Wrong(format!("a command failed that is in order: {error}"))
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Wrong(format!("a command was refused that is in order: {refusal}"))
    }
}

impl From<tokio::task::JoinError> for Stop {
    fn from(error: tokio::task::JoinError) -> Stop {
        Stop::Wrong(format!("a call panicked: {error}"))
    }
}

/// Stops where a value is not what it must be.
pub(super) fn same<T: PartialEq + fmt::Debug>(what: impl fmt::Display, got: &T, want: &T) -> Result<(), Stop> {
    if got == want {
        return Ok(());
    }
    Err(Stop::Wrong(format!("{what} is {}, not {}", short(got), short(want))))
}

/// Stops where something that must be so is not.
pub(super) fn hold_true(so: bool, words: impl FnOnce() -> String) -> Result<(), Stop> {
    if so { Ok(()) } else { Err(Stop::Wrong(words())) }
}

fn short(value: &impl fmt::Debug) -> String {
    let words = format!("{value:?}");
    match words.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{}... ({} bytes)", &words[..end], words.len()),
        None => words,
    }
}
