//! The cases, or violations, that a command line selects.
//!
//! A filter is the name of a family, a clause or a case, and selects exactly that; or it is a pattern with `*` for such
//! names; or else it is a part of them. A filter without a match is an error, and never selects anything.

use crate::case::definition::Case;
use crate::situation::fit::fits;
use iomap_reference::Violation;
use std::fmt;

/// An item with names by which it can be chosen.
pub(crate) trait Choice {
    /// Its family, such as `truncate`.
    fn family(&self) -> &str;
    /// Its clause, such as `truncate.shrink`.
    fn clause(&self) -> &str;
    /// Its own name.
    fn name(&self) -> String;
}

impl Choice for Case {
    fn family(&self) -> &str {
        self.clause.family()
    }

    fn clause(&self) -> &str {
        self.clause.id
    }

    fn name(&self) -> String {
        self.full_name()
    }
}

impl Choice for Violation {
    fn family(&self) -> &str {
        self.clause.family()
    }

    fn clause(&self) -> &str {
        self.clause.id
    }

    fn name(&self) -> String {
        self.id.clone()
    }
}

/// Filters, as the user typed them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// An item is taken if one of these filters matches it, or if there is no filter.
    pub filters: Vec<String>,
    /// An item is left out if one of these filters matches it.
    pub skip: Vec<String>,
    /// Whether a filter must be the whole name of a clause or of an item.
    pub exact: bool,
}

/// The reason why a selection is probably a mistake of the user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// A filter matches no name.
    Unknown {
        /// The filter.
        filter: String,
        /// Whether the filter would match names without `--exact`.
        inexact: bool,
        /// The most similar names.
        nearest: Vec<String>,
    },
    /// All items that were taken were then left out.
    AllSkipped,
}

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Unknown { filter, inexact, nearest } = self else {
            return write!(f, "--skip leaves out everything that was chosen");
        };
        match inexact {
            true => write!(f, "no clause and no case has the whole name {filter}; without --exact it matches some")?,
            false => write!(f, "no name equals or contains {filter}")?,
        }
        if nearest.is_empty() { Ok(()) } else { write!(f, "; the nearest: {}", nearest.join(", ")) }
    }
}

impl std::error::Error for Nothing {}

impl Selection {
    /// All items that one filter selects, or all items.
    pub(crate) fn of(filter: Option<&str>) -> Self {
        Self { filters: filter.map(str::to_owned).into_iter().collect(), ..Self::default() }
    }

    /// The selected items; the list can be empty.
    pub(crate) fn among<'a, T: Choice>(&self, all: &[&'a T]) -> Vec<&'a T> {
        let [taken, left_out] = [&self.filters, &self.skip]
            .map(|filters| filters.iter().map(|filter| Meaning::of(filter, self.exact, all)).collect::<Vec<_>>());
        let any = |meanings: &[Option<Meaning>], one: &T| meanings.iter().flatten().any(|meaning| meaning.has(one));
        let chosen = |one: &&&T| (taken.is_empty() || any(&taken, one)) && !any(&left_out, one);
        all.iter().filter(chosen).copied().collect()
    }

    /// The selected items; an error if the list is empty, or if a filter matches no name.
    pub(crate) fn some_of<'a, T: Choice>(&self, all: &[&'a T]) -> Result<Vec<&'a T>, Nothing> {
        for filter in self.filters.iter().chain(&self.skip) {
            if Meaning::of(filter, self.exact, all).is_none() {
                let inexact = self.exact && Meaning::of(filter, false, all).is_some();
                let names = all.iter().flat_map(|one| [one.family().into(), one.clause().into(), one.name()]);
                return Err(Nothing::Unknown { filter: filter.clone(), inexact, nearest: nearest(filter, names) });
            }
        }
        let chosen = self.among(all);
        if chosen.is_empty() { Err(Nothing::AllSkipped) } else { Ok(chosen) }
    }
}

/// The kind of names that a filter matches.
enum Meaning<'a> {
    Name(&'a str),
    Pattern(&'a str),
    Part(&'a str),
}

impl<'a> Meaning<'a> {
    /// The first kind that matches any name.
    fn of<T: Choice>(filter: &'a str, exact: bool, all: &[&T]) -> Option<Self> {
        let means = |meaning: &Self| all.iter().any(|one| meaning.has(*one));
        if exact {
            let whole = |one: &&T| one.clause() == filter || one.name() == filter;
            return all.iter().any(whole).then_some(Self::Name(filter));
        }
        [Self::Name(filter), Self::Pattern(filter), Self::Part(filter)].into_iter().find(means)
    }

    fn has<T: Choice>(&self, one: &T) -> bool {
        let names = [one.family(), one.clause(), &one.name()];
        match self {
            Self::Name(name) => names.contains(name),
            Self::Pattern(pattern) => names.iter().any(|name| fits(pattern, name)),
            Self::Part(part) => names.iter().any(|name| name.contains(part)),
        }
    }
}

/// The number of names that are suggested for a name that does not exist.
const OFFERED: usize = 5;

/// The existing names that are most similar to a mistyped one, the most similar first.
pub(crate) fn nearest(typed: &str, names: impl IntoIterator<Item = String>) -> Vec<String> {
    let likeness = |name: &str| strsim::jaro_winkler(&typed.to_lowercase(), &name.to_lowercase());
    let mut near: Vec<(f64, String)> = names.into_iter().map(|name| (likeness(&name), name)).collect();
    near.retain(|(likeness, _)| *likeness > 0.8);
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    near.dedup();
    near.into_iter().take(OFFERED).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;

    fn names(filters: &[&str], skip: &[&str], exact: bool) -> Result<Vec<String>, Nothing> {
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        let selection = Selection { filters: owned(filters), skip: owned(skip), exact };
        let all: Vec<&Case> = cases::list::all().collect();
        Ok(selection.some_of(&all)?.into_iter().map(Case::full_name).collect())
    }

    fn of(wanted: impl Fn(&Case) -> bool) -> Vec<String> {
        cases::list::all().filter(|case| wanted(case)).map(Case::full_name).collect()
    }

    #[test]
    fn a_name_selects_the_cases_that_have_it() {
        assert_eq!(names(&["truncate::shrink"], &[], false).unwrap(), ["truncate::shrink"]);
        let clause = of(|case| case.clause.id == "truncate.shrink");
        assert_eq!(names(&["truncate.shrink"], &[], false).unwrap(), clause);
        assert_eq!(names(&["truncate.shrink"], &[], true).unwrap(), clause);
        // The filter is a family; it is also a part of the family `unseal`, and of many cases.
        assert_eq!(names(&["seal"], &[], false).unwrap(), of(|case| case.clause.family() == "seal"));
        let two = of(|case| ["truncate", "seal"].contains(&case.clause.family()));
        assert_eq!(names(&["truncate", "seal"], &[], false).unwrap(), two);
    }

    #[test]
    fn a_pattern_is_for_whole_names_and_a_part_for_any() {
        let in_family = of(|case| case.clause.family() == "write");
        assert_eq!(names(&["write.*"], &[], false).unwrap(), in_family);
        assert_eq!(names(&["*::shrink"], &["mover*", "unseal*"], false).unwrap(), ["truncate::shrink"]);
        let part = of(|case| case.full_name().contains("shri") || case.clause.id.contains("shri"));
        assert_eq!(names(&["shri"], &[], false).unwrap(), part);
        assert!(fits("a*b*c", "a-b-b-c") && !fits("a*b", "a-b-c") && fits("*", "") && !fits("a*", ""));
    }

    #[test]
    fn an_unknown_name_gets_the_nearest_names() {
        let unknown = |filter: &str, exact| match names(&[filter], &[], exact).unwrap_err() {
            Nothing::Unknown { filter: same, nearest, inexact } if same == filter => (nearest, inexact),
            other => panic!("{other}"),
        };
        assert_eq!(unknown("truncate.shrnk", false).0[0], "truncate.shrink");
        assert_eq!(unknown("truncate::shrnk", false).0[0], "truncate::shrink");
        assert_eq!(unknown("Seal", false).0[0], "seal");
        assert!(unknown("seal", true).1 && !unknown("saels", true).1);
        assert!(unknown("qqqqqq", false).0.is_empty());
        // A filter without a match is an error, even if another filter has one.
        assert!(names(&["truncate", "qqqqqq"], &[], false).is_err());
        assert!(names(&[], &["qqqqqq"], false).is_err());
        assert_eq!(names(&["seal"], &["seal.*"], false), Err(Nothing::AllSkipped));
        assert!(names(&[""], &[], false).is_ok_and(|all| all.len() == cases::list::all().count()));
    }
}
