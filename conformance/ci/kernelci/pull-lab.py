#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""A pull lab of KernelCI that runs iomap-conformance: it asks for jobs, boots their kernels in the suite's own lab, and
posts the results. KERNELCI_LAB_TOKEN has the token of the lab.

A job is remembered in the directory of --state only after its results were accepted. Results that could not be posted
are posted by the next call, and no kernel is booted again for them.
"""

import argparse
import base64
import gzip
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request

# A job comes from elsewhere: it chooses among these options of `lab`, and gives no others.
ALLOWED = argparse.ArgumentParser(exit_on_error=False, add_help=False, allow_abbrev=False)
ALLOWED.add_argument("--fs", nargs="+", default=[])
ALLOWED.add_argument("--mechanism", nargs="+", default=[])
ALLOWED.add_argument("--case")

SECONDS = 60  # for an answer


class Trouble(Exception):
    """The job could not be carried out, which says nothing about the kernel."""


def get(url):
    return urllib.request.urlopen(url, timeout=SECONDS)


def download(url, path):
    if not url.startswith(("http://", "https://")):
        raise Trouble(f"no address of a file: {url}")
    with get(url) as source, open(path, "wb") as target:
        shutil.copyfileobj(source, target)


def kernels(artifacts, directory):
    """The directory of kernels that `lab` takes, with the kernel and the modules of the job."""
    for name in ("kernel", "modules"):
        if not artifacts.get(name):
            raise Trouble(f"the job has no {name}")
    (directory / "boot").mkdir(parents=True)
    download(artifacts["kernel"], directory / "boot" / "vmlinuz-job")
    archive = directory / "modules.tar"
    download(artifacts["modules"], archive)
    with tarfile.open(archive) as modules:
        modules.extractall(directory, filter="data")
    archive.unlink()
    return directory


def options(test):
    """The options of `lab` that a test asks for."""
    try:
        asked, others = ALLOWED.parse_known_args(shlex.split(test.get("parameters") or ""))
    except (argparse.ArgumentError, ValueError) as error:
        raise Trouble(f"the parameters are not for iomap: {test['parameters']}") from error
    if others:
        raise Trouble(f"the parameters are not for iomap: {test['parameters']}")
    words = []
    for name in ("fs", "mechanism"):
        values = getattr(asked, name)
        words += [f"--{name}", *values] if values else []
    return words + (["--case", asked.case] if asked.case else [])


def status_of(clause):
    """An expected violation is a skip, as for LAVA: it is not news, and must not count as passed."""
    verdict, expected = clause["verdict"], clause["expected"]
    if verdict == "error":
        return "error"
    if (expected is not None and verdict != expected) or (verdict == "violated" and expected is None):
        return "fail"
    return "pass" if verdict == "holds" else "skip"


def sum_of(statuses):
    return next((word for word in ("fail", "error", "pass") if word in statuses), "skip")


def tests_of(document):
    """The results in the form of the protocol: a test for each run, and in it one for each clause."""
    tests = {}
    for run in document["runs"]:
        clauses = {it["id"]: {"status": status_of(it), "duration_ms": round(sum(case["duration_ms"] for case in it["cases"]))}
                   for it in run["clauses"] if it["verdict"] != "untested"}
        status = sum_of([it["status"] for it in clauses.values()])
        # The kernel complained of itself: the verdicts are in doubt.
        if run.get("kernel_log") and status != "fail":
            status = "error"
        tests[f"iomap-{run['fs']}-{run['mechanism']}"] = {"status": status, "subtests": clauses}
    return tests


def trouble(reason):
    return {"error_code": "Infrastructure", "error_msg": reason}


def carry_out(job, suite):
    """The results of a job, as they are posted."""
    log, answer = "", {"metadata": {"system": socket.gethostname()}}
    tests = {}
    try:
        mine = [test for test in job.get("tests", []) if test.get("type") == "iomap"]
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            root = kernels(job.get("artifacts", {}), scratch / "kernels")
            for number, test in enumerate(mine):
                output = scratch / f"{number}.json"
                command = [suite, "lab", "--kernel", str(root), "--format", "json", "--output", str(output), *options(test)]
                try:
                    ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                           stderr=subprocess.STDOUT, timeout=test.get("timeout_s"), check=False)
                    said = ended.stdout
                except subprocess.TimeoutExpired as late:
                    # The guests that have ended are in the results.
                    said = late.stdout or b""
                    answer |= trouble(f"no end after {late.timeout} seconds")
                log += said.decode(errors="replace")
                if output.exists():
                    tests.update(tests_of(json.loads(output.read_text())))
                elif "error_code" not in answer:
                    raise Trouble(log.strip().rpartition("\n")[2] or f"the lab ended with {ended.returncode}")
    except (Trouble, OSError, tarfile.TarError) as error:
        answer |= trouble(str(error))
    leaves = [leaf["status"] for test in tests.values() for leaf in test["subtests"].values()]
    count = leaves.count
    summary = {"total": len(leaves), "passed": count("pass"), "failed": count("fail"), "skipped": count("skip")}
    packed = base64.b64encode(gzip.compress(log.encode(), mtime=0)).decode()
    return answer | {"summary": summary, "tests": tests, "artifacts": {"log": f"base64:{packed}"}}


class Lab:
    def __init__(self, arguments):
        self.arguments = arguments
        self.state = pathlib.Path(arguments.state)
        self.state.mkdir(parents=True, exist_ok=True)
        self.token = os.environ.get("KERNELCI_LAB_TOKEN", "")

    def write(self, name, text):
        """A file in the directory of the state, whole or not at all."""
        beside = self.state / f".{name}"
        beside.write_text(text)
        beside.replace(self.state / name)

    def is_wanted(self, event):
        node, data = event.get("node", {}), event.get("data", {}).get("data", {})
        address = node.get("artifacts", {}).get("job_definition", "")
        return (
            address.startswith(("http://", "https://")) and address.endswith(".json")
            and str(node.get("id", "")).isalnum()
            and data.get("runtime") == self.arguments.runtime
            and data.get("platform") in self.arguments.platform
            and not (self.state / f"{node['id']}.done").exists()
        )

    def post(self, node):
        """Posts the results of a job that is not done yet."""
        ready = self.state / f"{node}.json"
        waiting = json.loads(ready.read_text())
        request = urllib.request.Request(waiting["url"], data=json.dumps(waiting["results"]).encode(), method="POST")
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", self.token)
        urllib.request.urlopen(request, timeout=SECONDS).close()
        ready.replace(self.state / f"{node}.done")
        summary = waiting["results"]["summary"]
        print(f"{node}: {waiting['results'].get('error_msg') or summary}")

    def work(self, event):
        node = event["node"]["id"]
        if not (self.state / f"{node}.json").exists():
            try:
                with get(event["node"]["artifacts"]["job_definition"]) as answer:
                    job = json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code not in (404, 410):
                    raise
                print(f"{node}: its definition is gone", file=sys.stderr)
                return
            if not any(test.get("type") == "iomap" for test in job.get("tests", [])):
                return
            results = carry_out(job, self.arguments.suite)
            self.write(f"{node}.json", json.dumps({"url": job["callback"]["url"], "results": results}))
        self.post(node)

    def poll(self):
        """One question for jobs, and their work. Returns whether everything is done."""
        cursor = self.state / "since"
        since = cursor.read_text() if cursor.exists() else self.arguments.since
        query = {"state": "done", "kind": "job", "limit": 1000, "recursive": "true", "from": since}
        complete = True
        for ready in sorted(self.state.glob("*.json")):
            complete &= self.attempt(self.post, ready.stem)
        with get(f"{self.arguments.api}/events?{urllib.parse.urlencode(query)}") as answer:
            events = json.load(answer)
        for event in filter(self.is_wanted, events):
            complete &= self.attempt(self.work, event)
        if events and complete:
            self.write("since", events[-1]["timestamp"])
        return complete

    @staticmethod
    def attempt(function, about):
        try:
            function(about)
            return True
        except (OSError, ValueError, KeyError) as error:
            name = about if isinstance(about, str) else about["node"]["id"]
            print(f"{name}: {error}", file=sys.stderr)
            return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", help="the program iomap-conformance")
    parser.add_argument("--api", required=True, help="such as https://api.kernelci.org/latest")
    parser.add_argument("--runtime", required=True, help="the name of this lab in KernelCI's configuration")
    parser.add_argument("--platform", nargs="+", default=["qemu-x86_64"])
    parser.add_argument("--state", default="pull-lab", metavar="DIR")
    parser.add_argument("--since", default="1970-01-01T00:00:00.000000", metavar="TIME")
    parser.add_argument("--interval", type=float, default=45, metavar="SECONDS", help="between two questions")
    parser.add_argument("--once", action="store_true", help="ask once; the exit code is 1 if something is left to do")
    lab = Lab(parser.parse_args())
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    while True:
        try:
            complete = lab.poll()
        except (OSError, ValueError) as error:
            print(f"{lab.arguments.api}: {error}", file=sys.stderr)
            complete = False
        if lab.arguments.once:
            return 0 if complete else 1
        if stop.wait(lab.arguments.interval):
            return 0


if __name__ == "__main__":
    sys.exit(main())
