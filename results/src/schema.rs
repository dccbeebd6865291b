//! The JSON Schemas of the documents, in the dialect 2020-12.

/// A document that has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// [`crate::Results`]
    Results,
    /// [`crate::ListedCase`]
    List,
    /// [`crate::Audit`]
    Audit,
    /// [`crate::Comparison`]
    Comparison,
    /// [`crate::Lab`]
    Lab,
}

impl Schema {
    /// The URN of the schema.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Results => "urn:iomap-conformance:results:2",
            Self::List => "urn:iomap-conformance:list:1",
            Self::Audit => "urn:iomap-conformance:audit:1",
            Self::Comparison => "urn:iomap-conformance:comparison:1",
            Self::Lab => "urn:iomap-conformance:lab:2",
        }
    }

    /// The schema.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Results => include_str!("../schema/results.schema.json"),
            Self::List => include_str!("../schema/list.schema.json"),
            Self::Audit => include_str!("../schema/audit.schema.json"),
            Self::Comparison => include_str!("../schema/comparison.schema.json"),
            Self::Lab => include_str!("../schema/lab.schema.json"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Audit, Comparison, Lab, ListedCase, Results};
    use schemars::generate::SchemaSettings;
    use schemars::{JsonSchema, transform::RecursiveTransform};
    use std::path::Path;

    /// The schema that follows from the types.
    fn derived<T: JsonSchema>(schema: Schema) -> String {
        // Formats such as `uint32` are schemars' own; drop them. A description must be one line, so join the comment's
        // lines.
        let plain = RecursiveTransform(|schema: &mut schemars::Schema| {
            if let Some(description) = schema.get_mut("description") {
                *description = description.as_str().unwrap_or_default().replace('\n', " ").into();
            }
            if schema.get("format").and_then(|it| it.as_str()).is_some_and(|it| it != "date-time") {
                schema.remove("format");
            }
        });
        let generator = SchemaSettings::draft2020_12().with_transform(plain).for_serialize().into_generator();
        let mut made = generator.into_root_schema_for::<T>();
        made.insert("$id".into(), schema.id().into());
        if schema == Schema::List {
            // A list has no comment of its own to take a title from.
            made.insert("title".into(), "Cases of iomap-conformance".into());
        }
        serde_json::to_string_pretty(&made).unwrap() + "\n"
    }

    /// `INSTA_UPDATE=always cargo test -p iomap-results` writes the files, as it writes snapshots.
    #[test]
    fn schemas_follow_from_the_types() {
        let update = std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always");
        for (schema, name, derived) in [
            (Schema::Results, "results", derived::<Results>(Schema::Results)),
            (Schema::List, "list", derived::<Vec<ListedCase<'_>>>(Schema::List)),
            (Schema::Audit, "audit", derived::<Audit>(Schema::Audit)),
            (Schema::Comparison, "comparison", derived::<Comparison>(Schema::Comparison)),
            (Schema::Lab, "lab", derived::<Lab>(Schema::Lab)),
        ] {
            if update {
                let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{name}.schema.json"));
                std::fs::write(file, &derived).unwrap();
            } else {
                assert_eq!(schema.text(), derived, "{name}: INSTA_UPDATE=always cargo test -p iomap-results");
            }
        }
    }
}
