//! The integration tests.

mod sandbox;
