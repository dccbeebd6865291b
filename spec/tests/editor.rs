//! `iomap-spec lsp` in a real editor: neovim without a terminal, with the script `editor/session.lua`.

#[path = "tools/checkout.rs"]
mod checkout;

use std::fs;
use std::path::Path;
use std::process::Command;

/// The clause that the session renames.
const OLD: &str = "truncate.shrink";
const NEW: &str = "truncate.smaller";

#[test]
fn neovim() {
    if !iomap_testing::tools::has("nvim") {
        return;
    }
    let Some(copy) = checkout::copy() else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/editor/session.lua");
    let iomap_spec = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iomap-spec"));
        command.current_dir(copy.path()).env_remove("IOMAP_SPEC_PAGES").env_remove("IOMAP_SPEC_URL");
        command
    };
    let said = |arguments: &[&str]| {
        let output = iomap_spec().args(arguments).output().expect("the command can be run");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let citation = said(&["cite", "--one-line", OLD]);
    fs::write(copy.path().join("draft.eml"), format!("From me\n\nSee {citation}and its neighbours.\n")).unwrap();
    let before = said(&["impact", OLD]);
    let output = Command::new("nvim")
        .args(["--headless", "--clean", "-n", "-c"])
        .arg(format!("luafile {}", script.display()))
        .current_dir(copy.path())
        .env("IOMAP_SPEC", env!("CARGO_BIN_EXE_iomap-spec"))
        .env("XDG_STATE_HOME", copy.path().join("state"))
        .env("XDG_CACHE_HOME", copy.path().join("cache"))
        .env_remove("IOMAP_SPEC_PAGES")
        .output()
        .expect("neovim can be run");
    let messages = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{messages}");

    // Afterwards the pages fit, the new name is everywhere, and the old one says where it went.
    assert!(said(&["check"]).ends_with(": no findings\n"), "{}", said(&["check"]));
    assert!(said(&["show", OLD]).contains(&format!("it is {NEW} now")), "{}", said(&["show", OLD]));
    let after = said(&["impact", NEW]);
    let places = |text: &str| text.lines().last().unwrap_or_default().to_owned();
    assert_eq!(places(&before), places(&after), "{after}");
    let citation = said(&["cite", "--one-line", NEW]);
    let chapter = fs::read_to_string(copy.path().join("book/src/citing.md")).unwrap();
    assert!(chapter.contains(citation.trim()), "{chapter}");
    for file in iomap_testing::files::below(copy.path()).unwrap() {
        let text = fs::read_to_string(copy.path().join(&file)).unwrap_or_default();
        let is_history = [Path::new("man/moved.toml"), Path::new("draft.eml")].contains(&file.as_path());
        // Tests write these files anew, from the new names.
        let is_snapshot = file.ends_with("conformance/src/cases/reasons.txt")
            || file.extension().is_some_and(|it| it == "snap") && !file.ends_with("violations__coverage.snap");
        for name in [OLD, "TRUNCATE_SHRINK"] {
            assert!(is_history || is_snapshot || !text.contains(name), "{} has {name}", file.display());
        }
    }
}
