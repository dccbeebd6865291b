//! The floor plan: imports only go down.

use iomap_testing::floors::{Plan, Sources};
use std::path::Path;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is around this package")
}

#[test]
fn imports_only_go_down() {
    let page = std::fs::read_to_string(top().join("ARCHITECTURE.md")).expect("the page is there");
    let plan = Plan::parse(&page).unwrap_or_else(|finding| panic!("{finding}"));
    let sources = Sources::read(top()).expect("the sources can be read");
    let findings: Vec<String> = plan.check(&sources).iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
}

const TABLE: &str = "\
text
| room | floor | about |
|---|---|---|
| `a/src/low.rs` | 1 | the cellar |
| `a/src/side.rs` | 1 | beside it |
| `a/src/` | 2 | the rest |
| `b/` | 3 | the user |
";

/// The findings about two packages whose only imports are in these files.
fn findings(files: &[(&str, &str)]) -> Vec<String> {
    let plan = Plan::parse(TABLE).expect("the table is right");
    let mut all = vec![("a/src/lib.rs", ""), ("a/src/low.rs", ""), ("a/src/side.rs", ""), ("b/src/lib.rs", "")];
    all.retain(|(name, _)| files.iter().all(|(other, _)| name != other));
    all.extend(files);
    let sources = Sources::of(&all, &[("crate_a", "a/src/lib.rs"), ("crate_b", "b/src/lib.rs")]);
    plan.check(&sources).iter().map(ToString::to_string).collect()
}

#[test]
fn imports_that_go_down_or_stay_are_fine() {
    for files in [
        [("a/src/lib.rs", "mod low;\nuse low::Thing;"), ("b/src/lib.rs", "use crate_a::low::{self, Thing};")],
        [("a/src/low.rs", "use crate::side::Thing;"), ("a/src/lib.rs", "")],
        [("a/src/lib.rs", "use crate::inner::X;"), ("a/src/inner.rs", "use super::Y;")],
    ] {
        assert_eq!(findings(&files), [""; 0]);
    }
}

#[test]
fn imports_that_go_up_have_a_finding() {
    let up = "a/src/low.rs (floor 1) imports a/src/ (floor 2)";
    for (text, line) in [
        ("use super::Thing;", 1),
        ("\nuse crate::{Thing};", 2),
        ("use std::{\n    fmt,\n};\nuse crate::Thing as Other;", 4),
        ("fn f() {\n    crate::g();\n}", 2),
        ("fn f() { println!(\"{}\",\n    crate::G) }", 2),
        ("mod tests {\n    use super::super::Thing;\n}", 2),
        ("pub use super::{a::B, c};", 1),
    ] {
        assert_eq!(findings(&[("a/src/low.rs", text)]), [format!("a/src/low.rs:{line}: {up}")], "{text}");
    }
    let other = findings(&[("a/src/lib.rs", "fn f() -> crate_b::X {}")]);
    assert_eq!(other, ["a/src/lib.rs:1: a/src/ (floor 2) imports b/ (floor 3)"]);
}

#[test]
fn a_circle_on_one_floor_has_a_finding_at_each_end() {
    let files = [("a/src/low.rs", "use crate::side::X;"), ("a/src/side.rs", "\nuse crate::low::{X, Y};")];
    let expected = [
        "a/src/low.rs:1: a/src/low.rs and a/src/side.rs import each other",
        "a/src/side.rs:2: a/src/side.rs and a/src/low.rs import each other",
    ];
    assert_eq!(findings(&files), expected);
}

#[test]
fn files_and_rooms_belong_together() {
    assert_eq!(findings(&[("c/src/lib.rs", "")]), ["c/src/lib.rs:1: no room has this file"]);
    let plan = Plan::parse(TABLE).expect("the table is right");
    let found: Vec<String> = plan.check(&Sources::of(&[], &[])).iter().map(ToString::to_string).collect();
    assert_eq!(found[0], "ARCHITECTURE.md:4: the room a/src/low.rs has no file");
    assert_eq!(found.len(), 4);
}

#[test]
fn tables_that_cannot_be_read() {
    for (table, expected) in [
        ("no table", "ARCHITECTURE.md:1: no table with the header | room | floor | …"),
        ("| room | floor | x |\n|-|-|-|\n| a | one | x |", "ARCHITECTURE.md:3: the floor is a number"),
        ("| room | floor | x |\n|-|-|-|\n| a | 1 |  |", "ARCHITECTURE.md:3: the room has no line about it"),
        ("| room | floor | x |\n|-|-|-|\n| a | 1 | x |\n| a | 2 | x |", "ARCHITECTURE.md:4: the room has two rows"),
    ] {
        assert_eq!(Plan::parse(table).expect_err(table).to_string(), expected);
    }
}
