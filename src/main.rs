//! The `brimful` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    brimful::cli::main()
}
