//! Every case on the reference, for `cargo test` and nextest.

use iomap_conformance::mechanism::Mechanism;
use iomap_conformance::run::trials;
use iomap_conformance::target::{Reference, Target};
use libtest_mimic::Arguments;
use std::sync::Arc;

fn main() {
    let arguments = Arguments::from_args();
    let target: Arc<dyn Target> = Arc::new(Reference::new(None));
    libtest_mimic::run(&arguments, trials(&target, Mechanism::Seal, "", None, None)).exit();
}
