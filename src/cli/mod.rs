//! The command line.
mod config;
mod duration;
mod exit;
mod output;
