//! `iomap-spec show`, and other lists of clauses by id.

use crate::index;
use crate::output::print;
use iomap_command::{Error, Exit};
use iomap_spec::{Clause, Spec};

/// Prints the result of `show` for each clause. Unknown ids do not keep the others from being printed.
pub(crate) fn clauses(
    spec: &Spec,
    ids: &[String],
    separator: &str,
    show: impl Fn(&Clause) -> String,
) -> Result<Exit, Error> {
    let (mut shown, mut unknown) = (vec![], vec![]);
    for id in ids {
        match spec.clause(id) {
            Some(clause) => shown.push(show(clause)),
            None => unknown.push(index::unknown(spec, id)),
        }
    }
    print(&shown.join(separator))?;
    if unknown.is_empty() { Ok(Exit::Fine) } else { Err(Error::report(Exit::Found, unknown.join("\n"))) }
}
