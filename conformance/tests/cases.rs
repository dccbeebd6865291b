//! Every case on the reference, with every value of situations and all pairs of them, for `cargo test` and nextest. The reference
//! offers every feature, so every case must have a verdict.

use iomap_conformance::{
    Guard, Mechanism, Place, Reference, Situations, TIMEOUT, Target, cases, test_arguments, trials,
};
use std::sync::Arc;

fn main() {
    let arguments = test_arguments();
    let target: Arc<dyn Target> = Arc::new(Reference::new(None));
    let guard = Arc::new(Guard::new(TIMEOUT, None));
    let place = Place { mechanism: Mechanism::Seal, kernel: false, inline: 0 };
    let trials = trials(cases(), &target, (place, Situations::Pairs), &guard);
    let conclusion = libtest_mimic::run(&arguments, trials);
    conclusion.exit_if_failed();
    assert_eq!(conclusion.num_ignored, 0, "a case says that the reference does not offer something");
}
