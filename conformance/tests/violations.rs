//! For every violation of the reference, a case of the violated clause detects it.

use iomap_clauses::ALL;
use iomap_conformance::audit;
use iomap_reference::violations;

#[test]
fn every_violation_is_killed() {
    let all = violations();
    let audited = audit(&all.iter().collect::<Vec<_>>());
    for clause in ALL.iter().filter(|clause| clause.uncased.is_none()) {
        assert!(audited.iter().any(|one| one.clause == clause.id), "nothing breaks {clause}");
    }
    let survivors: Vec<&String> = audited.iter().filter(|one| one.verdict != "killed").map(|one| &one.id).collect();
    assert!(survivors.is_empty(), "no case notices {survivors:?}");
}
