//! What a group changes, as rows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::index;
use super::super::lines::Cursor;
use super::fetched::Fetched;
use super::link::Written;
use crate::domain::{ChainHash, DeviceName, Entry, OrderId, OrderRecord};

/// What a group changes.
#[derive(Default)]
pub(super) struct Change {
    /// The last sequence after it.
    pub(super) sequence: u64,
    /// Each new entry with its line, by sequence.
    pub(super) entries: Vec<(Arc<Entry>, Vec<u8>)>,
    /// Each order that it touches, as it is then.
    pub(super) records: Vec<Arc<OrderRecord>>,
    pub(super) cursors: Vec<Cursor>,
}

impl Change {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.cursors.is_empty()
    }

    /// The rows that it makes of those that were fetched; attempts that begin in it are `device`'s for so long.
    pub(super) fn rows(&self, fetched: &Fetched, device: &DeviceName, lease: Duration) -> Written {
        let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let mut written = Written { sequence: self.sequence, lease_ms, ..Written::default() };
        let mut heads: HashMap<&OrderId, ChainHash> = HashMap::new();
        for (entry, line) in &self.entries {
            let before = || fetched.before(&entry.order).map_or(ChainHash::START, |record| record.head);
            let head = heads.entry(&entry.order).or_insert_with(before);
            *head = head.next(line);
            written.events.push(entry, std::str::from_utf8(line).expect("serde wrote it"), *head);
        }
        for record in &self.records {
            let before = fetched.before(&record.id);
            match before {
                Some(before) if Arc::ptr_eq(&before.facts, &record.facts) => written.changed.push(record),
                _ => {
                    written.put.0.push(record);
                    written.put.1.push(record);
                }
            }
            for (reference, gained) in index::renamed(before, record) {
                let numbers = if gained { &mut written.numbers_gained } else { &mut written.numbers_lost };
                numbers.push(record, &reference);
            }
            written.refunds.push_changed(before, record);
            written.begun.push_changed(&mut written.ended, device, before, record);
        }
        for Cursor { name, value } in &self.cursors {
            // The last one of a name counts.
            match written.cursors.0.iter().position(|known| known == name) {
                Some(at) => written.cursors.1[at].clone_from(value),
                None => {
                    written.cursors.0.push(name.clone());
                    written.cursors.1.push(value.clone());
                }
            }
        }
        written
    }
}
