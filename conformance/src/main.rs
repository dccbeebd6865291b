//! The command `iomap-conformance`.

use std::process::ExitCode;

fn main() -> ExitCode {
    iomap_conformance::main()
}
