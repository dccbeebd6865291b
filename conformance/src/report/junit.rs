//! JUnit, which CI systems read: a suite for each family, a test for each case.
//!
//! There are three schemas: that of Jenkins' xUnit plugin (junit-10.xsd), that of JUnit's own tests
//! (jenkins-junit.xsd), and that of Ant's JUnitReport (JUnit.xsd). The writers of other projects do not satisfy all of
//! them. To do so, `testsuites` and `skipped` have no attributes here, and a suite has every attribute that a schema
//! requires.
//!
//! Programs that trace requirements (StrictDoc, Eclipse S-CORE) take them from properties of a test, as pytest writes
//! them. None of the three schemas has these, and Jenkins' plugin refuses the report, so they are a format of their own.

use crate::results::{self, CaseResult, ClauseResult, Results};
use iomap_results::CaseOutcome;
use quick_xml::Writer;
use quick_xml::events::BytesText;
use std::io;

/// The place of a test's clause in the report.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clauses {
    /// The id is the name of the class.
    Named,
    /// In addition, id, hash and level are properties of the test.
    AsProperties,
}

/// A test in a report.
struct Test {
    name: String,
    class: String,
    properties: Vec<(&'static str, String)>,
    seconds: f64,
    remark: Option<Remark>,
}

/// The reason why a test did not pass.
enum Remark {
    Skipped(String),
    Failure { message: String, kind: String, text: String },
    Error { message: String, kind: String, text: String },
}

/// Writes results as JUnit.
pub(crate) fn write(results: &Results, clauses: Clauses) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 4);
    let root = writer.create_element("testsuites").write_inner_content(|writer| {
        suites(results, clauses)
            .iter()
            .enumerate()
            .try_for_each(|(id, (name, tests))| suite(writer, results, id, name, tests))
    });
    // Writing into memory does not fail.
    let text = root.map(|writer| String::from_utf8_lossy(writer.get_ref()).into_owned()).unwrap_or_default();
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}\n")
}

/// The tests by suite: the families, and the alarms of the kernel log.
fn suites(results: &Results, placed: Clauses) -> Vec<(&str, Vec<Test>)> {
    let mut suites = Vec::new();
    if let Some(reason) = &results.not_offered {
        let (message, text) = (format!("not offered: {reason}"), String::new());
        let remark = match results.lacks_unexpectedly() {
            true => Remark::Failure { message, kind: "not offered".into(), text },
            false => Remark::Skipped(message),
        };
        let (name, class) = (results.mechanism.clone(), "iomap".to_owned());
        let properties = Vec::new();
        suites.push(("iomap", vec![Test { name, class, properties, seconds: 0.0, remark: Some(remark) }]));
    }
    for (family, clauses) in results.families() {
        let cases = clauses.iter().flat_map(|clause| clause.cases.iter().map(move |case| (*clause, case)));
        let tests: Vec<Test> = cases.map(|(clause, case)| test(clause, case, placed)).collect();
        if !tests.is_empty() {
            suites.push((family, tests));
        }
    }
    let complaints = results.kernel_log.iter().map(|line| Test {
        name: "kernel_log".into(),
        class: "kernel_log".into(),
        properties: Vec::new(),
        seconds: 0.0,
        remark: Some(Remark::Error {
            message: line.text.clone(),
            kind: "kernel log".into(),
            text: format!("while this ran: {}", line.during.join(" ")),
        }),
    });
    let complaints: Vec<Test> = complaints.collect();
    if !complaints.is_empty() {
        suites.push(("kernel_log", complaints));
    }
    suites
}

fn test(clause: &ClauseResult, case: &CaseResult, placed: Clauses) -> Test {
    let text = clause.remark(case);
    let failed = |outcome| {
        let (sentence, place) = results::clause(clause)
            .map_or_else(Default::default, |it| (it.text, format!("{}, {} [{}]\n", it.page, it.section, it.hash)));
        let (message, kind) = (format!("{}: {sentence}", clause.id), case.verdict.to_string());
        let text = format!("{text}\n\n{sentence}\n{place}");
        match outcome {
            CaseOutcome::Broken => Remark::Error { message, kind, text },
            _ => Remark::Failure { message, kind, text },
        }
    };
    let remark = match clause.outcome(case) {
        CaseOutcome::Passed => None,
        // JUnit has no expected failures. Write them as skipped, as pytest does: a violation must not count as a passed
        // test.
        CaseOutcome::Waived | CaseOutcome::Skipped => Some(Remark::Skipped(text)),
        outcome => Some(failed(outcome)),
    };
    let known = results::clause(clause).filter(|_| placed == Clauses::AsProperties);
    let properties = known.map_or_else(Vec::new, |known| {
        vec![("clause", known.id.into()), ("clause-hash", known.hash.into()), ("level", known.level.to_string())]
    });
    Test { name: case.name.clone(), class: clause.id.clone(), properties, seconds: case.duration_ms / 1000.0, remark }
}

/// The element `properties`.
fn properties<'a>(
    writer: &mut Writer<Vec<u8>>,
    properties: impl Iterator<Item = (&'a str, &'a str)>,
) -> io::Result<()> {
    writer.create_element("properties").write_inner_content(|writer| {
        for (name, value) in properties {
            let property = writer.create_element("property").with_attribute(("name", name));
            property.with_attribute(("value", attribute(value).as_str())).write_empty()?;
        }
        Ok(())
    })?;
    Ok(())
}

fn suite(writer: &mut Writer<Vec<u8>>, results: &Results, id: usize, name: &str, tests: &[Test]) -> io::Result<()> {
    let number = |is: fn(&Remark) -> bool| tests.iter().filter(|test| test.remark.as_ref().is_some_and(is)).count();
    let mut attributes = vec![
        ("package", "iomap".to_owned()),
        ("id", id.to_string()),
        ("name", name.to_owned()),
        // A report names no machine, only the kernel, which is a property.
        ("hostname", "localhost".into()),
        ("tests", tests.len().to_string()),
        ("failures", number(|it| matches!(it, Remark::Failure { .. })).to_string()),
        ("errors", number(|it| matches!(it, Remark::Error { .. })).to_string()),
        ("skipped", number(|it| matches!(it, Remark::Skipped(_))).to_string()),
        ("time", seconds(tests.iter().map(|test| test.seconds).sum())),
    ];
    // The time in UTC, without fraction and zone, because one of the schemas forbids them.
    attributes
        .extend(results.started.as_ref().and_then(|time| time.get(..19)).map(|time| ("timestamp", time.to_owned())));
    let element = writer.create_element("testsuite");
    let element = attributes
        .iter()
        .fold(element, |element, (name, value)| element.with_attribute((*name, attribute(value).as_str())));
    element.write_inner_content(|writer| {
        let of_suite = [
            ("specification", results.spec.version.as_str()),
            ("digest", &results.spec.digest),
            ("target", &results.target),
            ("mechanism", &results.mechanism),
            ("fs", &results.fs),
            ("kernel", &results.kernel.release),
        ];
        let build = [("kernel-built", &results.kernel.built), ("kernel-build-id", &results.kernel.build_id)];
        let build = build.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
        properties(writer, of_suite.into_iter().chain(build))?;
        tests.iter().try_for_each(|test| case(writer, test))?;
        writer.create_element("system-out").write_empty()?;
        writer.create_element("system-err").write_empty().map(drop)
    })?;
    Ok(())
}

fn case(writer: &mut Writer<Vec<u8>>, test: &Test) -> io::Result<()> {
    let element = writer.create_element("testcase");
    let attributes =
        [("name", attribute(&test.name)), ("classname", attribute(&test.class)), ("time", seconds(test.seconds))];
    let element =
        attributes.iter().fold(element, |element, (name, value)| element.with_attribute((*name, value.as_str())));
    if test.remark.is_none() && test.properties.is_empty() {
        return element.write_empty().map(drop);
    }
    element.write_inner_content(|writer| {
        if !test.properties.is_empty() {
            properties(writer, test.properties.iter().map(|(name, value)| (*name, value.as_str())))?;
        }
        let Some(remark) = &test.remark else { return Ok(()) };
        let (name, attributes, text) = match remark {
            Remark::Skipped(text) => ("skipped", Vec::new(), text),
            Remark::Failure { message, kind, text } => ("failure", vec![("message", message), ("type", kind)], text),
            Remark::Error { message, kind, text } => ("error", vec![("message", message), ("type", kind)], text),
        };
        let element = attributes.into_iter().fold(writer.create_element(name), |element, (name, value)| {
            element.with_attribute((name, attribute(value).as_str()))
        });
        element.write_text_content(BytesText::new(&characters(text))).map(drop)
    })?;
    Ok(())
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.3}")
}

/// Text without the control characters that XML forbids, even in escaped form.
fn characters(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

/// Text on one line, for the value of an attribute.
fn attribute(text: &str) -> String {
    characters(text).replace('\n', " ")
}
