//! A longer explanation of each finding than the finding itself has room for.

use crate::diagnostic::IO;

/// Every code of a finding, sorted, with its explanation: the fault, why it matters, and an example.
pub const CODES: &[(&str, &str)] = &[
    (
        "bad-id",
        "A clause is cited for ever by its id, and the id is an anchor in manual pages and in the book. mandoc(1)
cuts an anchor at a hyphen, so an id has two or more parts of a-z, 0-9 and _ with dots between them, begins
with a letter, and has at most 32 bytes.

wrong:  r[truncate-shrink level=must errno=ETXTBSY]
right:  r[truncate.shrink level=must errno=ETXTBSY]",
    ),
    (
        "bad-value",
        "An attribute of a marker has a value that it cannot have, or has one twice.

wrong:  r[a.b level=shall errno=EIO,EIO]
right:  r[a.b level=must errno=EIO]",
    ),
    (
        "broken-citation",
        "Parts of a citation stand together, such as the id, the level and the page, but something is missing or is
written in another way, so that the cited wording is unknown. `iomap-spec cite` prints citations to copy.

wrong:  iomap_immutable(7) truncate.shrink (0.1, 6d26...)
right:  iomap_immutable(7) truncate.shrink (0.1, 6d26479b)",
    ),
    (
        "duplicate-attribute",
        "A marker gives an attribute twice, and only one of them could count.

wrong:  r[a.b level=must level=may result=ok]
right:  r[a.b level=may result=ok]",
    ),
    (
        "duplicate-id",
        "Two clauses have one id, so a citation would not say which of them is meant. An id belongs to one clause in
all pages, and to no other ever after.",
    ),
    (
        "duplicate-page",
        "Two files have the same title and section in their front matter. They would be written to the same manual page.",
    ),
    (
        "empty-clause",
        "A marker stands alone. The text of the clause follows on the next lines, without an empty line between.

wrong:  r[a.b level=may result=ok]

        It may.
right:  r[a.b level=may result=ok]
        It may.",
    ),
    ("empty-value", "An attribute of a marker has nothing after its =. Leave it out, or say what it is."),
    (
        "errno-unnamed",
        "A clause allows an error that its text does not name. Who reads or quotes the text alone would not learn of it.

wrong:  r[a.b level=must errno=EIO]
        It must fail.
right:  r[a.b level=must errno=EIO]
        It must fail with the error **EIO**.",
    ),
    (
        "errors-missing",
        "A clause allows an error that the ERRORS section of its page does not list. Programmers look there. A page of
section 7 has no ERRORS: an error belongs to the call.",
    ),
    ("errors-order", "The errors of a list in ERRORS are sorted by their names, as man-pages(7) asks."),
    (
        "errors-term",
        "A term of a definition list in ERRORS is the name of one error in bold and nothing else. Two causes of one
error are two entries.

wrong:  EINVAL or **EIO**
right:  **EINVAL**",
    ),
    (
        "errors-unused",
        "ERRORS lists an error that no clause allows. Either nobody can meet it, or a clause does not say so.",
    ),
    (
        "former-hash",
        "A citation has the hash that its clause had when a hash covered id, level and text only. Level and text are
the same now. A hash of today also covers the outcomes that the clause allows and where they are observed.
`iomap-spec confirm` replaces such hashes in confirmed.toml; `iomap-spec cite ID` prints a citation with the
present hash.",
    ),
    (
        "front-matter",
        "A page begins with lines between --- and --- that give its title, section, date and version, each once.

right:  ---
        title: iomap_immutable
        section: 7
        date: 2026-01-31
        version: 0.1
        ---",
    ),
    (
        "heading",
        "A manual page has sections (#) and subsections (##). Nothing shows deeper levels, and headings that are
underlined with === are easily overlooked.",
    ),
    (
        "inner-word",
        "A clause speaks of blocks or extents. Those are how a file system does it: no caller can see one, and tools
that print them are for debugging. Say what the caller or an agent observes.

wrong:  No extent of a sealed file may change.
right:  An agent may go on writing to the storage of a sealed file.",
    ),
    ("invalid-utf8", "Pages are UTF-8. The finding points at the first byte that is not."),
    (
        "invisible-character",
        "A page contains a control character, or one that changes the direction in which text is read. What cannot be
seen in a review has no place in a specification.",
    ),
    (IO, "A file or a directory cannot be read. This is about the machine, not about a page: the exit code is 3."),
    (
        "level-outside",
        "must, should and may are what a clause promises with. Outside a clause they sound like a promise that nobody
can cite or test.

wrong:  An application must prepare the file.
right:  An application has to prepare the file.",
    ),
    (
        "level-word",
        "The text of a clause has exactly one of must, should and may, and it is the level in the marker. Two of them
are two promises: make two clauses.",
    ),
    (
        "link",
        "A link in a page leads to http:// or https:// and has a text. Headings, terms and cells cannot hold one: in a
manual page they are a single line.",
    ),
    ("long-line", "A line of the source has more than 80 columns. Break it where a clause of the sentence ends."),
    (
        "malformed-marker",
        "A marker ends with ] in its own paragraph, and the text begins on the next line.

wrong:  r[a.b level=may result=ok] It may.
right:  r[a.b level=may result=ok]
        It may.",
    ),
    (
        "misplaced-marker",
        "A marker begins a paragraph directly below a heading. Elsewhere, in a list or in the middle of a paragraph, it
would silently be text.",
    ),
    (
        "misquotation",
        "A text cites a clause with its present hash, and quotes other words or gives another level or
page. Words can be left out with [...]; `iomap-spec cite ID` prints the citation anew.",
    ),
    ("missing-level", "A marker does not say how strictly its clause is meant: level=must, level=should or level=may."),
    (
        "missing-outcome",
        "A marker does not say what a caller may observe: result=ok, or errno= with the errors allowed, or both. The
suite judges by that.",
    ),
    (
        "moved",
        "moved.toml remembers the ids that are out of use. Each [[moved]] has old, since, and either new or reason.",
    ),
    (
        "name",
        "whatis(1) and apropos(1) read the line below NAME: one or more names with commas, a hyphen between spaces, and
what it is, without markup. The title of the page is among the names.

right:  iomap_immutable - files whose placement on storage cannot change",
    ),
    ("no-section", "Text stands before the first heading, where no reader of a manual page looks for it."),
    (
        "reused-id",
        "A clause has an id that moved.toml lists as withdrawn. Old citations would seem to speak of the new clause.",
    ),
    (
        "scattered-family",
        "The clauses of a family (the first part of the id) stand together in one section, so that a reader who looks
for one finds all.",
    ),
    ("section-order", "Sections come in the order of man-pages(7), each once, NAME first."),
    ("see-also", "SEE ALSO is a list sorted by section, then by name, without a full stop at its end."),
    (
        "see-also-missing",
        "SEE ALSO names a page that is neither one of these pages nor in this machine's manual. It is checked where the
pages of Linux man-pages are installed.",
    ),
    (
        "semantic-newline",
        "A sentence begins on a new line, as man-pages(7) asks. A change then shows in a patch as the sentences that
changed, and nothing else.",
    ),
    ("spelling", "A word of prose is not in words.txt. Correct it, or add it in its place in the list."),
    (
        "stale",
        "A place (a case, a rule of the reference, a rationale, another page) cites a clause whose text, level or
outcomes have changed since somebody last confirmed that the two fit. Read the place again; then

        iomap-spec confirm ID

records that it fits the clause as it is now.",
    ),
    (
        "stale-citation",
        "A text cites a clause with a hash that is not its present one. Since then its text, its level, the outcomes
that it allows or the places where they are observed have changed.",
    ),
    (
        "table-cells",
        "A row has more cells than its table has columns, and the extra cells would be left out. A bar ends a cell in
code too.

wrong:  | `a|b` | both |
right:  | `a\\|b` | both |",
    ),
    ("unclosed-fence", "Code between fences (```) is never closed, and all that follows would be code."),
    (
        "unconfirmed",
        "A place cites a clause, and confirmed.toml does not say for which state of it. `iomap-spec confirm` records it.",
    ),
    ("undefined-reference", "[some.id] refers to a clause that does not exist. Write \\[ if brackets are meant."),
    ("unknown-attribute", "A marker has an attribute that does not exist; the finding lists those that do."),
    ("unknown-citation", "A text cites a clause that does not exist, in the form that `iomap-spec cite` prints."),
    (
        "unknown-errno",
        "Linux has no error of that name, or errno(3) lists another name for its number first: EOPNOTSUPP, not ENOTSUP.",
    ),
    (
        "unknown-section",
        "man-pages(7) has no section of that name. Make it a subsection (##) of the one it belongs to.",
    ),
    (
        "unsupported",
        "Markdown has more than a manual page can show. The specification uses paragraphs, lists, definition lists,
tables, fenced code, bold, italic, `code` and links; nothing else is dropped silently.",
    ),
    ("unterminated-quote", "A quotation mark in a marker is not closed on its line."),
    ("version", "The pages state different versions. The version is the specification's: the same on all pages."),
    (
        "why-missing",
        "A clause does not say who asked for it, or what it is good for. Without that nobody can tell later whether it
could be changed.

right:  r[a.b level=must errno=EBUSY why=\"a mapping would outlive it\"]",
    ),
    ("wide-code", "A line of code is wider than what a terminal of 80 columns, or a quoted mail, has room for."),
    ("wide-table", "A table does not fit on a terminal even with its cells wrapped. Use a definition list."),
    ("word-list", "words.txt has one word on each line, in lower case, sorted with `LC_ALL=C sort -u`."),
];

/// The explanation of findings with this code.
pub fn explain(code: &str) -> Option<&'static str> {
    CODES.iter().find(|(known, _)| *known == code).map(|(_, text)| *text)
}
