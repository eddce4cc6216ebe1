//! The `tillbook` command.
mod cli;

fn main() {}
