//! The integration tests.

mod fubei;
mod hydrogen;
mod sandbox;
mod specs;
mod trade_order;
mod wire_faults;
mod wire_server;
