"""The mails of a series through b4's own functions, as its review window calls them: see check.sh."""

import asyncio
import email
import email.policy
import sys

import b4
import b4.review.checks as checks
from b4.review_tui._modals import TrackingCheckResultsScreen
from textual.app import App

b4._setup_main_config()
commands, of_series = checks.load_check_cmds()
assert commands == ["_builtin_checkpatch", "iomap-spec review --format b4"], commands
assert of_series == [], of_series

mails = []
for name in sys.argv[1:]:
    with open(name, "rb") as file:
        mail = email.message_from_binary_file(file, policy=email.policy.EmailPolicy(utf8=True))
    mails.append((mail["message-id"].strip("<> "), mail))
patches = [(ident, mail) for ident, mail in mails if b4.LoreSubject(mail["subject"]).counter > 0]
assert len(patches) == 3, [mail["subject"] for _, mail in mails]

found = checks.run_perpatch_checks(patches, commands, b4.git_get_toplevel())
database = checks.get_db()
for ident, results in found.items():
    checks.store_results(database, ident, results)
kept = checks.get_cached_results(database, [ident for ident, _ in patches])
ours = [next(one for one in kept[ident] if one["tool"] == "iomap-spec") for ident, _ in patches]

assert [one["status"] for one in ours] == ["warn", "pass", "warn"], ours
first, second, third = ours
assert "fallocate." in first["summary"] and "\n" not in first["summary"], first
assert first["url"].startswith("https://example.org/book/iomap_immutable.7.html?"), first
assert "fs/open.c:8: " in first["details"], first
assert second["summary"] == "no clause bears on this patch", second
assert third["summary"] == "no unified diff in this mail" and "changes no lines" in third["details"], third


async def window():
    """What a maintainer sees: the window of the results, and the panel of the first patch."""
    labels = [f"{number}/3" for number in range(1, 4)]
    subjects = [b4.LoreSubject(mail["subject"]).subject for _, mail in patches]
    matrix = {(row, one["tool"]): one for row, (ident, _) in enumerate(patches) for one in kept[ident]}
    screen = TrackingCheckResultsScreen("CI", labels, subjects, sorted({tool for _, tool in matrix}), matrix)
    async with App().run_test(size=(100, 200)) as pilot:
        await pilot.app.push_screen(screen)
        await pilot.press("enter")
        await pilot.pause()
        lines = [strip.text.rstrip() for strip in pilot.app.screen._compositor.render_strips()]
    return "\n".join(line for line in lines if line.strip())


seen = asyncio.run(window())
print("\n".join(seen.splitlines()[:24]))
for text in ["iomap-spec", "WARN", "fs/open.c:8: ", "example.org/book"]:
    assert text in seen, text
print(f"b4 {b4.__VERSION__}: {len(patches)} patches, {len(ours)} results of iomap-spec")
