//! The integration tests.

mod fubei;
mod wire_faults;
mod wire_server;
