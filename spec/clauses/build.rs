//! Turns the clauses of `man/*.md` into constants.

use iomap_spec::Clause;
use std::fmt::Write as _;
use std::path::Path;

fn main() {
    // A link, which `cargo package` follows.
    let link = Path::new("pages");
    let pages = link.canonicalize().unwrap_or(link.to_owned());
    println!("cargo::rerun-if-changed={}", pages.display());
    let spec = match iomap_spec::load(&pages) {
        Ok(spec) => spec,
        Err(findings) => {
            for finding in findings {
                println!("cargo::error={}", finding.to_string().replace('\n', " "));
            }
            return;
        }
    };
    let mut out = String::new();
    for clause in spec.clauses() {
        constant(&mut out, clause);
    }
    let names: Vec<String> = spec.clauses().map(|c| format!("&{}", c.constant())).collect();
    let _ = write!(
        out,
        "/// Every clause, in the order of the pages.\npub static ALL: &[&Clause] = &[{}];\n\
         /// The version of the specification.\npub const SPEC_VERSION: &str = {:?};\n\
         /// What identifies the wording of the specification: hex digits of a SHA-256.\npub const SPEC_DIGEST: &str = {:?};\n",
        names.join(", "),
        spec.version,
        spec.digest(),
    );
    // Cargo sets OUT_DIR for every build script.
    let file = Path::new(&std::env::var("OUT_DIR").expect("OUT_DIR")).join("clauses.rs");
    std::fs::write(file, out).expect("the output directory can be written");
}

fn constant(out: &mut String, clause: &Clause) {
    let errnos: Vec<String> = clause.errnos.iter().map(|e| format!("Errno::{e}")).collect();
    let observe: Vec<String> = clause.observe.iter().map(|o| format!("Observe::{o:?}")).collect();
    let _ = write!(
        out,
        "#[doc = {:?}]\npub static {}: Clause = Clause {{ id: {:?}, level: Level::{:?}, ok: {:?}, errnos: &[{}], \
         observe: &[{}], page: {:?}, section: {:?}, text: {:?}, hash: {:?}, why: {:?}, uncased: {:?} }};\n",
        clause.text,
        clause.constant(),
        clause.id,
        clause.level,
        clause.ok,
        errnos.join(", "),
        observe.join(", "),
        clause.page,
        clause.section,
        clause.text,
        clause.hash,
        clause.why,
        clause.uncased,
    );
}
