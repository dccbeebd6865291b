"""Whether StrictDoc shows clause, case and verdict together: check.py IOMAP_SPEC IOMAP_CONFORMANCE DIRECTORY.

StrictDoc has requirements, functions that name them, and test results that name a function. The clauses become
requirements, with ids and hashes. The cases of the suite are rows of a table, not functions, so a file of stubs stands in
for them, one for each test in `--format junit-clauses`, with the clause of its properties. StrictDoc then reads that report,
as one of cargo-nextest, and exports its pages.
"""

import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml

iomap_spec, iomap_conformance, directory = sys.argv[1:]
# A violation, so that the pages have a failure too.
BROKEN = "truncate.shrink/late"
FILTERS = ["truncate", "seal"]

top = pathlib.Path(directory)
shutil.rmtree(top, ignore_errors=True)
(top / "src").mkdir(parents=True)


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout


report = output(iomap_conformance, "--format", "junit-clauses", "--violation", BROKEN, *FILTERS)
listed = json.loads(output(iomap_spec, "clauses", "--format", "json"))
clauses = {clause["id"]: clause for clause in listed["clauses"]}

# StrictDoc looks a test up as the function crate::name.
suites = xml.fromstring(report)
stubs, failed = [], []
for test in suites.iter("testcase"):
    properties = {one.get("name"): one.get("value") for one in test.iter("property")}
    clause = clauses[properties["clause"]]
    assert properties == {"clause": clause["id"], "clause-hash": clause["hash"], "level": clause["level"]}, properties
    name = re.sub(r"\W+", "_", test.get("name"))
    test.set("classname", "suite")
    test.set("name", name)
    if test.find("failure") is not None:
        failed.append((clause["id"], name))
    stubs.append(f"/// @relation({clause['id']}, scope=function)\n#[test]\nfn {name}() {{}}\n")
(top / "Cargo.toml").write_text('[package]\nname = "suite"\nversion = "0.0.0"\nedition = "2024"\n')
(top / "src/lib.rs").write_text("\n".join(stubs))
(top / "suite.nextest.junit.xml").write_text(xml.tostring(suites, encoding="unicode"))

requirements = [
    f"[REQUIREMENT]\nUID: {clause['id']}\nTITLE: {clause['id']} ({clause['level']}) {clause['hash']}\n"
    f"STATEMENT: >>>\n{clause['text']}\n<<<\n"
    for clause in clauses.values()
]
(top / "clauses.sdoc").write_text("[DOCUMENT]\nTITLE: Clauses\n\n" + "\n".join(requirements))
(top / "strictdoc_config.py").write_text(
    """from strictdoc.core.project_config import ProjectConfig


def create_config() -> ProjectConfig:
    return ProjectConfig(
        project_title="Clauses",
        project_features=[
            "REQUIREMENT_TO_SOURCE_TRACEABILITY",
            "SOURCE_FILE_LANGUAGE_PARSERS",
        ],
        include_source_paths=["src/**.rs"],
    )
"""
)
strictdoc = pathlib.Path(sys.executable).with_name("strictdoc")
subprocess.run([strictdoc, "export", ".", "--output-dir", "html"], cwd=top, check=True, stdout=subprocess.DEVNULL)


def words(page):
    """The text of a page, with single spaces."""
    text = re.sub(r"<(script|style).*?</\1>", "", page.read_text(), flags=re.S)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)))


# Clause, case and verdict stand together: on the page of the report beside each test, and on the page of the stubs.
(page,) = (top / "html/html").glob("*/suite.nextest.junit.html")
shown = words(page)
seen = {"PASSED": 0, "FAILED": 0}
for test in suites.iter("testcase"):
    properties = {one.get("name"): one.get("value") for one in test.iter("property")}
    clause = clauses[properties["clause"]]
    status = "PASSED" if test.find("failure") is None else "FAILED"
    # A test that was skipped has no id there, and so no relation.
    assert test.find("skipped") is None
    start = shown.index(f" UID: suite::{test.get('name')} ")
    block = shown[start : shown.index("RELATIONS (File)", start)]
    title = f"{clause['id']} ({clause['level']}) {clause['hash']}"
    for part in [
        f" STATUS: {status} clause: {clause['id']} clause-hash: {clause['hash']} level: {clause['level']} ",
        f"RELATIONS (Parent): {clause['id']} {title} ",
    ]:
        assert part in block, (part, block)
    seen[status] += 1
source = words(top / "html/html/_source_files/src/lib.rs.html")
for ident, name in failed:
    assert f"fn {name}" in source and f"{ident} ({clauses[ident]['level']})" in source, (ident, name)
assert seen["FAILED"] == len(failed) == 1, seen
version = subprocess.run([strictdoc, "version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
print(f"StrictDoc {version}: {len(clauses)} clauses, {sum(seen.values())} tests with their clause, {seen['FAILED']} failed")
print(f"see {page}")
