//! The `tillbook` command; all of it is in `cli`.

mod cli;

use std::process::ExitCode;

/// The system's own frees across threads at a price: records are made by one and dropped by another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
