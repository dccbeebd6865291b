//! Documents from JSON.

use crate::documents::Lab;
use crate::results::{Results, SCHEMA};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// The reason why a text is not a document that this program reads.
#[derive(Debug)]
pub enum ReadError {
    /// The text is not JSON.
    Json(serde_json::Error),
    /// The document names no schema, or `runs` is not a list.
    Form(&'static str),
    /// The document has another schema number.
    Schema(u64),
    /// The document does not match its schema.
    Members(serde_json::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "not a results document: {error}"),
            Self::Form(what) => write!(f, "not a results document: {what}"),
            Self::Schema(1) => write!(
                f,
                "its schema is 1, this program reads schema {SCHEMA}: results of schema 1 do not say which outcomes \
                 the clauses allowed; run the suite again"
            ),
            Self::Schema(other) => write!(f, "its schema is {other}, this program reads schema {SCHEMA}"),
            Self::Members(error) => write!(f, "not a results document of schema {SCHEMA}: {error}"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(error) | Self::Members(error) => Some(error),
            Self::Form(_) | Self::Schema(_) => None,
        }
    }
}

impl<S> Results<S> {
    /// Reads a results document, a list of results documents (the output of `matrix`), or a document of `lab`.
    ///
    /// # Errors
    /// The text has another form or another schema.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, ReadError> {
        let document: Value = serde_json::from_str(text).map_err(ReadError::Json)?;
        match document {
            Value::Array(list) => list.into_iter().map(Self::of_document).collect(),
            Value::Object(mut members) if members.contains_key("runs") => match members.remove("runs") {
                Some(Value::Array(list)) => list.into_iter().map(Self::of_document).collect(),
                _ => Err(ReadError::Form("`runs` is no list")),
            },
            document => Self::of_document(document).map(|results| vec![results]),
        }
    }

    /// Reads one results document.
    ///
    /// # Errors
    /// The text has another form or another schema.
    pub fn parse(text: &str) -> Result<Self, ReadError> {
        Self::of_document(serde_json::from_str(text).map_err(ReadError::Json)?)
    }

    fn of_document(document: Value) -> Result<Self, ReadError> {
        of_schema(document)
    }
}

impl<S> Lab<S> {
    /// Reads a document of `lab`.
    ///
    /// # Errors
    /// The text has another form or another schema.
    pub fn parse(text: &str) -> Result<Self, ReadError> {
        of_schema(serde_json::from_str(text).map_err(ReadError::Json)?)
    }
}

fn of_schema<T: DeserializeOwned>(document: Value) -> Result<T, ReadError> {
    match document.get("schema").and_then(Value::as_u64) {
        Some(number) if number == u64::from(SCHEMA) => T::deserialize(document).map_err(ReadError::Members),
        Some(other) => Err(ReadError::Schema(other)),
        None => Err(ReadError::Form("it names no schema")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Results::<()>::parse_all(text).unwrap_err().to_string()
    }

    #[test]
    fn documents_are_read_alone_in_lists_and_from_the_lab() {
        let one = r#"{"schema": 2, "spec": {"version": "0.1", "digest": "0123abcd"}, "target": "host",
            "mechanism": "seal", "fs": "xfs", "kernel": {"release": "6.1"}, "clauses": [], "totals": {}}"#;
        for (text, number) in [
            (one.to_owned(), 1),
            ("[]".into(), 0),
            (format!("[{one}, {one}]"), 2),
            (format!(r#"{{"schema": 2, "runs": [{one}]}}"#), 1),
        ] {
            assert_eq!(Results::<()>::parse_all(&text).map(|all| all.len()).unwrap(), number, "{text}");
        }
    }

    #[test]
    fn a_refusal_names_the_schema() {
        assert!(refused(r#"{"schema": 1}"#).contains("which outcomes the clauses allowed; run the suite again"));
        assert_eq!(refused(r#"{"schema": 7}"#), "its schema is 7, this program reads schema 2");
        assert_eq!(refused("{}"), "not a results document: it names no schema");
        assert_eq!(refused(r#"{"runs": 1}"#), "not a results document: `runs` is no list");
        assert!(refused(r#"{"schema": 2}"#).starts_with("not a results document of schema 2: missing field"));
    }
}
