# SPDX-License-Identifier: MIT OR Apache-2.0
"""Whether KernelCI's own code makes jobs for pull-lab.py and reads its results: check.py SUITE CORE PIPELINE KERNELS DIR.

CORE and PIPELINE are copies of kernelci-core and kernelci-pipeline, KERNELS is a directory with one kernel, DIR is for
files. A server on this machine stands in for the API and for the endpoint of the pipeline.
"""

import http.server
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import urllib.parse

suite, core, pipeline, kernels, work = (pathlib.Path(word).resolve() for word in sys.argv[1:])
here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(core))
TOKEN = "a-token-of-the-check"
TIME = "2026-01-01T00:00:0{}.000000"

shutil.copy(here / "iomap-pull-labs.yaml", pipeline / "config")
shutil.copy(here / "iomap-pull-labs.jinja2", pipeline / "config/runtime")
subprocess.run([sys.executable, "tests/validate_yaml.py"], cwd=pipeline, check=True, stdout=subprocess.DEVNULL)

import kernelci.config
import kernelci.runtime
from kernelci.runtime.pull_labs import Callback

# What the server has, and what it got.
files, events, posted, asked = {}, [], {}, []


class Server(http.server.BaseHTTPRequestHandler):
    def answer(self, code, body=b""):
        self.send_response(code)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        asked.append(self.path)
        address = urllib.parse.urlsplit(self.path)
        if address.path == "/latest/events":
            query = dict(urllib.parse.parse_qsl(address.query))
            assert query.keys() == {"state", "kind", "limit", "recursive", "from"}, query
            found = [event for event in events if event["timestamp"] >= query["from"]]
            return self.answer(200, json.dumps(found).encode())
        if address.path in files:
            return self.answer(200, files[address.path])
        self.answer(404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != TOKEN:
            return self.answer(401)
        node = re.fullmatch("/node/([0-9a-f]+)", self.path)[1]
        assert node not in posted, f"{node}: posted twice"
        posted[node] = json.loads(body)
        self.answer(202)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"
os.environ["KCI_INSTANCE_CALLBACK"] = base
configuration = kernelci.config.load(str(pipeline / "config"))
os.chdir(core)
runtime = kernelci.runtime.get_runtime(
    configuration["runtimes"]["pull-labs-demo"], custom_template_dir=str(pipeline / "config"))


def add(kernel, lab="pull-labs-demo"):
    """A job, as KernelCI makes it. Returns its node."""
    number = len(events)
    node = {"id": f"{number:024x}", "name": "iomap-pull-labs", "kind": "job", "data": {},
            "artifacts": {"kernel": base + kernel, "modules": base + "/modules.tar.xz"}}
    job = kernelci.runtime.Job(node, configuration["jobs"]["iomap-pull-labs"])
    job.platform_config = configuration["platforms"]["qemu-x86_64"]
    few = {"filesystems": "ext4", "mechanisms": "seal immutable-attr"}
    definition = runtime.generate(job, runtime.get_params(job) | few)
    assert definition, "KernelCI makes no job from the template"
    files[f"/{node['id']}.json"] = definition.encode()
    node["artifacts"]["job_definition"] = f"{base}/{node['id']}.json"
    data = {"platform": "qemu-x86_64", "runtime": lab}
    events.append({"timestamp": TIME.format(number), "data": {"data": data}, "node": node})
    return node


def pull(code, token=TOKEN, program=suite):
    command = [sys.executable, here / "pull-lab.py", program, "--api", f"{base}/latest", "--runtime", "pull-labs-demo",
               "--state", work / "state", "--once"]
    ended = subprocess.run(command, env=os.environ | {"KERNELCI_LAB_TOKEN": token}, check=False)
    assert ended.returncode == code, f"pull-lab.py ends with {ended.returncode}, not with {code}"


def result(node):
    """What KernelCI makes of the results of a job."""
    callback = Callback(posted[node["id"]])
    assert callback.get_device_id()
    job = dict(node, result=callback.get_job_status())
    return callback, callback.get_hierarchy(callback.get_results(), job)


files["/kernel"] = next(kernels.glob("boot/vmlinuz-*")).read_bytes()
archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w:xz", preset=0) as modules:
    modules.add(kernels / "lib", "lib")
files["/modules.tar.xz"] = archive.getvalue()

# A job on a kernel. Its results are kept until the endpoint takes them, and no guest boots again for that.
good = add("/kernel")
add("/kernel", lab="another-lab")
pull(1, token="another")
assert not posted
booted = asked.count("/kernel")
pull(0)
assert booted == asked.count("/kernel") == 1, "the kernel was fetched again"
pull(0)
assert posted.keys() == {good["id"]}, posted.keys()
callback, tree = result(good)
log = callback.get_log_parser().get_text()
assert "qemu-system-x86_64" in log, log
assert tree["node"]["result"] == "pass", tree["node"]
names = {child["node"]["name"]: child for child in tree["child_nodes"]}
assert names.keys() == {"iomap-ext4-seal", "iomap-ext4-immutable-attr"}, names.keys()
assert names["iomap-ext4-seal"]["node"]["result"] == "skip"
clauses = {child["node"]["name"]: child["node"]["result"] for child in names["iomap-ext4-immutable-attr"]["child_nodes"]}
assert clauses["truncate.shrink"] == "skip" and "pass" in clauses.values() and "fail" not in clauses.values(), clauses
print(f"a job: {len(clauses)} clauses, {list(clauses.values()).count('pass')} of them pass")

# What is no kernel, and a job that wants more than it may.
files["/nothing"] = b"nothing"
broken = add("/nothing")
greedy = add("/kernel")
files[f"/{greedy['id']}.json"] = files[f"/{greedy['id']}.json"].replace(b"--fs ext4", b"--keep / --fs ext4")
pull(0)
for node, words in (broken, "not a Linux bzImage"), (greedy, "not for iomap"):
    callback, tree = result(node)
    assert callback.is_infra_error() and tree["node"]["result"] == "incomplete", tree
    assert words in tree["node"]["data"]["error_msg"], tree
    print("no verdict:", tree["node"]["data"]["error_msg"])

# A clause that is violated unexpectedly, from a stand-in for the suite.
clause = {"id": "truncate.shrink", "verdict": "violated", "expected": "holds", "reason": None, "cases": []}
document = {"runs": [{"fs": "ext4", "mechanism": "seal", "clauses": [clause]}]}
stand_in = work / "suite"
stand_in.write_text("#!/bin/sh\nwhile [ $1 != --output ]; do shift; done\n"
                    f"echo '{json.dumps(document)}' >$2\nexit 1\n")
stand_in.chmod(0o755)
bad = add("/kernel")
pull(0, program=stand_in)
_, tree = result(bad)
assert tree["node"]["result"] == "fail" and tree["child_nodes"][0]["node"]["result"] == "fail", tree
print("a violation: fail")
