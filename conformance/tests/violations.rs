//! For every violation of the reference, a case of the violated clause detects it.

use iomap_clauses::ALL;
use iomap_conformance::{audit, audit_conditions, cases, sample};
use iomap_reference::{BY_CONSTRUCTION, conditional, rules, violations};

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

/// The number of violations with conditions, and the least number of them that the suite must notice.
const SAMPLE: (usize, usize) = (300, 282);

/// A sample of the violations that show only under a condition; `make audit-conditions` tries all of them.
#[test]
fn violations_with_conditions() {
    let all = conditional();
    let (size, least) = SAMPLE;
    let audited = audit_conditions(&sample(&all.iter().collect::<Vec<_>>(), size, 1), false);
    let number = |verdict| audited.iter().filter(|one| one.verdict == verdict).count();
    let (killed, survived, unmet) = (number("killed"), number("survived"), number("unmet"));
    assert_eq!(killed + survived + unmet, size);
    assert!(killed >= least, "{killed} of {size} are noticed; {survived} are not, and {unmet} are never met");
}

/// The coverage of each clause, as text: a change of it is a change of this snapshot, which a review shows. A clause that
/// nothing covers says why.
#[test]
fn coverage() {
    let (all, rules) = (violations(), rules().collect::<Vec<_>>());
    let listed = |what: &str, names: Vec<String>| match names[..] {
        [] => String::new(),
        _ => format!("  {what:<11} {}\n", names.join(" ")),
    };
    let clauses = ALL.iter().map(|clause| {
        let rows = rules.iter().filter(|(of, _)| of == clause).map(|(_, answer)| answer.clone());
        let constructed = BY_CONSTRUCTION.iter().filter(|(of, _)| of == clause).map(|(_, why)| format!("({why})"));
        let manner = |id: &str| id.split_once('/').map_or(id, |(_, manner)| manner).to_owned();
        let violations = all.iter().filter(|one| one.clause == *clause).map(|one| manner(&one.id)).collect();
        let cases = cases().filter(|case| case.clause == *clause).map(|case| case.full_name()).collect();
        let uncased = clause.uncased.map(|why| format!("({why})")).into_iter().collect();
        [
            format!("{} ({})\n", clause.id, clause.level),
            listed("rule", rows.chain(constructed).collect()),
            listed("cases", cases),
            listed("violations", violations),
            listed("no case", uncased),
        ]
        .concat()
    });
    insta::assert_snapshot!(clauses.collect::<String>());
}
