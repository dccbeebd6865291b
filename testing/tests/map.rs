//! The paths in the pages for developers.

use iomap_testing::{files, map};
use std::path::Path;

#[test]
fn pages_name_paths_that_exist() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is around this package");
    let paths = files::below(top).expect("the workspace can be read");
    let paths: Vec<String> = paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let mut findings = Vec::new();
    for file in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let page = std::fs::read_to_string(top.join(file)).expect("the page is there");
        findings.extend(map::missing(file, &page, &paths).iter().map(ToString::to_string));
    }
    assert!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn names_are_looked_for_at_the_end_of_paths() {
    let paths = ["a/src/rules.rs".into(), "a/src/model/size.rs".into(), "man/page.7.md".into()];
    for right in [
        "rules.rs",
        "src/rules.rs",
        "model/",
        "a/src/",
        "model/size.rs",
        "man/*.md",
        "man/NAME.7.md",
        "/dev/kvm",
        "word",
        "target/out.txt",
        "a b.rs",
        "--out.md",
        "size::f",
    ] {
        assert_eq!(map::missing("page", &format!("see\n`{right}`"), &paths), [], "{right}");
    }
    for wrong in ["rule.rs", "ules.rs", "rules.rs/", "b/", "model/rules.rs", "man/*.rs", "src/man/"] {
        let found: Vec<String> =
            map::missing("page", &format!("see\n`{wrong}`"), &paths).iter().map(ToString::to_string).collect();
        assert_eq!(found, [format!("page:2: there is no file or directory `{wrong}`")]);
    }
}
