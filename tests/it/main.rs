//! The integration tests.

mod fubei;
mod specs;
mod wire_faults;
mod wire_server;
