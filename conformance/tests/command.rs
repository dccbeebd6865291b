//! The output and the exit codes of the command.

use iomap_command::Exit;
use iomap_conformance::{ClauseResult, Format, Results, Submitter, format};
use iomap_results::{LogLine, Verdict};
use iomap_testing::tools::has;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

fn conformance(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_iomap-conformance")).args(arguments).output().expect("the command starts")
}

/// Standard output, with the parts that differ between machines replaced.
fn text(output: &Output) -> String {
    let release = iomap_conformance::release();
    String::from_utf8_lossy(&output.stdout).replace(&release, "RELEASE").replace(iomap_clauses::SPEC_DIGEST, "DIGEST")
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_arguments_the_suite_runs_on_the_reference() {
    let output = conformance(&[]);
    insta::assert_snapshot!("human", text(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn ktap() {
    let output = conformance(&["--format", "ktap"]);
    insta::assert_snapshot!("ktap", text(&output));
    assert_eq!(output.status.code(), Some(0));
}

/// The number of clauses that are no permissions.
fn testable() -> usize {
    iomap_clauses::ALL.iter().filter(|clause| clause.is_testable()).count()
}

#[test]
fn json() {
    let output = conformance(&["--format", "json", "truncate::"]);
    let mut document: serde_json::Value = serde_json::from_str(&text(&output)).expect("JSON");
    let clauses = document["clauses"].as_array_mut().expect("clauses");
    assert_eq!(clauses.len(), testable());
    clauses.retain(|clause| clause["id"].as_str().is_some_and(|id| id.starts_with("truncate.")));
    for case in clauses.iter_mut().flat_map(|clause| clause["cases"].as_array_mut().expect("cases")) {
        assert!(case["duration_ms"].is_f64());
        case["duration_ms"] = 0.into();
    }
    assert!(document["started"].as_str().is_some_and(|time| time.ends_with('Z')));
    document["started"] = "TIME".into();
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&document).expect("JSON"));
}

#[test]
fn output_that_is_gone_or_full() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let results = directory.path().join("results.json");
    let made = conformance(&["--format", "json", "truncate::", "--output", results.to_str().expect("UTF-8")]);
    assert_eq!(made.status.code(), Some(0));
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iomap-conformance"));
        command.args(arguments).current_dir(directory.path());
        command
    };
    let lines: [(&[&str], bool); 9] = [
        (&["--help"], false),
        (&["truncate::", "--format", "human"], true),
        (&["truncate::", "--format", "ktap"], true),
        (&["--list"], true),
        (&["schema"], false),
        (&["matrix", "--list"], true),
        (&["matrix", "results.json"], true),
        (&["compare", "results.json", "results.json"], true),
        (&["audit", "truncate.shrink"], true),
    ];
    for (line, takes_output) in lines {
        assert_eq!(iomap_testing::output::faults(command, line, takes_output), [""; 0]);
    }
}

/// A comparison of nothing is no comparison.
#[test]
fn results_without_anything_to_compare() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, results: &[Results]| {
        let path = directory.path().join(name).display().to_string();
        std::fs::write(&path, format::json(&results)).expect("a file");
        path
    };
    let of = |fs: &str| Results { fs: fs.into(), ..outcomes() };
    let (none, some) = (file("none", &[]), file("some", &[of("xfs"), of("f2fs")]));
    let others = file("others", &[of("ext4"), of("btrfs")]);
    for (line, expected) in [
        (vec!["compare", &none, &none], "nothing to compare: A has no results, B has no results"),
        (vec!["compare", &some, &none], "nothing to compare: A has xfs/seal f2fs/seal, B has no results"),
        (vec!["compare", &some, &others], "B has ext4/seal btrfs/seal"),
        (vec!["matrix", &none], "no results: the files have empty lists"),
    ] {
        let output = conformance(&line);
        assert_eq!((output.status.code(), text(&output).as_str()), (Some(2), ""), "{line:?}");
        assert!(error(&output).trim_end().ends_with(expected), "{}", error(&output));
    }
}

#[test]
fn libtest_flags() {
    insta::assert_snapshot!("list", text(&conformance(&["--list", "--skip", "keep", "alloc"])));
    insta::assert_snapshot!(
        "list_json",
        text(&conformance(&["--list", "--format", "json", "--exact", "truncate::shrink"]))
    );
    let one = conformance(&["--exact", "truncate::shrink", "-j", "1", "--nocapture"]);
    let (testable, untested) = (testable(), testable() - 1);
    let ending = format!(" clauses, {testable} of them testable, 1 case: 1 holds, {untested} untested\nconforms\n");
    assert!(text(&one).ends_with(&ending), "{}", text(&one));
    for flags in [
        &["--format", "pretty"][..],
        &["--include-ignored", "--no-capture", "--show-output", "--test", "--color", "never", "-Z", "unstable-options"],
    ] {
        let again = conformance(&[flags, &["--exact", "truncate::shrink"]].concat());
        assert_eq!((again.status.code(), text(&again)), (Some(0), text(&one)), "{flags:?}");
    }
    for flags in [&["--format", "terse"][..], &["-q"], &["--quiet"]] {
        let terse = conformance(&[flags, &["--exact", "truncate::shrink"]].concat());
        assert!(text(&terse).lines().count() == 2 && text(&one).ends_with(&text(&terse)), "{}", text(&terse));
    }
    // nextest calls the program this way.
    let all = conformance(&["--list", "--format", "terse"]);
    assert_eq!((all.status.code(), text(&all)), (Some(0), text(&conformance(&["--list"]))));
    for none in
        [&["--list", "--format", "terse", "--ignored"][..], &["--list", "nothing_like_this"], &["--list", "--bench"]]
    {
        let none = conformance(none);
        assert_eq!((none.status.code(), text(&none)), (Some(0), String::new()));
    }
}

/// The cases that filters select.
fn listed(filters: &[&str]) -> Vec<String> {
    let list = text(&conformance(&[&["--list"], filters].concat()));
    list.lines().map(|line| line.trim_end_matches(": test").to_owned()).collect()
}

#[test]
fn a_filter_is_a_family_a_clause_a_case_or_a_part() {
    let both = conformance(&["truncate", "seal", "--format", "json"]);
    assert_eq!(both.status.code(), Some(0));
    let results = Results::parse(&text(&both)).expect("results");
    let ran: BTreeSet<&str> = results.clauses.iter().filter(|it| !it.cases.is_empty()).map(|it| it.family()).collect();
    assert_eq!(ran, BTreeSet::from(["seal", "truncate"]));
    assert_eq!(listed(&["truncate.shrink"]), listed(&["--exact", "truncate.shrink"]));
    assert!(listed(&["truncate.shrink"]).contains(&"truncate::shrink".into()));
    assert_eq!(listed(&["write.*"]), listed(&["write"]));
    assert!(listed(&["write", "--skip", "write.crossing"]).len() < listed(&["write"]).len());
}

/// An empty selection never means all cases.
#[test]
fn a_selection_without_cases_is_refused() {
    for (name, arguments) in [
        ("no_such_case", &["truncate.shrnk"][..]),
        ("no_such_command", &["matrxi"]),
        ("late_command", &["--timings", "matrix"]),
        ("no_such_name", &["--exact", "seal"]),
        ("one_of_two", &["truncate", "qqqqqq"]),
        ("all_skipped", &["truncate", "--skip", "truncate.*"]),
        ("no_such_skip", &["--skip", "unsael"]),
        ("none_ignored", &["--ignored"]),
        ("no_benchmarks", &["--bench"]),
        ("no_order", &["--shuffle"]),
        ("no_seed", &["--shuffle-seed", "1"]),
        ("no_times", &["--report-time"]),
        ("no_threads", &["--test-threads", "0", "truncate::shrink"]),
        ("no_threads_short", &["-j", "0"]),
        ("no_such_violation", &["audit", "truncate.shrnk"]),
        ("no_such_condition", &["--violation", "truncate.shrink/late@four_names"]),
        ("no_case_for_the_lab", &["lab", "--kernel", "6.12", "--case", "truncate.shrnk"]),
    ] {
        let output = conformance(arguments);
        assert_eq!((output.status.code(), text(&output)), (Some(2), String::new()), "{name}");
        insta::assert_snapshot!(format!("refused_{name}"), error(&output));
    }
    assert_eq!(conformance(&["--violation", "read.any/refused@whole", "read"]).status.code(), Some(1));
    let audited = conformance(&["audit", "truncate.shrink", "seal.again/*"]);
    assert_eq!(audited.status.code(), Some(0));
    let last = text(&audited).lines().last().map(str::to_owned).expect("a sum");
    let one = |filter| text(&conformance(&["audit", filter])).lines().count() - 1;
    assert!(last.starts_with(&format!("{} violations: ", one("truncate.shrink") + one("seal.again/*"))), "{last}");
}

/// The output of a command on a terminal.
fn on_a_terminal(environment: &str, arguments: &str) -> String {
    let command =
        format!("stty cols 132 rows 30; env {environment} {} {arguments}", env!("CARGO_BIN_EXE_iomap-conformance"));
    let output = Command::new("script").args(["-qec", &command, "/dev/null"]).output().expect("script starts");
    String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n")
}

#[test]
fn escapes_are_for_terminals_that_have_them() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let matrix = format!("matrix {}", documents(directory.path())[..2].join(" "));
    for arguments in ["truncate::shrink", &matrix, "--help", "--bogus", "compare --help"] {
        for environment in ["TERM=dumb", "NO_COLOR=1 TERM=xterm", "CI=true CLICOLOR=1 TERM=dumb"] {
            let written = on_a_terminal(environment, arguments);
            assert!(!written.is_empty() && !written.contains('\x1b'), "{environment} {arguments}: {written:?}");
        }
    }
    let coloured = on_a_terminal("-u NO_COLOR TERM=xterm", &matrix);
    assert!(coloured.contains("\x1b[32m+\x1b[0m"), "{coloured:?}");
    // The headings are repeated on each screen, and the texts of the clauses are beside the columns.
    let plain = on_a_terminal("NO_COLOR=1", &matrix);
    let lines: Vec<&str> = plain.lines().collect();
    let headings: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].starts_with("clause ")).collect();
    assert!(headings.len() > 5 && headings.windows(2).all(|pair| pair[1] - pair[0] <= 30), "{headings:?}");
    assert!(lines.iter().all(|line| line.chars().count() <= 132), "{plain}");
    assert!(lines.iter().any(|line| line.contains("Making a sealed file smaller must fail")), "{plain}");
    let files: Vec<&str> = matrix.split(' ').collect();
    let forced = conformance(&[&files[..], &["--color=always"]].concat());
    assert!(text(&forced).contains("\x1b[32m+"), "no colours");
    let path = directory.path().join("table").display().to_string();
    let to_file = conformance(&["matrix", files[1], "--color=always", "--output", &path]);
    assert_eq!(to_file.status.code(), Some(0));
    assert!(!std::fs::read_to_string(&path).expect("the table").contains('\x1b'));
}

/// An unexpected verdict has its own evidence. A case without a verdict is reported as well, and the verdict of another
/// case of its clause never hides it.
#[test]
fn an_error_is_never_hidden() {
    let mut results = outcomes();
    results.clauses.truncate(2);
    let mut stuck = results.clauses[1].cases[0].clone();
    (stuck.name, stuck.verdict) = ("truncate::stuck".into(), Verdict::Error);
    stuck.detail = Some("it does not end: abandoned after 2 s".into());
    results.clauses[1].cases.push(stuck);
    assert_eq!((results.clauses[1].verdict, results.clauses[1].expected), (Verdict::Violated, Some(Verdict::Violated)));
    assert_eq!(results.exit(), Exit::Found);
    let both = "1 clause is not as expected; 1 case could not do its work\n";
    for format in [Format::Human, Format::Terse, Format::Ktap] {
        let written = format::write(&results, format, &submitter());
        assert!(written.ends_with(both), "{written}");
        assert_eq!(written.matches("it does not end").count(), 1, "{written}");
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("results.json").display().to_string();
    std::fs::write(&path, format::json(&results)).expect("a file");
    let matrix = conformance(&["matrix", &path]);
    assert!(text(&matrix).ends_with(both) && text(&matrix).contains("error: truncate::stuck\n    it does not end"));
    assert_eq!(matrix.status.code(), Some(1));
    insta::assert_snapshot!("matrix_trouble", text(&matrix));
    let document = conformance(&["matrix", &path, "--format", "json"]);
    assert!(error(&document).ends_with(both), "{}", error(&document));
    // Without the unexpected verdict, only the failed case is reported.
    results.clauses.remove(0);
    assert_eq!(results.exit(), Exit::Environment);
    let written = format::write(&results, Format::Human, &submitter());
    assert!(written.ends_with("\n1 case could not do its work\n"), "{written}");
    // Two runs together can have both an unexpected verdict and a failed case.
    std::fs::write(&path, format::json(&[&results, &Results { fs: "ext4".into(), ..outcomes() }])).expect("a file");
    assert_eq!(conformance(&["matrix", &path]).status.code(), Some(1));
}

/// The children and attributes that all schemas allow; an attribute that one of them requires has a `!`.
const JUNIT: [(&str, &[&str], &[&str]); 11] = [
    ("testsuites", &["testsuite"], &[]),
    (
        "testsuite",
        &["properties", "testcase", "system-out", "system-err"],
        &["package!", "id!", "name!", "hostname!", "tests!", "failures!", "errors!", "skipped", "time!", "timestamp!"],
    ),
    ("properties", &["property"], &[]),
    ("property", &[], &["name!", "value!"]),
    ("testcase", &["skipped", "error", "failure"], &["name!", "classname!", "time!"]),
    ("skipped", &[], &[]),
    ("error", &[], &["message", "type!"]),
    ("failure", &[], &["message", "type!"]),
    ("system-out", &[], &[]),
    ("system-err", &[], &[]),
    ("", &["testsuites"], &[]),
];

/// The faults of a document by the common rules of the schemas of Jenkins' xUnit plugin, of JUnit and of Ant.
fn junit_faults(text: &str) -> Vec<String> {
    use quick_xml::events::{BytesStart, Event};
    let mut reader = quick_xml::Reader::from_str(text);
    let (mut open, mut faults) = (vec![(String::new(), 0)], Vec::new());
    let mut begin = |tag: &BytesStart, open: &mut Vec<(String, usize)>| {
        let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
        let (parent, place) = open.last_mut().expect("the document");
        let children = JUNIT.iter().find(|(known, ..)| known == parent).map_or(&[][..], |(_, children, _)| children);
        match children.iter().position(|child| *child == name) {
            // A test has at most one remark; other children must be in order.
            Some(at) if at >= *place => *place = if parent == "testcase" { usize::MAX } else { at },
            _ => faults.push(format!("{name} in {parent}")),
        }
        let known = JUNIT.iter().find(|(known, ..)| *known == name).map_or(&[][..], |(.., attributes)| attributes);
        let given: Vec<(String, String)> = tag
            .attributes()
            .map(|it| it.expect("an attribute"))
            .map(|it| [it.key.as_ref(), &it.value].map(|text| String::from_utf8_lossy(text).into_owned()).into())
            .collect();
        for (key, value) in &given {
            let allowed = known.iter().any(|known| known.trim_end_matches('!') == key);
            let fits = match key.as_str() {
                "time" => {
                    value.split_once('.').is_some_and(|(_, digits)| digits.len() == 3) && value.parse::<f64>().is_ok()
                }
                "timestamp" => value.len() == 19 && value.as_bytes()[10] == b'T',
                "tests" | "failures" | "errors" | "skipped" | "id" => value.parse::<u32>().is_ok(),
                _ => true,
            };
            if !allowed || !fits {
                faults.push(format!("{key}={value} of {name}"));
            }
        }
        let missing = known.iter().filter_map(|known| known.strip_suffix('!'));
        faults.extend(
            missing.filter(|key| given.iter().all(|it| it.0 != **key)).map(|key| format!("{name} without {key}")),
        );
        name
    };
    loop {
        match reader.read_event().expect("XML") {
            Event::Start(tag) => {
                let name = begin(&tag, &mut open);
                open.push((name, 0));
            }
            Event::Empty(tag) => drop(begin(&tag, &mut open)),
            Event::End(_) => drop(open.pop()),
            Event::Eof => return faults,
            _ => (),
        }
    }
}

#[test]
fn junit_is_valid_by_every_schema() {
    let log = LogLine { text: "BUG: \x1b[0m\u{1}<odd>".into(), during: vec!["read::any".into()] };
    let lacking = Results { not_offered: Some("no such <mode>".into()), clauses: Vec::new(), ..outcomes() };
    for results in [outcomes(), Results { kernel_log: vec![log], ..outcomes() }, lacking] {
        let written = format::write(&results, Format::Junit, &submitter());
        assert_eq!(junit_faults(&written), Vec::<String>::new(), "{written}");
    }
    // Properties of a test are the only difference of the other format, and a fault by each schema.
    let clauses = junit_faults(&format::write(&outcomes(), Format::JunitClauses, &submitter()));
    let cases = outcomes().clauses.iter().map(|clause| clause.cases.len()).sum::<usize>();
    assert_eq!(clauses.iter().filter(|fault| *fault == "properties in testcase").count(), cases, "{clauses:?}");
    let real = text(&conformance(&["--format", "junit"]));
    assert_eq!(junit_faults(&real), Vec::<String>::new());
    assert_eq!(junit_faults(&real.replace("<testsuites>", "<testsuites skipped=\"0\">")).len(), 1);
    assert!(!junit_faults(&real.replace("hostname=\"localhost\" ", "")).is_empty());
}

/// A reason is printed once, and in words.
#[test]
fn reasons_of_races_are_words() {
    let output = conformance(&["--violation", "seal.unwritten/errno", "race", "seal.unwritten", "--format", "json"]);
    let results = Results::parse(&text(&output)).expect("results");
    let details = results.clauses.iter().flat_map(|clause| &clause.cases).filter_map(|case| case.detail.as_deref());
    for detail in details {
        for debug in ["Ok(", "Err(", "Some(", "Number(", "[["] {
            assert!(!detail.contains(debug), "{detail}");
        }
        let lines: BTreeSet<&str> = detail.lines().collect();
        assert_eq!(lines.len(), detail.lines().count(), "{detail}");
    }
}

#[test]
fn help() {
    insta::assert_snapshot!("help", text(&conformance(&["--help"])));
    insta::assert_snapshot!("help_matrix", text(&conformance(&["matrix", "--help"])));
    insta::assert_snapshot!("help_compare", text(&conformance(&["compare", "--help"])));
    insta::assert_snapshot!("help_schema", text(&conformance(&["schema", "--help"])));
    insta::assert_snapshot!("help_audit", text(&conformance(&["audit", "--help"])));
    insta::assert_snapshot!("help_lab", text(&conformance(&["lab", "--help"])));
}

#[test]
fn the_page_says_what_help_says() {
    let page = include_str!("../../man/iomap-conformance.1.md");
    let differences =
        iomap_testing::help::differences("iomap-conformance", page, |arguments| text(&conformance(arguments)));
    assert_eq!(differences, Default::default());
}

#[test]
fn the_audit_says_which_case_notices() {
    let output = conformance(&["audit"]);
    // A run may miss the moment of this race. The other case of the clause detects the violation each time.
    insta::assert_snapshot!("audit", text(&output).replace(" share::snapshot_orders", ""));
    assert_eq!(output.status.code(), Some(0));
}

/// A case acts in the first block and at the end, on the plain file of four blocks.
#[test]
fn the_audit_under_conditions_says_which_are_noticed() {
    let [whole, middle] = ["read.any/refused@whole", "read.any/refused@middle_block"];
    // The file of the case has to be open nowhere else.
    let held = "hold.unmount/permitted@crowd";
    let output = conformance(&["audit", "--conditions", "--elsewhere", whole, middle, held]);
    insta::assert_snapshot!("audit_conditions", text(&output));
    assert_eq!(output.status.code(), Some(1));
    let sample = || text(&conformance(&["audit", "--conditions", "--sample", "9", "truncate"]));
    assert_eq!(sample(), sample());
}

#[test]
fn a_failure_says_what_was_observed() {
    let output = conformance(&["--violation", "truncate.shrink/late", "truncate"]);
    insta::assert_snapshot!("failure", text(&output));
    assert_eq!(output.status.code(), Some(1));
    let ktap = conformance(&["--violation", "write.crossing/errno", "--format", "ktap", "write::crossing"]);
    insta::assert_snapshot!("failure_ktap", text(&ktap));
    assert_eq!(ktap.status.code(), Some(1));
    let unknown = conformance(&["--violation", "truncate.shrink/sideways"]);
    insta::assert_snapshot!("bad_violation", error(&unknown));
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn expectations_are_updated_where_they_are() {
    let reference = conformance(&["--update-expectations"]);
    insta::assert_snapshot!("update_reference", error(&reference));
    assert_eq!(reference.status.code(), Some(2));
    let violation = ["--target", "fuse", "--violation", "truncate.shrink/late", "--update-expectations"];
    assert_eq!(conformance(&violation).status.code(), Some(2));
    let elsewhere = conformance(&["--target", "host", "--update-expectations", "--expectations", "/nonexistent"]);
    insta::assert_snapshot!("update_elsewhere", error(&elsewhere));
    assert_eq!(elsewhere.status.code(), Some(3));
}

#[test]
fn bad_arguments_list_the_good_ones() {
    for (name, arguments) in [
        ("bad_target", ["--target", "moon"]),
        ("bad_fs", ["--fs", "fat"]),
        ("bad_mechanism", ["--mechanism", "glue"]),
        ("mechanism_of_reference", ["--mechanism", "swapfile"]),
        ("bad_origin", ["--kcidb-origin", "Our CI"]),
        ("bad_build", ["--kcidb-build", "6.12"]),
    ] {
        let output = conformance(&arguments);
        insta::assert_snapshot!(name, error(&output));
        assert_eq!(output.status.code(), Some(2));
    }
}

/// Results with one clause for each possible outcome, and with fixed durations.
fn outcomes() -> Results {
    let output = conformance(&["--violation", "truncate.shrink/late", "--format", "json", "truncate::"]);
    let mut results = Results::parse(&String::from_utf8_lossy(&output.stdout)).expect("results");
    results.started = Some("2026-11-22T10:00:00.000Z".into());
    results.kernel.release = "6.99".into();
    results.spec.digest = "0123abcd".into();
    results.clauses.retain(|clause| !clause.cases.is_empty());
    results.clauses.truncate(6);
    let mut set = |at: usize, expected, verdict, reason: Option<&str>, detail: Option<&str>| {
        let clause: &mut ClauseResult = &mut results.clauses[at];
        (clause.verdict, clause.expected, clause.reason) = (verdict, Some(expected), reason.map(str::to_owned));
        clause.cases.truncate(1);
        clause.cases[0].verdict = verdict;
        clause.cases[0].detail = detail.map(str::to_owned);
    };
    set(1, Verdict::Violated, Verdict::Violated, Some("it is # 1 & known"), Some("f() = EPERM, expected ok\ng() too"));
    set(2, Verdict::Violated, Verdict::Holds, Some("nobody repaired it"), None);
    set(3, Verdict::Holds, Verdict::Error, None, Some("no <space>"));
    set(4, Verdict::NotReachable, Verdict::NotReachable, Some("there is no way"), Some("no way"));
    set(5, Verdict::Holds, Verdict::NotOffered, None, Some("gone\nfor good"));
    for (at, case) in results.clauses.iter_mut().flat_map(|clause| &mut clause.cases).enumerate() {
        case.duration_ms = at as f64;
    }
    results
}

/// A run without failures, but with alarms in the kernel log.
#[test]
fn a_kernel_in_trouble_is_red() {
    let text = "BUG: kernel NULL pointer dereference, address: 0000000000000008".into();
    let during = vec!["truncate::shrink".into(), "read::any".into()];
    let mut results = Results { kernel_log: vec![LogLine { text, during }], ..outcomes() };
    results.clauses.truncate(1);
    (results.clauses[0].verdict, results.clauses[0].cases) = (Verdict::Holds, Vec::new());
    assert_eq!(results.exit(), Exit::Environment);
    for (name, format) in [("log_human", Format::Human), ("log_ktap", Format::Ktap), ("log_junit", Format::Junit)] {
        insta::assert_snapshot!(name, format::write(&results, format, &submitter()));
    }
}

fn submitter() -> Submitter {
    Submitter { origin: "example".into(), build: None }
}

#[test]
fn every_outcome_in_every_format() {
    let results = outcomes();
    for (name, format) in [
        ("outcomes_human", Format::Human),
        ("outcomes_ktap", Format::Ktap),
        ("outcomes_junit", Format::Junit),
        ("outcomes_junit_clauses", Format::JunitClauses),
        ("outcomes_kcidb", Format::Kcidb),
    ] {
        insta::assert_snapshot!(name, format::write(&results, format, &submitter()));
    }
}

#[test]
fn a_mechanism_that_is_not_offered_in_every_format() {
    let mut results = Results { not_offered: Some("no such <mode>".into()), clauses: Vec::new(), ..outcomes() };
    for (name, format) in
        [("lacking_ktap", Format::Ktap), ("lacking_junit", Format::Junit), ("lacking_kcidb", Format::Kcidb)]
    {
        insta::assert_snapshot!(name, format::write(&results, format, &submitter()));
    }
    let clause = &outcomes().clauses[0];
    results.clauses = vec![ClauseResult { verdict: Verdict::NotOffered, cases: Vec::new(), ..clause.clone() }];
    assert_eq!(results.exit(), Exit::Found);
    assert!(format::write(&results, Format::Ktap, &submitter()).contains("\nnot ok 1 iomap"));
    assert!(format::write(&results, Format::Junit, &submitter()).contains(r#"failures="1""#));
    let human = format::write(&results, Format::Human, &submitter());
    assert!(human.ends_with("not offered: no such <mode>\n1 clause is not as expected\n"), "{human}");
}

/// Every format for programs has the same number of cases.
#[test]
fn formats_for_programs_have_every_case() {
    let cases = text(&conformance(&["--list"])).lines().count();
    let junit = conformance(&["--format", "junit"]);
    assert_eq!(text(&junit).matches("<testcase ").count(), cases);
    let kcidb = conformance(&["--format", "kcidb", "--kcidb-origin", "ours", "--kcidb-build", "theirs:1"]);
    let document: serde_json::Value = serde_json::from_slice(&kcidb.stdout).expect("JSON");
    let tests = document["tests"].as_array().expect("tests");
    let ids: BTreeSet<&str> = tests.iter().filter_map(|test| test["id"].as_str()).collect();
    assert_eq!((tests.len(), ids.len()), (cases, cases));
    assert!(tests.iter().all(|test| test["origin"] == "ours" && test["build_id"] == "theirs:1"));
}

/// Makes a schema reject members that it does not describe.
fn strict(schema: &mut serde_json::Value) {
    if let Some(map) = schema.as_object_mut() {
        if map.contains_key("properties") {
            map.insert("additionalProperties".into(), false.into());
        }
        map.values_mut().for_each(strict);
    }
}

#[test]
fn documents_are_as_their_schemas_say() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let files = documents(directory.path());
    let (first, second) = (files[0].as_str(), files[1].as_str());
    for (schema, arguments) in [
        ("results", vec!["--format", "json"]),
        ("results", vec!["--format", "json", "--violation", "truncate.shrink/late", "truncate"]),
        ("matrix", vec!["matrix", "--format", "json", first, second, &files[2]]),
        ("list", vec!["--list", "--format", "json"]),
        ("audit", vec!["audit", "--format", "json", "truncate"]),
        ("audit", vec!["audit", "--format", "json", "--conditions", "--sample", "20"]),
        ("comparison", vec!["compare", "--format", "json", first, second]),
    ] {
        let name = if schema == "matrix" { "results" } else { schema };
        let mut described: serde_json::Value =
            serde_json::from_slice(&conformance(&["schema", name]).stdout).expect("JSON");
        strict(&mut described);
        if schema == "matrix" {
            let definitions = described.as_object_mut().and_then(|it| it.remove("$defs"));
            described.as_object_mut().and_then(|it| it.remove("$id"));
            described = serde_json::json!({"type": "array", "items": described, "$defs": definitions});
        }
        let validator = jsonschema::draft202012::new(&described).expect("a schema");
        let document = serde_json::from_slice(&conformance(&arguments).stdout).expect("JSON");
        let errors: Vec<String> =
            validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(errors, Vec::<String>::new(), "{arguments:?}");
        assert!(!validator.is_valid(&serde_json::json!({"schema": 1})), "{name} accepts anything");
    }
}

#[test]
fn comparisons() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut before = outcomes();
    let mut after = before.clone();
    after.kernel.release = "7.0".into();
    after.spec.digest = "89abcdef".into();
    after.clauses[0].verdict = Verdict::Holds;
    before.clauses[3].verdict = Verdict::Holds;
    (after.clauses[3].verdict, after.clauses[3].cases[0].verdict) = (Verdict::Violated, Verdict::Violated);
    after.clauses[4].verdict = Verdict::NotOffered;
    before.clauses[5].id = "truncate.gone".into();
    let write = |name: &str, results: &[&Results]| {
        let path = directory.path().join(name).display().to_string();
        let text = if let [one] = results { format::json(one) } else { format::json(&results) };
        std::fs::write(&path, text).expect("a file in a directory of our own");
        path
    };
    let (a, b) = (write("a.json", &[&before]), write("b.json", &[&after]));
    let worse = conformance(&["compare", &a, &b]);
    insta::assert_snapshot!("compare", text(&worse));
    assert_eq!(worse.status.code(), Some(1));
    let lines_fit = text(&worse).lines().all(|line| line.chars().count() <= 80);
    assert!(lines_fit, "a line is too long for a terminal");
    insta::assert_snapshot!("compare_markdown", text(&conformance(&["compare", &a, &b, "--format", "markdown"])));
    insta::assert_snapshot!("compare_json", text(&conformance(&["compare", &a, &b, "--format", "json"])));
    let mut repaired = before.clone();
    repaired.clauses[0].verdict = Verdict::Holds;
    let better = conformance(&["compare", &a, &write("better.json", &[&repaired])]);
    assert_eq!(better.status.code(), Some(0));
    let other = Results { fs: "ext4".into(), ..before.clone() };
    let another = Results { fs: "btrfs".into(), ..before.clone() };
    let lists = [write("c.json", &[&before, &other]), write("d.json", &[&another, &before])];
    let same = conformance(&["compare", &lists[0], &lists[1]]);
    insta::assert_snapshot!("compare_lists", text(&same));
    assert_eq!(same.status.code(), Some(0));
    // The matrix can be made from the list, too.
    let listed = conformance(&["matrix", &lists[0]]);
    let apart = conformance(&["matrix", &a, &write("e.json", &[&other])]);
    assert_eq!((listed.status.code(), text(&listed)), (Some(1), text(&apart)));
}

/// Separate columns with long names, and too many of them for the width.
#[test]
fn a_table_for_eighty_columns() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let narrow = [("xfs", "swapfile"), ("xfs", "immutable-attr"), ("f2fs", "f2fs-pin"), ("devdax", "device-dax")];
    let wide = ["xfs", "ext4", "btrfs", "f2fs", "f2fs-lfs", "f2fs-zoned", "xfs-dax", "ext4-dax"];
    let wide: Vec<_> = wide.iter().map(|fs| (*fs, "immutable-attr")).chain([("f2fs", "f2fs-pin")]).collect();
    for (name, columns) in [("narrow", &narrow[..]), ("wide", &wide)] {
        let run = |(fs, mechanism): &(&str, &str)| {
            let (fs, mechanism) = ((*fs).to_owned(), (*mechanism).to_owned());
            Results { fs, mechanism, ..outcomes() }
        };
        let runs: Vec<Results> = columns.iter().map(run).collect();
        let path = directory.path().join(name).display().to_string();
        std::fs::write(&path, format::json(&runs)).expect("a file");
        let table = text(&conformance(&["matrix", &path]));
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        insta::assert_snapshot!(format!("table_{name}"), table);
    }
}

/// Results of several kernels, as from the lab: a table for each kernel. Each kernel is compared with the first one, or
/// with kernels of its own series.
#[test]
fn several_kernels() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let on = |release: &str, fs: &str| {
        let mut results = Results { fs: fs.into(), ..outcomes() };
        results.kernel.release = release.into();
        results.kernel.built = Some("2026-10-18".into());
        results.kernel.build_id = Some("0123456789abcdef0123456789abcdef01234567".into());
        results
    };
    let mut newer = on("6.12.7", "xfs");
    newer.clauses[0].verdict = Verdict::Holds;
    let write = |name: &str, results: &[Results]| {
        let path = directory.path().join(name).display().to_string();
        std::fs::write(&path, format::json(&serde_json::json!({"schema": 1, "runs": results}))).expect("a file");
        path
    };
    let lab = write("lab.json", &[on("6.1.5", "xfs"), on("6.1.5", "ext4"), newer.clone()]);
    insta::assert_snapshot!("kernels_matrix", text(&conformance(&["matrix", &lab])));
    insta::assert_snapshot!("kernels_markdown", text(&conformance(&["matrix", &lab, "--format", "markdown"])));
    insta::assert_snapshot!("kernels_compare", text(&conformance(&["compare", &lab])));
    let later = write("later.json", &[on("6.12.8", "xfs"), on("6.1.6", "ext4")]);
    insta::assert_snapshot!("kernels_by_series", text(&conformance(&["compare", &lab, &later])));
    // A kernel of another series on this machine is compared with every kernel of the lab.
    let in_guests: Vec<Results> =
        [on("6.1.5", "xfs"), on("6.12.7", "xfs")].map(|it| Results { target: "lab".into(), ..it }).into();
    let here = Results { target: "host".into(), ..on("6.18.2", "xfs") };
    let compared = conformance(&["compare", &write("guests.json", &in_guests), &write("here.json", &[here])]);
    insta::assert_snapshot!("kernels_of_no_series", text(&compared));
    let one = conformance(&["compare", &write("one.json", &[newer])]);
    assert_eq!(one.status.code(), Some(2));
    let said = String::from_utf8_lossy(&one.stderr);
    assert!(said.contains("one.json: results of one kernel only, 6.12.7: give those of another one"), "{said}");
}

/// The documents of two hosts, derived from a real one.
fn documents(directory: &Path) -> Vec<String> {
    let real = String::from_utf8(conformance(&["--format", "json"]).stdout).expect("UTF-8");
    let release = iomap_conformance::release();
    let write = |name: &str, text: &str| {
        let path = directory.join(name).display().to_string();
        std::fs::write(&path, text).expect("a file in a directory of our own");
        path
    };
    let violated = real.replacen("\"verdict\": \"holds\"", "\"verdict\": \"violated\"", 1);
    let lacking =
        real.replacen("\"clauses\":", "\"not_offered\": \"fallocate(2) answers EOPNOTSUPP\", \"clauses\":", 1);
    let on = |text: &str, fs: &str, mechanism: &str| {
        text.replace("\"fs\": \"model\"", &format!("\"fs\": \"{fs}\""))
            .replace("\"mechanism\": \"seal\"", &format!("\"mechanism\": \"{mechanism}\""))
            .replace(&release, "6.99")
    };
    vec![
        write("a.json", &on(&real, "xfs", "swapfile")),
        write("b.json", &on(&violated, "ext4", "swapfile")),
        write("c.json", &on(&lacking, "xfs", "seal")),
        write("d.json", &on(&lacking, "ext4", "seal")),
    ]
}

#[test]
fn matrix_of_files() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let files = documents(directory.path());
    let mut arguments = vec!["matrix"];
    arguments.extend(files.iter().map(String::as_str));
    insta::assert_snapshot!("matrix", text(&conformance(&arguments)));
    arguments.extend(["--format", "markdown"]);
    insta::assert_snapshot!("matrix_markdown", text(&conformance(&arguments)));
}

#[test]
fn results_that_are_no_text_are_refused_as_damaged() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("results.json");
    std::fs::write(&file, b"{\xff").expect("a file");
    let file = file.display().to_string();
    let output = conformance(&["compare", &file, &file]);
    assert_eq!(output.status.code(), Some(2));
    assert!(error(&output).contains("results.json: not a results document: invalid utf-8"), "{}", error(&output));
}

#[test]
fn results_of_another_schema_are_refused_by_name() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, contents) in [
        ("other_schema", r#"{"schema": 7}"#),
        ("former_schema", r#"{"schema": 1}"#),
        ("no_results", r#"{"schema": 2}"#),
        ("no_json", "results\n"),
    ] {
        let path = directory.path().join("results.json");
        std::fs::write(&path, contents).expect("a file in a directory of our own");
        let output = conformance(&["matrix", &path.display().to_string()]);
        insta::assert_snapshot!(name, error(&output).replace(&directory.path().display().to_string(), "DIR"));
        assert_eq!(output.status.code(), Some(2));
    }
    let missing = conformance(&["matrix", "/nonexistent/results.json"]);
    assert_eq!(missing.status.code(), Some(3));
    assert_eq!(
        error(&missing),
        "iomap-conformance: /nonexistent/results.json: No such file or directory (os error 2)\n"
    );
}

#[test]
fn results_go_to_a_file() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("results.ktap");
    let output = conformance(&["--format", "ktap", "--output", &path.display().to_string()]);
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    assert!(std::fs::read_to_string(&path).expect("the file").starts_with("KTAP version 1\n"));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let program = env!("CARGO_BIN_EXE_iomap-conformance");
    let script = format!("{program} --format json | head -c 10 >/dev/null; exit ${{PIPESTATUS[0]}}");
    let status = Command::new("bash").args(["-c", &script]).status().expect("bash starts");
    assert_eq!(status.code(), Some(0));
}

/// The lab takes kernels from the configuration file, and says with --dry-run what it would do.
#[test]
fn the_lab_is_configured() {
    if !has("qemu-system-x86_64") || !has("mkfs.xfs") || !has("mkfs.ext4") {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("iomap/config.toml");
    std::fs::create_dir(directory.path().join("iomap")).expect("the directory is new");
    let lab = |text: &str, arguments: &[&str]| {
        std::fs::write(&file, text).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_iomap-conformance"));
        command.args(["lab", "--dry-run"]).args(arguments).env("XDG_CACHE_HOME", directory.path().join("cache"));
        let output = command.env("XDG_CONFIG_HOME", directory.path()).output().expect("the command starts");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat())
            .replace(&*directory.path().to_string_lossy(), "HOME");
        (output.status.code(), said)
    };
    let planned = "\
6.1: the package of Debian, from the cache or by apt
  xfs: swapfile, immutable-attr
  ext4: swapfile, immutable-attr
2 guests, 2 at the same time, with 2048 MiB each
";
    let config = "kernels = ['6.1']\njobs = 9\ncache = '/nonexistent/cache'\n";
    assert_eq!(lab(config, &["--fs", "xfs", "ext4"]), (Some(0), planned.into()));
    let (code, said) = lab(config, &["--kernel", "6.12", "--fs", "xfs", "--guests", "1", "--power-cuts", "3"]);
    assert!(
        code == Some(0) && said.starts_with("6.12: ") && said.contains("3 power cuts each\n1 guest, 1 at"),
        "{said}"
    );
    assert_eq!(lab("", &[]).0, Some(2));
    assert!(lab("", &[]).1.starts_with("iomap-conformance: no kernel: say --kernel KERNEL, or kernels = "));
    let (code, said) = lab("\njob = 1", &[]);
    let place = "iomap-conformance: HOME/iomap/config.toml:2:1: unknown field `job`, expected one of `url`, ";
    assert!(code == Some(2) && said.starts_with(place), "{said}");
    assert_eq!(lab("kernels = ['nowhere']", &["--fs", "xfs"]).0, Some(3));
    // A directory of kernels, where a distribution has the modules in another package than the kernel.
    let kernels = directory.path().join("kernels");
    std::fs::create_dir_all(kernels.join("lib/modules/6.8.0-31-generic")).expect("a directory");
    let kernels = kernels.to_str().expect("UTF-8");
    let (code, said) = lab("", &["--kernel", kernels, "--fs", "xfs"]);
    let without = "HOME/kernels: modules of 6.8.0-31-generic without the kernel: neither boot/vmlinuz-6.8.0-31-generic";
    assert!(code == Some(3) && said.contains(without), "{said}");
    assert!(!directory.path().join("cache").exists());
}
