//! The `tillbook` command; all of it is in `cli`.

mod cli;

use std::process::ExitCode;

/// The system's own frees across threads at a price: records are made by one and dropped by another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A huge page takes two megabytes of a kiosk for a kilobyte in use. Where they cannot be refused, all works as well.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    cli::main()
}
