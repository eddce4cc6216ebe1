//! The integration tests: one binary, for linking is the slow part.

mod architecture;
mod ledger;
mod support;
