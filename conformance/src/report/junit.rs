//! JUnit: a test suite for each family, a test case for each case.

use crate::results::{CaseResult, ClauseResult, Outcome, Results};
use chrono::DateTime;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// Writes results as JUnit.
pub fn write(results: &Results) -> String {
    let mut report = Report::new("iomap-conformance");
    if let Some(started) = results.started.as_deref().and_then(|text| DateTime::parse_from_rfc3339(text).ok()) {
        report.set_timestamp(started);
    }
    if let Some(reason) = &results.not_offered {
        let kind = results.lacks_unexpectedly().then_some(NonSuccessKind::Failure);
        let mut status = kind.map_or_else(TestCaseStatus::skipped, TestCaseStatus::non_success);
        status.set_message(format!("not offered: {reason}"));
        let mut suite = suite("iomap", results);
        suite.add_test_case(TestCase::new(results.mechanism.as_str(), status));
        report.add_test_suite(suite);
    }
    let mut total = Duration::ZERO;
    for (family, clauses) in results.families() {
        let mut suite = suite(family, results);
        let cases = clauses.iter().flat_map(|clause| clause.cases.iter().map(move |case| (*clause, case)));
        let mut sum = Duration::ZERO;
        for (clause, case) in cases {
            let time = Duration::try_from_secs_f64(case.duration_ms / 1000.0).unwrap_or_default();
            let mut test = TestCase::new(case.name.as_str(), status(clause, case));
            test.set_classname(clause.id.as_str()).set_time(time);
            suite.add_test_case(test);
            sum += time;
        }
        if !suite.test_cases.is_empty() {
            suite.set_time(sum);
            report.add_test_suite(suite);
            total += sum;
        }
    }
    if !results.kernel_log.is_empty() {
        let mut suite = suite("kernel_log", results);
        for line in &results.kernel_log {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status
                .set_message(line.text.as_str())
                .set_description(format!("while this ran: {}", line.during.join(" ")));
            suite.add_test_case(TestCase::new("kernel_log", status));
        }
        report.add_test_suite(suite);
    }
    report.set_time(total);
    // Writing into memory does not fail.
    report.to_string().unwrap_or_default()
}

/// Suites have properties, reports have none.
fn suite(name: &str, results: &Results) -> TestSuite {
    let mut suite = TestSuite::new(name);
    suite.add_properties([
        ("specification", results.spec.version.as_str()),
        ("digest", &results.spec.digest),
        ("target", &results.target),
        ("mechanism", &results.mechanism),
        ("fs", &results.fs),
        ("kernel", &results.kernel.release),
    ]);
    suite
}

fn status(clause: &ClauseResult, case: &CaseResult) -> TestCaseStatus {
    let remark = clause.remark(case);
    let kind = match clause.outcome(case) {
        Outcome::Passed => return TestCaseStatus::success(),
        Outcome::Failed => NonSuccessKind::Failure,
        Outcome::Broken => NonSuccessKind::Error,
        // JUnit has no expected failures. pytest writes them as skipped too, and readers know it: whoever counts passes
        // must not count a violation among them.
        Outcome::Waived | Outcome::Skipped => {
            let mut status = TestCaseStatus::skipped();
            let (first, others) = remark.split_once('\n').unwrap_or((&remark, ""));
            status.set_message(first);
            if !others.is_empty() {
                status.set_description(others);
            }
            return status;
        }
    };
    let mut status = TestCaseStatus::non_success(kind);
    let (sentence, place) = clause
        .clause()
        .map_or_else(Default::default, |it| (it.text, format!("{}, {} [{}]\n", it.page, it.section, it.hash)));
    status.set_type(case.verdict.to_string()).set_message(format!("{}: {sentence}", clause.id));
    status.set_description(format!("{remark}\n\n{sentence}\n{place}"));
    status
}
