//! The integration tests: one binary, for linking is the slow part.

mod accepted;
mod adoption;
mod architecture;
mod attempts;
mod bodies;
mod cli;
mod clocks;
mod demo;
mod drain;
mod footprint;
mod format;
mod fubei;
mod hydrogen;
mod lease;
mod ledger;
mod ledger_kill;
mod ledger_queries;
mod ledger_races;
mod ledger_sync;
mod limited;
mod matrix;
mod model;
mod outside;
#[cfg(unix)]
mod postgres;
#[cfg(unix)]
mod power_cut;
mod provisional;
mod pull;
mod put_back;
mod quarantine;
mod reconcile;
mod run;
mod sandbox;
mod serve;
mod specs;
mod storage;
mod subscribe;
mod support;
mod trade_order;
mod wire_faults;
mod wire_ledger;
mod wire_server;
mod wire_verdicts;
