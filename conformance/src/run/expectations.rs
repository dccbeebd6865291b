//! The expectations for mainline kernels, and for the reference behind FUSE, with the reason for each verdict other
//! than `holds`.

use crate::filesystem::FsKind;
use crate::mechanism::Mechanism;
use iomap_command::{Error, Exit};
use iomap_results::Verdict;
use iomap_vocabulary::Series;
use serde::Deserialize;
use std::fmt;

/// The committed expectations: for each mechanism on a kernel, for the target `fuse`, for further limits of ordinary
/// users there, and for limits in a directory.
static FILES: [(&str, &str); 11] = [
    ("seal", include_str!("../../expectations/seal.toml")),
    ("sealed", include_str!("../../expectations/sealed.toml")),
    ("swapfile", include_str!("../../expectations/swapfile.toml")),
    ("immutable-attr", include_str!("../../expectations/immutable-attr.toml")),
    ("f2fs-pin", include_str!("../../expectations/f2fs-pin.toml")),
    ("device-dax", include_str!("../../expectations/device-dax.toml")),
    ("fuse", include_str!("../../expectations/fuse.toml")),
    ("fuse-user", include_str!("../../expectations/fuse-user.toml")),
    ("dir", include_str!("../../expectations/dir.toml")),
    ("dir-swapfile", include_str!("../../expectations/dir-swapfile.toml")),
    ("dir-immutable-attr", include_str!("../../expectations/dir-immutable-attr.toml")),
];

/// The names of the expectations of the target `fuse`. The names that count first are at the front.
pub(crate) fn of_fuse(is_root: bool) -> &'static [&'static str] {
    // An ordinary user is root of a user namespace only.
    if is_root { &["fuse"] } else { &["fuse-user", "fuse"] }
}

/// The names of the expectations of the target `host`.
pub(crate) fn of_mechanism(mechanism: Mechanism) -> &'static [&'static str] {
    match mechanism {
        Mechanism::Seal => &["seal"],
        Mechanism::Swapfile => &["swapfile"],
        Mechanism::ImmutableAttr => &["immutable-attr"],
        Mechanism::F2fsPin => &["f2fs-pin"],
        Mechanism::DeviceDax => &["device-dax"],
    }
}

/// The names of the expectations of the target `dir`. Rows about what a directory does not reach come before those of
/// the mechanism, unless no kernel (`seal`) or no directory (`device-dax`) has the mechanism.
pub(crate) fn of_directory(mechanism: Mechanism) -> &'static [&'static str] {
    match mechanism {
        Mechanism::Seal | Mechanism::DeviceDax => of_mechanism(mechanism),
        Mechanism::Swapfile => &["dir-swapfile", "dir", "swapfile"],
        Mechanism::F2fsPin => &["dir", "f2fs-pin"],
        Mechanism::ImmutableAttr => &["dir-immutable-attr", "dir", "immutable-attr"],
    }
}

/// The name of the file with the expectations of this name on a kernel. The kernel of the series in `kernel/` offers the
/// specified mechanism, and its release ends so that it is not taken for a mainline kernel of the same number.
pub(crate) fn file<'a>(name: &'a str, release: &str) -> &'a str {
    if name == "seal" && release.ends_with("-sealed") { "sealed" } else { name }
}

/// The file system of the reference.
const MODEL: &str = "model";

/// The expectations of one file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    expect: Vec<Expectation>,
}

/// One verdict, for some clauses.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    /// Clause ids; `*` stands for all, `write.*` for a family.
    clauses: Vec<String>,
    /// File systems; a name includes its variants in another place or mode (`xfs-dax`). Without this, all file systems.
    fs: Option<Vec<String>>,
    /// A range of kernels such as `5.4..`, `..6.13` or `6.1..6.13`, without its end. Without this, all kernels.
    kernel: Option<String>,
    verdict: Verdict,
    reason: String,
    /// Whether the verdict shows only at moments that a run may miss. Then it is no surprise if the clause holds, or
    /// if its verdict is the one of the next row that names it.
    #[serde(default)]
    by_chance: bool,
}

/// The expectations for a mechanism on a file system of a kernel.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// The text is no TOML of this form.
    Toml(Box<toml::de::Error>),
    /// A row is for no range of kernels.
    Range(String),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Toml(error) => error.fmt(f),
            Self::Range(kernel) => write!(f, "no range of kernels: {kernel}"),
        }
    }
}

impl std::error::Error for Unreadable {}

/// The expectations of a mechanism on a file system of a kernel.
pub struct Expectations {
    /// The rows that apply, with their places in the file.
    rows: Vec<(usize, Expectation)>,
    /// Whether the file system is unknown. Then only rows that name it, or that are about all clauses, give an
    /// expectation.
    strange: bool,
}

impl Expectations {
    /// The committed expectations under these names (mechanisms, or `fuse`) that apply. The first row that names a
    /// clause counts.
    pub fn of(names: &[&str], fs: &str, release: &str) -> Result<Self, Error> {
        let mut rows = Vec::new();
        let files = names.iter().map(|name| file(name, release));
        for (name, text) in files.filter_map(|name| FILES.iter().find(|(file, _)| *file == name)) {
            let own = |error| Error::new(Exit::Internal, format!("expectations/{name}.toml")).because(error);
            rows.extend(Self::parse(text, fs, release).map_err(own)?.rows);
        }
        let strange = fs != MODEL && FsKind::ALL.iter().all(|kind| kind.name() != fs);
        rows.retain(|(_, row)| !strange || row.fs.is_some() || row.clauses == ["*"]);
        Ok(Self { rows, strange })
    }

    /// The expectations in the text of a file that apply.
    pub(crate) fn parse(text: &str, fs: &str, release: &str) -> Result<Self, Unreadable> {
        let document: Document = toml::from_str(text).map_err(|error| Unreadable::Toml(Box::new(error)))?;
        let mut rows = Vec::new();
        for (place, row) in document.expect.into_iter().enumerate() {
            let kernel = row.kernel.as_deref().unwrap_or("..");
            let inside = in_range(kernel, release).ok_or_else(|| Unreadable::Range(kernel.into()))?;
            if inside && row.fs.as_ref().is_none_or(|list| list.iter().any(|name| is_a(fs, name))) {
                rows.push((place, row));
            }
        }
        Ok(Self { rows, strange: false })
    }

    /// The expectation that every clause holds, for the reference.
    pub fn all_hold() -> Self {
        Self { rows: Vec::new(), strange: false }
    }

    /// The expected verdict for a clause, and the reason if it is not `holds`.
    pub fn expected(&self, clause: &str) -> (Verdict, Option<&str>) {
        self.all_of(clause).next().map_or((Verdict::Holds, None), |(_, row)| (row.verdict, Some(row.reason.as_str())))
    }

    /// Whether there is an expectation for a clause. A clause without a row is expected to hold, but only on the file
    /// systems that the rows are about.
    pub(crate) fn know(&self, clause: &str) -> bool {
        !self.strange || self.all_of(clause).next().is_some()
    }

    /// Whether this verdict may only mean that the run missed the moments at which a violation would show.
    pub(crate) fn missed(&self, clause: &str, verdict: Verdict) -> bool {
        let mut rows = self.all_of(clause).map(|(_, row)| row);
        let by_chance = rows.next().is_some_and(|row| row.by_chance);
        by_chance && (verdict == Verdict::Holds || rows.next().is_some_and(|row| row.verdict == verdict))
    }

    /// The place, in its file, of the row that counts for a clause.
    pub(crate) fn row(&self, clause: &str) -> Option<usize> {
        self.all_of(clause).next().map(|(place, _)| *place)
    }

    /// The rows that name a clause. The first one counts.
    fn all_of<'a>(&'a self, clause: &str) -> impl Iterator<Item = &'a (usize, Expectation)> {
        let family = clause.split('.').next().unwrap_or(clause);
        let named =
            move |pattern: &str| pattern == "*" || pattern == clause || pattern.strip_suffix(".*") == Some(family);
        self.rows.iter().filter(move |(_, row)| row.clauses.iter().any(|pattern| named(pattern)))
    }
}

/// Whether `fs` is the file system `name`, or a variant of it in another place or mode.
fn is_a(fs: &str, name: &str) -> bool {
    fs.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Whether a release such as `6.18.44-fc` is in a range; `None` if the range cannot be read.
fn in_range(range: &str, release: &str) -> Option<bool> {
    let (from, to) = range.split_once("..")?;
    let release = Series::of_release(release)?;
    let reached = from.is_empty() || Series::of_release(from)? <= release;
    Some(reached && (to.is_empty() || release < Series::of_release(to)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_kernels() {
        assert_eq!(in_range("5.4..", "6.18.44-fc"), Some(true));
        assert_eq!(in_range("..6.13", "6.13.0"), Some(false));
        assert_eq!(in_range("6.1..6.13", "6.1.0-18-amd64"), Some(true));
        assert_eq!(in_range("..", "6.18"), Some(true));
        assert_eq!(in_range("6.1", "6.18"), None);
    }

    #[test]
    fn an_unknown_file_system_has_no_expectations() {
        let of = |mechanism, fs| Expectations::of(&[mechanism], fs, "6.18").unwrap();
        assert!(of("immutable-attr", "xfs").know("truncate.shrink"));
        assert!(of("fuse", MODEL).know("truncate.shrink"));
        assert!(!of("immutable-attr", "bcachefs").know("truncate.shrink"));
        assert_eq!(of("seal", "bcachefs").expected("truncate.shrink").0, Verdict::NotOffered);
    }

    #[test]
    fn a_kernel_that_seals_is_no_mainline_kernel() {
        let of = |release| Expectations::of(&["seal"], "xfs", release).unwrap().expected("truncate.shrink").0;
        assert_eq!(of("6.12.117"), Verdict::NotOffered);
        assert_eq!(of("6.12.117-sealed"), Verdict::Holds);
        assert_eq!(of("6.12.117-debug-sealed"), Verdict::Holds);
    }

    #[test]
    fn a_moment_that_was_not_met() {
        let row = |clause, verdict, more| {
            format!("[[expect]]\nclauses = [\"{clause}\"]\nverdict = \"{verdict}\"\nreason = \"-\"\n{more}\n")
        };
        let missed = |more, after, verdict| {
            let rows = row("race.write", "violated", more) + &row(after, "not-offered", "");
            Expectations::parse(&rows, "xfs", "6.18").unwrap().missed("race.write", verdict)
        };
        let by_chance = "by_chance = true";
        assert!(missed(by_chance, "race.order", Verdict::Holds) && missed(by_chance, "race.*", Verdict::Holds));
        assert!(missed(by_chance, "race.*", Verdict::NotOffered));
        assert!(!missed(by_chance, "race.order", Verdict::NotOffered) && !missed(by_chance, "race.*", Verdict::Error));
        assert!(!missed("", "race.order", Verdict::Holds) && !missed("", "race.*", Verdict::NotOffered));
    }

    /// Every row names existing clauses, gives a reason, and is not completely shadowed.
    #[test]
    fn the_committed_files_are_sound() {
        for (mechanism, text) in FILES {
            let document: Document = toml::from_str(text).unwrap();
            for row in &document.expect {
                assert!(row.reason.len() > 10, "{mechanism:?}: a reason is missing: {row:?}");
                assert!(
                    !row.by_chance || row.verdict != Verdict::Holds,
                    "{mechanism:?}: by chance it may hold: {row:?}"
                );
                assert!(in_range(row.kernel.as_deref().unwrap_or(".."), "6.18").is_some());
                for pattern in &row.clauses {
                    let family = pattern.strip_suffix(".*");
                    let known = iomap_clauses::ALL.iter().any(|c| c.id == pattern || family == Some(c.family()));
                    assert!(known || pattern == "*", "{mechanism:?}: no clause {pattern}");
                }
            }
        }
    }
}
