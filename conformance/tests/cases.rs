//! Every case on the reference, for `cargo test` and nextest. The reference offers everything, so no case may be without
//! a verdict.

use iomap_conformance::guard::{Guard, TIMEOUT};
use iomap_conformance::mechanism::Mechanism;
use iomap_conformance::run::trials;
use iomap_conformance::target::{Reference, Target};
use libtest_mimic::Arguments;
use std::sync::Arc;

fn main() {
    let arguments = Arguments::from_args();
    let target: Arc<dyn Target> = Arc::new(Reference::new(None));
    let guard = Arc::new(Guard::new(TIMEOUT, None));
    let conclusion = libtest_mimic::run(&arguments, trials(&target, Mechanism::Seal, "", &guard, None, None));
    conclusion.exit_if_failed();
    assert_eq!(conclusion.num_ignored, 0, "a case says that the reference does not offer something");
}
