//! The book: the output of the command for pages, chapters and results, and its behavior in a browser.
#![allow(clippy::unwrap_used, reason = "this is a test, in functions beside the tests too")]

mod browser;
mod tools;

use browser::Browser;
use iomap_spec::{Spec, load, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const VERDICTS: [&str; 6] = ["holds", "violated", "not-offered", "not-reachable", "untested", "error"];

/// A directory with pages and chapters of its own, and results for them.
struct Project {
    directory: tempfile::TempDir,
}

/// Text that mdBook would take for markup, but that is plain text in a page.
const ODD: &str = r#"
# ODD {#odd}

r[odd.text level=may result=ok why="an attribute with <b>, &amp; and 'quotes'"]
It may be ~~struck~~, {#named}, \[bracketed], "quoted" -- or 'so' ..., \~ &lt;i&gt; and `a -- b`.

r[odd.reference level=must errno=EIO,EBUSY uncased="nothing to call"]
It must fail like [odd.text] in **sampler-page**(7) does.

## Terms

frobnicator
: What *frobs* things.
"#;

const FIRST: &str = r"
# First `odd.text`

See [a `clause`](sampler-page.7.html#odd.text), `odd.reference`, `sampler-page(7)`, `odd.none` and [`odd.text`](last.md).
";

const MOVED: &str = r#"
[[moved]]
old = "odd.first"
new = "odd.second"
since = "0.1"

[[moved]]
old = "odd.second"
new = "odd.text"
since = "0.1"

[[moved]]
old = "odd.gone"
reason = "nobody could test <it>"
since = "0.1"
"#;

impl Project {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = [
            ("man/sampler.7.md", fs::read_to_string(tools::sampler()).unwrap() + ODD),
            ("man/moved.toml", MOVED.into()),
            ("book/book.toml", "[book]\ntitle = \"Sampler\"\n".into()),
            ("book/src/SUMMARY.md", "- [First](first.md)\n- [Verdicts](verdicts.md)\n\n[Last](last.md)\n".into()),
            ("book/src/first.md", FIRST.into()),
            ("book/src/verdicts.md", "# Verdicts\n".into()),
            ("book/src/last.md", "# Last\n".into()),
        ];
        for (name, text) in files {
            let file = directory.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        Project { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn spec(&self) -> Spec {
        load(&self.path("man")).unwrap_or_else(|findings| panic!("{}", findings[0]))
    }

    fn book(&self, arguments: &[&str]) -> Output {
        book(self.directory.path(), arguments)
    }
}

fn book(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iomap-spec"));
    command.arg("book").args(arguments).current_dir(directory).env("IOMAP_SPEC_PAGES", "man");
    command.stdin(Stdio::null()).output().unwrap()
}

/// The exit code and standard error; standard output must be empty.
fn outcome(output: &Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn fine(output: &Output) {
    let (code, said) = outcome(output);
    assert_eq!(code, Some(0), "{said}");
}

/// Results of the suite for these pages: each verdict in turn.
fn results(spec: &Spec, digest: &str) -> Value {
    let clauses: Vec<Value> = spec
        .clauses()
        .zip(VERDICTS.iter().cycle())
        .map(|(clause, verdict)| {
            let cases = json!([{ "name": "odd::case", "verdict": verdict, "duration_ms": 0.5, "detail": null }]);
            json!({ "id": clause.id, "verdict": verdict, "expected": null, "reason": "a <reason>", "cases": cases })
        })
        .collect();
    json!({
        "schema": 2, "spec": { "version": "0.1", "digest": digest }, "target": "host", "mechanism": "swapfile",
        "fs": "xfs", "kernel": { "release": "6.18.0" }, "clauses": clauses, "totals": {},
    })
}

/// Every file below the directory, with its bytes.
fn tree(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(place) = open.pop() {
        for entry in fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.insert(path.strip_prefix(directory).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn two_books_are_the_same_to_the_byte() {
    let project = Project::new();
    let file = project.path("results.json");
    fs::write(&file, results(&project.spec(), "00000000").to_string()).unwrap();
    let (man, chapters) = (tree(&project.path("man")), tree(&project.path("book")));
    fine(&project.book(&["--out", "one", "--results", "results.json"]));
    let elsewhere = tempfile::tempdir().unwrap();
    let place = |name: &str| project.path(name).display().to_string();
    let (pages, chapter, file) = (place("man"), place("book"), file.display().to_string());
    let arguments = ["--pages", &pages, "--chapters", &chapter, "--out", "deep/two", "--results", &file];
    fine(&book(elsewhere.path(), &arguments));
    let (one, two) = (tree(&project.path("one")), tree(&elsewhere.path().join("deep/two")));
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    for (name, bytes) in &one {
        assert!(two[name] == *bytes, "{} differs", name.display());
    }
    // The build must not write into the directories of its input.
    assert!(tree(&project.path("man")) == man && tree(&project.path("book")) == chapters);
}

#[test]
fn a_directory_that_is_no_book_is_kept() {
    let project = Project::new();
    fs::create_dir(project.path("mine")).unwrap();
    fs::write(project.path("mine/thesis"), "years of work").unwrap();
    let (code, said) = outcome(&project.book(&["--out", "mine"]));
    assert_eq!(code, Some(3));
    assert!(said.starts_with("iomap-spec: mine: there are other files in this directory"), "{said}");
    assert_eq!(tree(&project.path("mine")).len(), 1);
    assert_eq!(outcome(&project.book(&["--out", "mine/thesis"])).0, Some(3));
    assert_eq!(read(&project.path("mine/thesis")), "years of work");

    // An older book is replaced completely.
    fs::create_dir(project.path("public")).unwrap();
    fine(&project.book(&["--out", "public"]));
    fs::write(project.path("public/stale.html"), "").unwrap();
    fine(&project.book(&["--out", "public"]));
    assert!(!project.path("public/stale.html").exists());
    // A failed build leaves the old book unchanged.
    let before = tree(&project.path("public"));
    fs::write(project.path("book/src/SUMMARY.md"), "- [Gone](gone.md)\n").unwrap();
    let (code, said) = outcome(&project.book(&["--out", "public"]));
    assert_eq!(code, Some(3));
    assert!(said.contains("gone.md"), "{said}");
    assert!(tree(&project.path("public")) == before);
    let left: Vec<_> = fs::read_dir(project.directory.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn broken_links_are_findings() {
    let project = Project::new();
    fs::write(
        project.path("book/src/last.md"),
        "[no](sampler-page.7.html#odd.none) [file](gone.html) <a href=\"javascript:x()\">x</a>\n",
    )
    .unwrap();
    let (code, said) = outcome(&project.book(&["--out", "out"]));
    assert_eq!(code, Some(1));
    assert!(said.contains("\nlast.html: sampler-page.7.html#odd.none: there is no such id\n"), "{said}");
    assert!(said.contains("\nlast.html: gone.html: there is no such file\n"), "{said}");
    assert!(said.contains("\nlast.html: javascript:x(): a link is no program\n"), "{said}");
}

#[test]
fn results_that_are_none() {
    let project = Project::new();
    let good = results(&project.spec(), "0");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut document = good.clone();
        change(&mut document);
        document.to_string()
    };
    let cases = [
        ("{".to_owned(), "not a results document: EOF"),
        ("[]".to_owned(), "a list without any results"),
        ("[3]".to_owned(), "it names no schema"),
        (with(&|it| it["schema"] = json!(1)), "its schema is 1, this program reads schema 2"),
        (with(&|it| it["clauses"][0]["verdict"] = json!("passed")), "unknown variant `passed`"),
        (with(&|it| drop(it["kernel"].take())), "not a results document of schema 2"),
    ];
    for (text, reason) in cases {
        fs::write(project.path("results.json"), text).unwrap();
        let (code, said) = outcome(&project.book(&["--results", "results.json"]));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.starts_with("iomap-spec: results.json: ") && said.contains(reason), "{said}");
    }
    let (code, said) = outcome(&project.book(&["--results", "nowhere.json"]));
    assert_eq!(code, Some(3));
    assert!(said.starts_with("iomap-spec: nowhere.json: "), "{said}");
    assert!(!project.path("target").exists());
    let (code, said) = outcome(&project.book(&["--chapters", "man"]));
    assert_eq!(code, Some(3));
    assert!(said.contains("man/book.toml"), "{said}");
}

#[test]
fn verdicts_stand_beside_clauses() {
    let project = Project::new();
    let spec = project.spec();
    // A document of the lab.
    let both = json!({"schema": 2, "runs": [results(&spec, &spec.digest()), results(&spec, "0badcafe")]});
    fs::write(project.path("results.json"), both.to_string()).unwrap();
    fine(&project.book(&["--results", "results.json"]));
    let page = read(&project.path("target/book/sampler-page.7.html"));
    let clauses = spec.clauses().count();
    assert_eq!(page.matches("measured against another state of the specification").count(), clauses);
    for (clause, verdict) in spec.clauses().zip(VERDICTS.iter().cycle()) {
        let (_, section) = page.split_once(&format!("data-id=\"{}\"", clause.id)).unwrap();
        let (section, _) = section.split_once("</section>").unwrap();
        assert_eq!(section.matches(&format!(">{verdict}</span>")).count(), 2, "{section}");
        assert!(
            section.contains("<td>xfs</td><td>swapfile</td><td>host</td><td>6.18.0</td>")
                && section.contains("a &lt;reason&gt;"),
            "{section}"
        );
    }
    let table = read(&project.path("target/book/results.html"));
    assert!(table.contains("0badcafe of version 0.1"), "{table}");
    assert!(table.contains("<th>2: xfs, swapfile, 6.18.0</th>"), "{table}");
    assert_eq!(table.matches("<td><span class=\"verdict ").count(), 2 * clauses + 2);

    fine(&project.book(&[]));
    let table = read(&project.path("target/book/results.html"));
    assert!(table.contains("built without results"), "{table}");
    assert!(!read(&project.path("target/book/sampler-page.7.html")).contains("class=\"verdict"));
}

#[test]
fn indexes_lead_to_clauses_and_terms() {
    let project = Project::new();
    fine(&project.book(&[]));
    let out = |name: &str| read(&project.path("target/book").join(name));
    let (clauses, page) = (out("clauses.html"), out("sampler-page.7.html"));
    for clause in project.spec().clauses() {
        assert!(clauses.contains(&format!("href=\"sampler-page.7.html#{}\"", clause.id)), "{}", clause.id);
    }
    // Ids out of use have an anchor in the index, and a link to their successor.
    for old in ["odd.first", "odd.second", "odd.gone"] {
        assert!(clauses.contains(&format!("<li id=\"{old}\"")), "{clauses}");
        assert_eq!(page.contains(&format!("<span id=\"{old}\"")), old != "odd.gone");
    }
    assert!(clauses.contains("nobody could test &lt;it&gt;"), "{clauses}");
    let errnos = out("errnos.html");
    let (_, busy) = errnos.split_once("id=\"ebusy\"").unwrap();
    assert!(busy.split("<h2").next().unwrap().contains("#odd.reference"), "{errnos}");
    let terms = out("terms.html");
    assert!(terms.contains("href=\"sampler-page.7.html#term:frobnicator\">frobnicator</a>"), "{terms}");
    assert!(terms.contains("href=\"sampler-page.7.html#term:frobs\">frobs</a>"), "{terms}");
    // In the chapters, ids in code become links.
    let first = out("first.html");
    assert!(first.contains("<a href=\"sampler-page.7.html#odd.reference\"><code>odd.reference</code></a>"), "{first}");
    assert!(first.contains("<a href=\"sampler-page.7.html\"><code>sampler-page(7)</code></a>"), "{first}");
    assert!(first.contains(" <code>odd.none</code>"), "{first}");
    assert!(first.contains("<a href=\"last.html\"><code>odd.text</code></a>"), "{first}");
    // The pages come after the numbered chapters and before the closing chapters.
    let contents = out("toc.html");
    let at = |text: &str| contents.find(text).unwrap_or_else(|| panic!("{text} is missing: {contents}"));
    assert!(at("verdicts.html") < at("sampler-page.7.html") && at("results.html") < at("last.html"), "{contents}");
}

/// The cases of each clause, as a test of the suite keeps them.
fn cases_of_the_suite(top: &Path) -> BTreeMap<String, Vec<String>> {
    let (mut cases, mut id) = (BTreeMap::new(), String::new());
    for line in read(&top.join("conformance/tests/snapshots/violations__coverage.snap")).lines() {
        if let Some(names) = line.strip_prefix("  cases ") {
            cases.insert(id.clone(), names.split_whitespace().map(str::to_owned).collect());
        } else if !line.starts_with(' ') {
            id = line.split(' ').next().unwrap().to_owned();
        }
    }
    cases
}

/// The clauses of each patch of the series of this project, by the number of the patch.
fn clauses_of_patches(top: &Path) -> BTreeMap<String, Vec<String>> {
    let of = |path: &Path| -> Vec<String> {
        let script: toml::Table = toml::from_str(&read(path)).unwrap();
        script["clauses"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    let scripts = fs::read_dir(top.join("kernel/patches")).unwrap().map(|entry| entry.unwrap());
    scripts
        .map(|entry| (entry.file_name().to_string_lossy().split('-').next().unwrap().to_owned(), of(&entry.path())))
        .collect()
}

/// The chapter of the series of this project: each clause that a patch cites is there with its patches, a place and
/// its cases, and each other clause is in the list of those without a patch.
#[test]
fn the_series_is_shown_clause_by_clause() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (Ok(spec), true) = (load(&top.join("man")), top.join("kernel/patches").is_dir()) else {
        return eprintln!("not tested, the series is missing");
    };
    let (cases, patches) = (cases_of_the_suite(&top), clauses_of_patches(&top));
    let mut measured = results(&spec, &spec.digest());
    for clause in measured["clauses"].as_array_mut().unwrap() {
        let names = cases.get(clause["id"].as_str().unwrap()).into_iter().flatten();
        // A case runs in situations, too, which the chapter does not list.
        let ran = |name: &String| json!({ "name": format!("{name}[size=less]"), "verdict": "holds", "duration_ms": 0.5, "detail": null });
        clause["cases"] = names.map(ran).collect();
    }
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("results.json");
    fs::write(&file, measured.to_string()).unwrap();
    let [man, kernel] = ["man", "kernel"].map(|name| top.join(name).display().to_string());
    let out = place.path().join("out");
    fine(&book(
        place.path(),
        &["--pages", &man, "--series", &kernel, "--results", file.to_str().unwrap(), "--out", out.to_str().unwrap()],
    ));
    let text = read(&out.join("series.html"));
    let part = |from: &str, to: &str| {
        let (_, rest) = text.split_once(&format!("<h2 id=\"{from}\">")).unwrap();
        rest.split_once(&format!("<h2 id=\"{to}\">")).unwrap().0.to_owned()
    };
    let (clauses, without) =
        (part("clauses", "clauses-without-a-patch"), part("clauses-without-a-patch", "what-it-costs"));
    let row = |part: &str, id: &str| {
        let head = format!("#{id}\">");
        let mut rows = part.split("<tr").filter(|row| row.split("</th>").next().unwrap().contains(&head));
        rows.next().map(str::to_owned)
    };
    assert!(patches.len() > 10);
    for (number, cited) in &patches {
        assert!(part("patches", "clauses").contains(&format!("id=\"patch-{number}\"")), "{number}");
        for id in cited {
            let row = row(&clauses, id).unwrap_or_else(|| panic!("{number}: {id}"));
            assert!(row.contains(&format!("#patch-{number}\">{number}</a> <code>")), "{row}");
        }
    }
    for clause in spec.clauses() {
        let is_cited = patches.values().any(|cited| cited.contains(&clause.id));
        let (here, there) = if is_cited { (&clauses, &without) } else { (&without, &clauses) };
        assert_eq!(row(there, &clause.id), None);
        let row = row(here, &clause.id).unwrap_or_else(|| panic!("{}", clause.id));
        match cases.get(&clause.id) {
            Some(names) => {
                names.iter().for_each(|name| assert!(row.contains(&format!("<code>{name}</code>")), "{row}"))
            }
            None => assert!(clause.uncased.is_some() && row.contains("none: "), "{row}"),
        }
    }
    // The table of entry points names the function.
    assert!(row(&clauses, "truncate.shrink").unwrap().contains("<code>notify_change</code>"));
}

/// The guide shows the real output of the command.
/// The first page of the book has the table of calls of iomap_immutable(7), row by row.
#[test]
fn the_first_page_has_the_table_of_the_page() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let rows = |file: &str| -> Vec<String> {
        let text = read(&top.join(file)).replace("**", "");
        let table = text.lines().skip_while(|line| !line.starts_with("| call on a sealed file"));
        table.take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
    };
    let page = rows("man/iomap_immutable.7.md");
    assert!(page.len() > 10, "the page has the table");
    assert_eq!(rows("book/src/introduction.md"), page);
}

#[test]
fn the_guide_to_citing_is_true() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (Ok(guide), Ok(spec)) = (fs::read_to_string(top.join("book/src/citing.md")), load(&top.join("man"))) else {
        return eprintln!("not tested, the chapters are missing");
    };
    let clause = spec.clause("truncate.shrink").unwrap();
    for line in text::cite(&spec, clause, None).lines().chain(text::cite_on_one_line(&spec, clause).lines()) {
        assert!(guide.contains(&format!("{line}\n")), "{line}");
    }
    assert!(guide.contains(&format!("?{}#truncate.shrink", clause.hash)));
}

/// The tests below share one browser, because starting it takes longer than using it.
#[test]
fn in_a_browser() {
    let Some(mut browser) = Browser::start() else { return };
    let project = Project::new();
    let spec = project.spec();
    fs::write(project.path("results.json"), json!([results(&spec, "0badcafe")]).to_string()).unwrap();
    fine(&project.book(&["--results", "results.json"]));
    let book = Shown { spec: &spec, page: project.path("target/book/sampler-page.7.html"), browser: &mut browser };
    book.all("odd.text");

    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !top.join("book/book.toml").exists() {
        return eprintln!("not tested, the chapters are missing");
    }
    let spec = load(&top.join("man")).unwrap_or_else(|findings| panic!("{}", findings[0]));
    let (out, file) = (project.path("own"), project.path("own.json"));
    fs::write(&file, json!([results(&spec, &spec.digest())]).to_string()).unwrap();
    fine(&self::book(&top, &["--out", out.to_str().unwrap(), "--results", file.to_str().unwrap()]));
    let book = Shown { spec: &spec, page: out.join("iomap_immutable.7.html"), browser: &mut browser };
    book.all("truncate.shrink");
}

/// A book in a browser.
struct Shown<'a> {
    spec: &'a Spec,
    /// The page with the clauses.
    page: PathBuf,
    browser: &'a mut Browser,
}

const THEMES: [&str; 5] = ["light", "rust", "coal", "navy", "ayu"];

impl Shown<'_> {
    fn all(mut self, id: &str) {
        self.browser.window(1280, 900);
        self.text_is_what_is_hashed();
        self.link_leads_to_the_clause(id);
        self.citation_is_compared(id);
        self.keyboard_is_enough(id);
        self.pointer_opens(id);
        self.citation_is_copied(id);
        self.search_finds(id);
        self.can_be_read_in_every_theme(id);
        self.fits_on_a_phone();
        self.prints(id);
        assert_eq!(self.browser.complaints(), [""; 0]);
    }

    fn open(&mut self, rest: &str) {
        self.browser.open(&self.page, rest);
    }

    fn eval(&mut self, expression: &str) -> Value {
        self.browser.eval(expression)
    }

    #[track_caller]
    fn is(&mut self, expression: &str) {
        assert_eq!(self.browser.eval(expression), true, "{expression}");
    }

    fn text_is_what_is_hashed(&mut self) {
        self.open("");
        let shown = self.eval(
            "Object.fromEntries([...document.querySelectorAll('.clause')].map(it => [it.dataset.id, [it.dataset.hash, \
             [...it.querySelectorAll(':scope > p')].map(p => p.textContent.trim().replace(/\\s+/g, ' ')).join(' ')]]))",
        );
        let stem = self.page.file_stem().unwrap().to_str().unwrap();
        let page = self.spec.pages.iter().find(|it| format!("{}.{}", it.title, it.section) == stem).unwrap();
        let clauses: BTreeMap<&str, [&str; 2]> =
            page.clauses().map(|it| (it.id.as_str(), [it.hash.as_str(), it.text.as_str()])).collect();
        assert_eq!(shown, json!(clauses));
    }

    fn link_leads_to_the_clause(&mut self, id: &str) {
        self.open(&format!("#{id}"));
        self.is(&format!("document.querySelector(':target').textContent === '{id}'"));
        self.is("(({ top, bottom }) => top >= 0 && bottom <= innerHeight)(document.querySelector(':target')\
            .getBoundingClientRect())");
        self.is(&format!("document.querySelector('[data-id=\"{id}\"] .clause-permalink').hash === '#{id}'"));
        self.is("document.querySelectorAll('.clause-note').length === 0");
    }

    fn citation_is_compared(&mut self, id: &str) {
        let hash = self.spec.clause(id).unwrap().hash.clone();
        let note = format!("document.querySelector('[data-id=\"{id}\"] .clause-note').textContent");
        self.open(&format!("?{hash}#{id}"));
        assert_eq!(self.eval(&note), format!("Cited as {hash}: this is the current state of the clause."));
        self.open(&format!("?0123abcd#{id}"));
        let changed = format!("Cited as 0123abcd; the clause has changed since. It is now {hash}.");
        assert_eq!(self.eval(&note), changed);
        let former = self.spec.clause(id).unwrap().former_hash();
        self.open(&format!("?{former}#{id}"));
        let same =
            format!("Cited as {former}, by the former scheme of hashes: this is the current text. It is now {hash}.");
        assert_eq!(self.eval(&note), same);
        // The hash in the address is dropped when the reader goes to another clause.
        self.eval("location.hash = '#description'");
        self.browser.wait("location.search === '' && location.hash === '#description'");
    }

    fn keyboard_is_enough(&mut self, id: &str) {
        self.open("");
        self.browser.press("Tab", false);
        self.is("document.activeElement.className === 'skip-link'");
        self.browser.press("Enter", false);
        self.browser.wait("location.hash === '#mdbook-content'");

        self.open(&format!("#{id}"));
        let details = format!("document.querySelector('[data-id=\"{id}\"] details')");
        let focus = format!("document.activeElement.closest('[data-id=\"{id}\"]') && document.activeElement");
        self.browser.press("Tab", false);
        self.is(&format!("({focus}).className === 'clause-permalink'"));
        self.browser.press("Tab", false);
        self.is(&format!("({focus}).tagName === 'SUMMARY'"));
        self.browser.press("Enter", false);
        self.browser.wait(&format!("{details}.open"));
        self.browser.press("Tab", false);
        self.is(&format!("({focus}).className === 'clause-citation'"));
        // This key turns the page in mdBook.
        self.browser.press("ArrowRight", false);
        self.browser.press("Tab", false);
        self.is(&format!("({focus}).className === 'clause-copy'"));
        self.eval("navigator.clipboard.writeText('nothing')");
        self.browser.press("Enter", false);
        self.browser.wait(&format!("{details}.querySelector('.clause-copied').textContent === 'Copied.'"));
        self.clipboard_has_the_citation(id);
        self.browser.press("Escape", false);
        self.is(&format!("!{details}.open && ({focus}).tagName === 'SUMMARY'"));
        self.is(&format!("location.hash === '#{id}'"));
    }

    fn clipboard_has_the_citation(&mut self, id: &str) {
        let citation = text::cite(self.spec, self.spec.clause(id).unwrap(), None);
        assert_eq!(self.eval("navigator.clipboard.readText()"), citation);
    }

    fn pointer_opens(&mut self, id: &str) {
        self.open(&format!("#{id}"));
        let details = format!("document.querySelector('[data-id=\"{id}\"] details')");
        let middle = self.eval(&format!(
            "(({{ x, y, width, height }}) => [x + width / 2, y + height / 2])({details}.firstChild\
             .getBoundingClientRect())"
        ));
        let mut mouse = |kind: &str, x: &Value, y: &Value| {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.browser.call("Input.dispatchMouseEvent", event);
        };
        mouse("mouseMoved", &middle[0], &middle[1]);
        self.browser.wait(&format!("{details}.open"));
        let mut mouse = |kind: &str, x: &Value, y: &Value| {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.browser.call("Input.dispatchMouseEvent", event);
        };
        mouse("mouseMoved", &json!(1), &json!(1));
        self.browser.wait(&format!("!{details}.open"));
    }

    /// If the clipboard API is not available, the older method copies the text.
    fn citation_is_copied(&mut self, id: &str) {
        self.open(&format!("#{id}"));
        let details = format!("document.querySelector('[data-id=\"{id}\"] details')");
        self.eval("navigator.clipboard.writeText('nothing')");
        self.eval("navigator.clipboard.writeText = () => Promise.reject(new Error('not here'))");
        self.eval(&format!("{details}.open = true; {details}.querySelector('.clause-copy').click()"));
        self.browser.wait(&format!("{details}.querySelector('.clause-copied').textContent === 'Copied.'"));
        self.clipboard_has_the_citation(id);
    }

    fn search_finds(&mut self, id: &str) {
        self.open("");
        self.eval("document.getElementById('mdbook-search-toggle').click()");
        self.browser.wait("document.activeElement.id === 'mdbook-searchbar'");
        self.browser.call("Input.insertText", json!({ "text": id }));
        self.eval("document.activeElement.dispatchEvent(new KeyboardEvent('keyup', { bubbles: true }))");
        self.browser.wait("document.querySelector('#mdbook-searchresults a') !== null");
        let first = self.eval("document.querySelector('#mdbook-searchresults a').href");
        let (_, rest) = first.as_str().unwrap().split_once(".html").unwrap();
        assert!(rest.ends_with(&format!("#{id}")), "{first}");
        self.open(rest);
        self.is(&format!("document.querySelector(':target').id === '{id}'"));
    }

    fn can_be_read_in_every_theme(&mut self, id: &str) {
        for theme in THEMES {
            self.eval(&format!("localStorage.setItem('mdbook-theme', '{theme}')"));
            self.open(&format!("?0123abcd#{id}"));
            self.is(&format!("document.documentElement.classList.contains('{theme}')"));
            self.eval(&format!("document.querySelector('[data-id=\"{id}\"] details').open = true"));
            let poor = self.eval(&format!("({CONTRAST})(document.querySelector('[data-id=\"{id}\"]'))"));
            assert_eq!(poor, json!([]), "{theme}");
            self.eval(&format!("document.querySelector('.clause:not([data-id=\"{id}\"]) details').open = true"));
            let poor = self.eval(&format!("({CONTRAST})(document.querySelector('.clause:not([data-id=\"{id}\"])'))"));
            assert_eq!(poor, json!([]), "{theme}");
        }
        self.eval("localStorage.removeItem('mdbook-theme')");
    }

    /// No page is wider than a small screen, even with everything on it opened.
    fn fits_on_a_phone(&mut self) {
        self.browser.window(360, 640);
        let directory = self.page.parent().unwrap().to_owned();
        let mut pages = 0;
        for entry in fs::read_dir(&directory).unwrap() {
            let file = entry.unwrap().path();
            // The page for printing opens a print dialog.
            if file.extension().is_some_and(|it| it == "html") && !file.ends_with("print.html") {
                self.browser.open(&file, "");
                self.eval("document.querySelectorAll('.clause-details').forEach(it => { it.open = true; })");
                // The containers of the text scroll vertically only; tables and code may scroll sideways inside their
                // boxes.
                let width = self.eval(
                    "Math.max(...[...document.querySelectorAll('html, .page, #mdbook-content')].map(it => it.scrollWidth))",
                );
                assert!(width.as_u64().unwrap() <= 360, "{} is {width} wide", file.display());
                pages += 1;
            }
        }
        assert!(pages > 6);
        self.browser.window(1280, 900);
    }

    fn prints(&mut self, id: &str) {
        self.eval("localStorage.setItem('mdbook-theme', 'coal')");
        self.open("");
        self.browser.call("Emulation.setEmulatedMedia", json!({ "media": "print" }));
        let visible = |what: &str| format!("document.querySelector('[data-id=\"{id}\"] {what}').checkVisibility()");
        self.is(&format!("{} && {}", visible("h3"), visible("p")));
        self.is(&format!("!({} || {})", visible("details"), visible(".clause-permalink")));
        // Printed text does not have the colors of a dark theme.
        self.is("getComputedStyle(document.querySelector('.clause > p')).color === 'rgb(0, 0, 0)'");
        self.browser.call("Emulation.setEmulatedMedia", json!({ "media": "" }));
        self.eval("localStorage.removeItem('mdbook-theme')");
    }
}

/// The elements with text of their own whose contrast is below 4.5 to 1, and the contrast.
const CONTRAST: &str = r"root => {
    const rgba = colour => {
        const canvas = new OffscreenCanvas(1, 1).getContext('2d');
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const luminance = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const background = element => {
        for (let at = element; at; at = at.parentElement) {
            const colour = rgba(getComputedStyle(at).backgroundColor);
            if (colour[3] === 255) {
                return colour;
            }
        }
        return [255, 255, 255, 255];
    };
    const poor = [];
    for (const element of root.querySelectorAll('*')) {
        const text = [...element.childNodes].some(it => it.nodeType === Node.TEXT_NODE && it.data.trim());
        if (text && element.checkVisibility()) {
            const pair = [rgba(getComputedStyle(element).color), background(element)].map(luminance);
            const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
            if (ratio < 4.5) {
                poor.push(`${element.tagName}.${element.className} ${element.textContent}: ${ratio.toFixed(2)}`);
            }
        }
    }
    return poor;
}";
