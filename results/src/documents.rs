//! The other documents of the suite.

use crate::results::{Results, SCHEMA};
use serde::{Deserialize, Serialize};

/// The results of guests. A run whose guest ended without results has the verdict `error` for each clause, and the
/// reason. Members may be added without a new number.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(bound = "")]
#[cfg_attr(test, schemars(bound = "", rename = "lab", title = "Results of iomap-conformance lab"))]
pub struct Lab<S = ()> {
    /// The number of the schema.
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: u32,
    /// The part of the work that this document is about; absent if it is about all of the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Shard"))]
    pub shard: Option<Shard>,
    /// The number of guests that have not ended yet; absent if all have ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unfinished: usize,
    /// One for each kernel, file system and mechanism.
    #[cfg_attr(test, schemars(schema_with = "runs"))]
    pub runs: Vec<Results<S>>,
}

/// A part of the work of several labs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "shard"))]
pub struct Shard {
    /// The number of the part, from 1.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub number: usize,
    /// The number of parts.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub of: usize,
    /// Every run of all parts, in the order of the whole: kernel, file system and mechanism.
    pub work: Vec<String>,
}

impl<S> Lab<S> {
    /// The document of these runs.
    pub fn new(runs: Vec<Results<S>>) -> Self {
        Self { schema: SCHEMA, shard: None, unfinished: 0, runs }
    }
}

impl Shard {
    /// The part with this number of this work.
    pub fn new<S>(number: usize, of: usize, work: &[Results<S>]) -> Self {
        Self { number, of, work: work.iter().map(label).collect() }
    }
}

/// A run in [`Shard::work`].
pub(crate) fn label<S>(run: &Results<S>) -> String {
    format!("{} {}", run.kernel.release, run.label())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[cfg(test)]
fn runs(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "array", "items": {"$ref": crate::schema::Schema::Results.id()}})
}

/// A case, in the document of `--list`, which is a list of them.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "listed_case"))]
pub struct ListedCase<'a> {
    /// The expectation, in one sentence.
    pub about: &'a str,
    /// The clause.
    #[cfg_attr(test, schemars(regex(pattern = crate::results::CLAUSE_ID)))]
    pub clause: &'a str,
    /// Such as `truncate::shrink`.
    #[cfg_attr(test, schemars(regex(pattern = crate::results::CASE_NAME)))]
    pub name: String,
}

/// The violations of the reference, and the cases that noticed them.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "audit", title = "Audit of iomap-conformance"))]
pub struct Audit {
    /// The number of the schema.
    #[cfg_attr(test, schemars(extend("const" = 1)))]
    pub schema: u32,
    /// Each violation.
    pub violations: Vec<AuditedViolation>,
}

/// A violation, and the cases that noticed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "violation"))]
pub struct AuditedViolation {
    /// The violation, such as `truncate.shrink/permitted`, or `truncate.shrink/permitted@three_names` with a condition.
    pub id: String,
    /// The clause.
    #[cfg_attr(test, schemars(regex(pattern = crate::results::CLAUSE_ID)))]
    pub clause: String,
    /// `killed` if a case of the clause noticed. Of a violation with a condition: `elsewhere` if only a case of another
    /// clause noticed, and `unmet` if no case brought
    /// the condition about.
    #[cfg_attr(test, schemars(extend("enum" = ["killed", "elsewhere", "survived", "unmet"])))]
    pub verdict: &'static str,
    /// The cases that noticed.
    pub by: Vec<String>,
}
