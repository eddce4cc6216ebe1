//! The integration tests.

