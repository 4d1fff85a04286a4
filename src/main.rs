//! The `chronolith` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    chronolith::cli::main()
}
