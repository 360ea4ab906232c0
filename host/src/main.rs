//! The `anomd` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    anomd::cli::main()
}
