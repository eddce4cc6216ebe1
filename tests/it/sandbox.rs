//! The sandbox, driven by plain HTTP: it must be right before anything else is judged by its books.

mod client;
mod control;
mod faults;
mod fubei;
mod hydrogen;
mod trade_order;
