//! What the lines of a history add up to: where each order's chain stands, and each cursor.

use std::collections::BTreeMap;
use std::fmt;

use super::lines::{Cursor, Line};
use crate::domain::{ChainHash, OrderId};

/// A hash over each order's id, version and chain head, and over the cursors: equal for two storages with the same
/// history, and for one before and after it was exported, restored or rebuilt.
///
/// Chain heads stand for all that was recorded, so a newer version of this software comes to the same hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateHash([u8; 32]);

impl StateHash {
    /// The hash of a history line by line, in order ([`lines`](super::Storage::lines)), with the cursors: for storages
    /// written elsewhere.
    ///
    /// # Errors
    /// Which line cannot be read or does not follow, and why.
    pub fn of(
        lines: impl IntoIterator<Item = impl AsRef<str>>,
        cursors: impl IntoIterator<Item = (String, String)>,
    ) -> Result<StateHash, String> {
        let mut state = State::default();
        for (number, line) in (1..).zip(lines) {
            state.take_in(line.as_ref().as_bytes()).map_err(|why| format!("line {number}: {why}"))?;
        }
        state.cursors.extend(cursors);
        Ok(state.hash())
    }
}

impl fmt::Display for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from(self.0).to_hex())
    }
}

impl fmt::Debug for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateHash({self})")
    }
}

/// Where the chain of an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many entries the order has.
    pub version: u64,
    /// The hash of the last one.
    pub hash: ChainHash,
}

/// A history's sum.
#[derive(Default)]
pub(crate) struct State {
    /// The last sequence.
    pub(crate) sequence: u64,
    pub(crate) heads: BTreeMap<OrderId, Head>,
    pub(crate) cursors: BTreeMap<String, String>,
}

impl State {
    /// Takes the next line in.
    ///
    /// # Errors
    /// Why it does not follow, or cannot be read.
    pub(crate) fn take_in(&mut self, line: &[u8]) -> Result<(), String> {
        match Line::read(line).map_err(|e| e.to_string())? {
            Line::Cursor(cursor) => {
                self.cursors.insert(cursor.name, cursor.value);
            }
            Line::Entry(entry) => {
                let head = self.heads.get(&entry.order);
                let (version, hash) = head.map_or((0, ChainHash::START), |head| (head.version, head.hash));
                if entry.sequence != self.sequence + 1 {
                    return Err(format!("event {} follows event {}", entry.sequence, self.sequence));
                }
                if entry.version != version + 1 {
                    let order = &entry.order;
                    return Err(format!("version {} of order {order} follows version {version}", entry.version));
                }
                self.sequence = entry.sequence;
                self.heads.insert(entry.order, Head { version: entry.version, hash: hash.next(line) });
            }
        }
        Ok(())
    }

    pub(crate) fn hash(&self) -> StateHash {
        let mut hasher = blake3::Hasher::new_derive_key("tillbook 2026 state of a ledger");
        let mut text = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        for (order, head) in &self.heads {
            text(order.as_str());
            text(&head.version.to_string());
            text(&head.hash.to_string());
        }
        for (name, value) in self.cursors.iter().filter(|(name, _)| !Cursor::is_own(name)) {
            text(name);
            text(value);
        }
        StateHash(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lines: &[&str]) -> StateHash {
        let mut state = State::default();
        lines.iter().for_each(|line| state.take_in(line.as_bytes()).expect("follows"));
        state.hash()
    }

    #[test]
    fn cursors_count_with_their_last_value_and_the_storage_s_own_does_not() {
        let a = r#"{"cursor":"a","value":"1"}"#;
        let own = r#"{"cursor":"instance","value":"x"}"#;
        assert_eq!(after(&[a]), after(&[r#"{"cursor":"a","value":"0"}"#, own, a]));
        assert_ne!(after(&[a]), after(&[]));
        assert_ne!(after(&[a]), after(&[r#"{"cursor":"a1","value":""}"#]));
    }

    #[test]
    fn a_line_that_is_none_is_refused() {
        assert!(State::default().take_in(b"{}").is_err());
    }
}
