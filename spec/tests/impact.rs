//! `iomap-spec impact`: the places of a checkout that a rewording touches.

#[path = "tools/checkout.rs"]
mod checkout;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn impact(top: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iomap-spec"));
    command.arg("impact").args(arguments).current_dir(top).env_remove("IOMAP_SPEC_PAGES");
    command.output().expect("the command can be run")
}

/// The number of places by kind. Each place has the text of its line.
fn kinds(top: &Path, id: &str) -> BTreeMap<String, usize> {
    #[derive(serde::Deserialize)]
    struct Document {
        clauses: Vec<Clause>,
    }
    #[derive(serde::Deserialize)]
    struct Clause {
        places: Vec<Place>,
    }
    #[derive(serde::Deserialize)]
    struct Place {
        kind: String,
        file: String,
        line: usize,
        text: String,
    }
    let output = impact(top, &["--format", "json", id]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let document: Document = serde_json::from_slice(&output.stdout).expect("a document of this form");
    let mut kinds = BTreeMap::new();
    for place in document.clauses.into_iter().flat_map(|clause| clause.places) {
        let text = fs::read_to_string(top.join(&place.file)).expect("the file is there");
        assert_eq!(text.lines().nth(place.line - 1).map(str::trim), Some(place.text.as_str()));
        *kinds.entry(place.kind).or_default() += 1;
    }
    kinds
}

/// One more place of each kind is one more place of that kind, and of no other.
#[test]
fn each_kind_of_place() {
    let Some(copy) = checkout::copy() else { return };
    let top = copy.path();
    let before = kinds(top, "truncate.shrink");
    assert_eq!(before["clause"], 1);
    let additions = [
        ("rule", "reference-impl/src/rules.rs", "\n// TRUNCATE_SHRINK\n"),
        ("case", "conformance/src/cases/read.rs", "\n// &TRUNCATE_SHRINK\n"),
        ("violation", "reference-impl/src/violation.rs", "\n// TRUNCATE_SHRINK\n"),
        ("expectation", "conformance/expectations/seal.toml", "\n# [\"truncate.shrink\"]\n"),
        ("expectation", "conformance/expectations/seal.toml", "\n# [\"truncate.*\"]\n"),
        ("entry-point", "spec/entry-points.toml", "\n# \"truncate.*\"\n"),
        ("page", "man/iomap_immutable_agents.7.md", "\n# A\n\n[truncate.shrink]\n"),
        ("example", "man/iomap_immutable_examples.7.md", "\n# A\n\n[truncate.shrink]\n\n```c\nint main;\n```\n"),
        ("chapter", "book/src/verdicts.md", "\n`truncate.shrink`\n"),
        ("document", "README.md", "\n`truncate.shrink`\n"),
        ("code", "conformance/src/reach.rs", "\n// truncate.shrink\n"),
    ];
    let mut expected = before;
    for (kind, file, more) in additions {
        let file = top.join(file);
        fs::write(&file, fs::read_to_string(&file).unwrap() + more).unwrap();
        *expected.entry(kind.to_owned()).or_default() += 1;
        assert_eq!(kinds(top, "truncate.shrink"), expected, "{}", file.display());
    }
    // Neither longer words nor families in running text.
    let file = top.join("book/src/verdicts.md");
    let longer = "truncate.shrinks xtruncate.shrink TRUNCATE_SHRINK_X truncate.* shrink\n";
    fs::write(&file, fs::read_to_string(&file).unwrap() + longer).unwrap();
    assert_eq!(kinds(top, "truncate.shrink"), expected);
}

#[test]
fn for_people() {
    let Some(copy) = checkout::copy() else { return };
    let output = impact(copy.path(), &["truncate.shrink"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        "truncate.shrink (must; ETXTBSY)  ",
        "\n    Making a sealed file smaller must fail",
        "\ncases (",
        "\n  reference-impl/src/rules.rs:",
        ": refuse(&TRUNCATE_SHRINK, ETXTBSY,",
        "\n  truncate.shrink/permitted ",
        " files\n",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    // Somewhere else there are only the built-in pages, which have no places beside them.
    let elsewhere = tempfile::tempdir().unwrap();
    let output = impact(elsewhere.path(), &["truncate.shrink"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--pages DIR"));
    let output = impact(copy.path(), &["truncate.shrunk"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean truncate.shrink"));
}
