//! The floor: what the holds come to as bytes, appended to a plain file and synced. No check, no index, no way to find
//! anything again but a map in memory.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::contender::{Engine, Reads};
use crate::workload::{Hold, Order};

pub struct Append {
    file: File,
    paid: Arc<Mutex<HashMap<String, i64>>>,
}

impl Engine for Append {
    type Reads = Paid;

    fn open(directory: &Path, _cache_bytes: u64) -> Append {
        std::fs::create_dir_all(directory).expect("a directory");
        let file = OpenOptions::new().append(true).create(true).open(directory.join("append")).expect("a file");
        Append { file, paid: Arc::default() }
    }

    fn import(&mut self, page: &[Order]) {
        let mut bytes = Vec::new();
        let mut paid = self.paid.lock().expect("no reader panics");
        for order in page {
            bytes.extend_from_slice(order.facts.as_bytes());
            for (_, number) in &order.references {
                paid.insert(number.clone(), order.paid_fen);
            }
        }
        drop(paid);
        self.write(&bytes);
    }

    fn hold(&mut self, group: &[Hold]) -> Vec<bool> {
        let mut bytes = Vec::new();
        for hold in group {
            line(hold, &mut bytes);
        }
        self.write(&bytes);
        vec![true; group.len()]
    }

    fn settle(&mut self) {}

    fn reads(&self) -> Paid {
        Paid(Arc::clone(&self.paid))
    }
}

impl Append {
    fn write(&mut self, bytes: &[u8]) {
        self.file.write_all(bytes).expect("written");
        self.file.sync_data().expect("synced");
    }
}

/// As many bytes as the ledger's line of a hold with its frame.
fn line(hold: &Hold, bytes: &mut Vec<u8>) {
    let Hold { number, key, amount_fen, at_us } = hold;
    let text = format!("{number} {key} {amount_fen} {at_us}");
    bytes.extend_from_slice(format!("{text:<LINE$}\n").as_bytes());
}

/// Bytes of a hold's line in the ledger's journal; a test of the bench holds it against the real one.
pub(super) const LINE: usize = 420;

pub struct Paid(Arc<Mutex<HashMap<String, i64>>>);

impl Reads for Paid {
    fn lookup(&self, number: &str) -> Option<i64> {
        self.0.lock().expect("no writer panics").get(number).copied()
    }

    fn day(&self, _from_us: i64, _to_us: i64) -> u64 {
        unreachable!("a plain file is not asked for a day")
    }
}
