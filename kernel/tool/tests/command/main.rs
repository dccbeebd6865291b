//! Tests of the command `iomap-kernel`, with a source that no kernel has.

mod builds;
mod scripts;
mod tools;
