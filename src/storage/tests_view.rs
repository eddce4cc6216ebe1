//! Where two layers of changes meet.

use std::collections::BTreeMap;

use super::key::{Key, Value};
use super::view::{Chunk, Over};

/// Only as far as both layers were read: what lies at the very end of one comes with the next chunk, and once.
#[test]
fn what_lies_where_the_next_chunk_begins_is_left_to_it() {
    let (a, just_after) = (Key::from(*b"a"), Key::from(*b"a\0"));
    let value = Value::from(*b"x");
    let changes = BTreeMap::from([(a.clone(), Some(value.clone()))]);
    let over = Over::of(&changes, Clone::clone, b"a", b"z", 1);
    let merged = over.merge(Chunk { entries: vec![(just_after.clone(), value.clone())], next: None });
    assert_eq!((merged.entries, merged.next), (vec![(a, value)], Some(just_after)));
}
