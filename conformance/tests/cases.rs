//! Every case on the reference, for `cargo test` and nextest. The reference offers every feature, so every case must
//! have a verdict.

use iomap_conformance::cases;
use iomap_conformance::mechanism::Mechanism;
use iomap_conformance::programs::TIMEOUT;
use iomap_conformance::run::trials::{test_arguments, trials};
use iomap_conformance::run::watchdog::Guard;
use iomap_conformance::system::Target;
use iomap_conformance::target::reference::Reference;
use std::sync::Arc;

fn main() {
    let arguments = test_arguments();
    let target: Arc<dyn Target> = Arc::new(Reference::new(None));
    let guard = Arc::new(Guard::new(TIMEOUT, None));
    let trials = trials(cases::all(), &target, Mechanism::Seal, "", &guard, None, None);
    let conclusion = libtest_mimic::run(&arguments, trials);
    conclusion.exit_if_failed();
    assert_eq!(conclusion.num_ignored, 0, "a case says that the reference does not offer something");
}
