//! The `brimful` program.

use std::process::ExitCode;

/// Scans allocate and free column by column from several threads, which the system's allocator keeps too much of.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    brimful::cli::main()
}
