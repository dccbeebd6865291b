#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Whether Linaro's test-definitions and LAVA accept the test: check.sh SUITE TEST-DEFINITIONS. TEST-DEFINITIONS is a
# checkout, which stays as it is. Their validator and the schema of LAVA read the definition, and its steps run on this
# machine as on a device. Needs root, lava-common, python3-pycodestyle, python3-magic, shellcheck and mkfs.ext4.
set -euo pipefail
shopt -s inherit_errexit
suite=$(realpath "$1") definitions=$(realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# That of the packages.
python=/usr/bin/python3
fail() { echo "$*" >&2; exit 1; }
if [ -d "$definitions/automated" ]; then
    cp -r "$definitions/." "$work"
else
    git -C "$definitions" archive HEAD | tar -xC "$work"
fi
"$here/install.sh" "$work"
cd "$work"

# As their sanity-check.sh does, on our files only.
for file in automated/linux/iomap/iomap.{sh,yaml}; do
    $python validate.py -v -f "$file" -r "$work/validated" -p E501 W503 E203 -s SC1091 SC2230 SC3043 -l warning
done
[ "$(grep -c PASSED "$work/validated")" = 2 ] || fail "not validated: $(cat "$work/validated")"

# The steps, with the schema of LAVA and with these parameters.
cat >"$work/steps.py" <<'END'
import sys
import yaml
from lava_common.schemas.test.testdef import validate
definition = yaml.safe_load(open(sys.argv[1]))
validate(definition)
parameters = dict(definition["params"], **dict(word.split("=", 1) for word in sys.argv[2:]))
for name, value in parameters.items():
    print(f"{name}='{value}'")
print("\n".join(definition["run"]["steps"]))
END
$python steps.py automated/linux/iomap/iomap.yaml "IOMAP_CONFORMANCE=$suite" FILESYSTEMS=ext4 CASES=truncate >steps.sh
sh -e steps.sh >signals
grep -q '^<LAVA_SIGNAL_TESTSET START iomap-ext4-immutable-attr>$' signals || fail "no test set: $(cat signals)"
passed=$(grep -c '^<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=truncate\..* RESULT=pass>$' signals) || fail "no result: $(cat signals)"
if grep 'RESULT=fail\|RESULT=unknown' signals; then exit 1; fi
echo "validated; LAVA gets $(grep -c SIGNAL_TESTCASE signals) results, $passed of them passed"
