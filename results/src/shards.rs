//! The parts of one work, put together again.

use crate::documents::{Lab, label};
use std::fmt;

/// The reason why some documents are not the parts of one work. Each document is named as its reader named it.
#[derive(Debug, PartialEq, Eq)]
pub enum MergeError {
    /// The document is not about a part of a work.
    Whole(String),
    /// Two documents are not about the same work, or not by the same specification.
    Different(String, String),
    /// Two documents are about the same part.
    Twice(String, String, usize),
    /// The lab that wrote the document was ended.
    Unfinished(String, usize),
    /// The runs of a document are not those of its part.
    Runs(String),
    /// No document is about these parts.
    Missing(Vec<usize>),
}

impl MergeError {
    /// Whether a part of the work has to be done again. Otherwise the documents do not belong together.
    pub fn is_unfinished(&self) -> bool {
        matches!(self, Self::Unfinished(..) | Self::Missing(_))
    }
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(name) => write!(f, "{name}: no part of a work: `lab --shard` writes parts"),
            Self::Different(one, other) => write!(f, "{one} and {other} are parts of different work"),
            Self::Twice(one, other, number) => write!(f, "{one} and {other} are both part {number}"),
            Self::Unfinished(name, guests) => {
                write!(f, "{name}: the lab was ended before {guests} of its guests: run its part again")
            }
            Self::Runs(name) => write!(f, "{name}: the runs are not those of its part"),
            Self::Missing(parts) => {
                let parts: Vec<String> = parts.iter().map(usize::to_string).collect();
                write!(f, "missing: part {}", parts.join(", "))
            }
        }
    }
}

impl std::error::Error for MergeError {}

/// The whole work, from a document for each part. Each document has the name of its file.
///
/// # Errors
/// The documents are not all parts of one work, each once.
pub fn merge<S>(documents: Vec<(String, Lab<S>)>) -> Result<Lab<S>, MergeError> {
    let mut parts = Vec::new();
    for (name, document) in documents {
        let Some(shard) = document.shard else { return Err(MergeError::Whole(name)) };
        if document.unfinished > 0 {
            return Err(MergeError::Unfinished(name, document.unfinished));
        }
        let own = shard.work.iter().filter(|run| document.runs.iter().any(|it| label(it) == **run)).count();
        if own != document.runs.len() || !(1..=shard.of).contains(&shard.number) {
            return Err(MergeError::Runs(name));
        }
        parts.push((name, shard, document.runs));
    }
    parts.sort_by_key(|(_, shard, _)| shard.number);
    let Some((first, all, _)) = parts.first().map(|(name, shard, runs)| (name.clone(), shard.clone(), runs.len()))
    else {
        return Err(MergeError::Missing(vec![1]));
    };
    let spec = |runs: &[crate::results::Results<S>]| runs.first().map(|run| run.spec.clone());
    let specification = parts.iter().find_map(|(_, _, runs)| spec(runs));
    for (name, shard, runs) in &parts {
        let other_spec = runs.iter().any(|run| Some(&run.spec) != specification.as_ref());
        if (shard.of, &shard.work) != (all.of, &all.work) || other_spec {
            return Err(MergeError::Different(first, name.clone()));
        }
    }
    if let Some([one, other]) = parts.windows(2).find_map(|two| match two {
        [one, other] if one.1.number == other.1.number => Some([one, other]),
        _ => None,
    }) {
        return Err(MergeError::Twice(one.0.clone(), other.0.clone(), one.1.number));
    }
    let missing: Vec<usize> = (1..=all.of).filter(|number| parts.iter().all(|it| it.1.number != *number)).collect();
    if !missing.is_empty() {
        return Err(MergeError::Missing(missing));
    }
    let mut runs: Vec<_> = parts.into_iter().flat_map(|(_, _, runs)| runs).collect();
    runs.sort_by_key(|run| all.work.iter().position(|it| *it == label(run)));
    if !runs.iter().map(label).eq(all.work.iter().cloned()) {
        return Err(MergeError::Runs(first));
    }
    Ok(Lab::new(runs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::Shard;
    use crate::results::Results;

    fn run(fs: &str) -> Results {
        let text = r#"{"schema": 2, "spec": {"version": "0.1", "digest": "0123abcd"}, "target": "host",
            "mechanism": "seal", "fs": "FS", "kernel": {"release": "6.1"}, "clauses": [], "totals": {}}"#;
        Results::parse(&text.replace("FS", fs)).unwrap()
    }

    fn part(number: usize, fs: &[&str]) -> (String, Lab) {
        let work = ["xfs", "ext4", "btrfs"].map(|fs| label(&run(fs))).to_vec();
        let runs = fs.iter().map(|fs| run(fs)).collect();
        (format!("{number}.json"), Lab { shard: Some(Shard { number, of: 2, work }), ..Lab::new(runs) })
    }

    fn refused(parts: Vec<(String, Lab)>) -> String {
        merge(parts).unwrap_err().to_string()
    }

    #[test]
    fn parts_become_the_whole_in_its_order() {
        let whole = merge(vec![part(2, &["ext4"]), part(1, &["xfs", "btrfs"])]).unwrap();
        assert_eq!(whole, Lab::new(vec![run("xfs"), run("ext4"), run("btrfs")]));
    }

    #[test]
    fn other_documents_are_refused() {
        let (one, two) = (|| part(1, &["xfs", "btrfs"]), || part(2, &["ext4"]));
        assert_eq!(refused(vec![one()]), "missing: part 2");
        assert_eq!(refused(vec![]), "missing: part 1");
        let again = ("again.json".to_owned(), one().1);
        assert_eq!(refused(vec![one(), two(), again]), "1.json and again.json are both part 1");
        let whole = ("all.json".to_owned(), Lab::new(vec![run("xfs")]));
        assert_eq!(refused(vec![one(), whole]), "all.json: no part of a work: `lab --shard` writes parts");
        let mut ended = two();
        ended.1.unfinished = 1;
        assert_eq!(refused(vec![one(), ended]), "2.json: the lab was ended before 1 of its guests: run its part again");
        assert_eq!(refused(vec![one(), part(2, &["f2fs"])]), "2.json: the runs are not those of its part");
        assert_eq!(refused(vec![one(), part(2, &[])]), "1.json: the runs are not those of its part");
        let mut other = two();
        other.1.runs[0].spec.digest = "89abcdef".into();
        assert_eq!(refused(vec![one(), other]), "1.json and 2.json are parts of different work");
    }
}
