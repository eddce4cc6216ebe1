//! The table behind `required.rs`: each operation an adapter calls and each field it touches.

use super::required::{Field, Operation, Variants};

/// The operations and the enum variants of all adapters.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) operations: &'static [Operation],
    pub(crate) variants: &'static [Variants],
}

pub(crate) const TABLE: Table = Table { operations: &[], variants: &[] };
