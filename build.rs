//! Generates the typed clients from `specs/`.
fn main() {}
